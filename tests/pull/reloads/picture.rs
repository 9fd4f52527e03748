//! The picture of docs/reloads.md.

use super::World;
use crate::harness::newer::own_haproxy;
use crate::harness::{SOON, names, poll, wait_until};
use std::collections::BTreeMap;
use std::fs;

/// A line of the picture, through these values.
fn line(values: &[f64], most: f64, top: f64, style: &str) -> String {
    let point = |(index, value): (usize, &f64)| {
        let x = 60.0 + 560.0 * index as f64 / (values.len() - 1) as f64;
        format!("{x:.0},{:.0}", top + 90.0 - 80.0 * value / most)
    };
    let points: Vec<String> = values.iter().enumerate().map(point).collect();
    format!("<polyline fill=\"none\" stroke-width=\"2\" {style} points=\"{}\"/>\n", points.join(" "))
}

#[test]
#[ignore = "draws the picture of docs/reloads.md, from a reload that takes half a minute"]
fn draw() {
    const METRICS: [(&str, &str); 3] =
        [("stot", "sessions since start"), ("bout", "bytes sent"), ("scur", "sessions now")];
    let mut world = World::start(own_haproxy(), "", ["", "", ""]);
    let bare = tempfile::tempdir().unwrap();
    let mut series: [[Vec<f64>; 2]; 3] = Default::default();
    wait_until(SOON, "the first snapshot", || !names(&world.incoming()).is_empty());
    world.read();
    for second in 0..36 {
        match second {
            0 => world.open(12),
            12 => {
                world.reload();
                world.open(3);
            }
            26 => drop(world.client.take(0..12)),
            _ => {}
        }
        world.transfer(40_000);
        let epoch =
            poll(SOON, || names(&world.incoming()).into_iter().find(|name| name.parse::<u64>().is_ok())).unwrap();
        let (whole, part) = (world.incoming().join(&epoch), bare.path().join(&epoch));
        fs::create_dir(&part).unwrap();
        for name in names(&whole).iter().filter(|name| !name.contains("_old") && !name.contains("_carried")) {
            fs::copy(whole.join(name), part.join(name)).unwrap();
        }
        for (which, directory) in [whole.clone(), part].iter().enumerate() {
            let values: BTreeMap<String, f64> = world.once(directory).into_iter().collect();
            for ((name, _), series) in METRICS.iter().zip(&mut series) {
                series[which].push(values[&format!("lb.haproxy.frontend.f.{name}")]);
            }
        }
        fs::remove_dir_all(whole).unwrap();
    }
    let mut picture = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 380\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"640\" height=\"380\" fill=\"white\"/>\n",
    );
    for (index, ((_, title), [with, without])) in METRICS.iter().zip(&series).enumerate() {
        let top = 20.0 + 115.0 * index as f64;
        let most = with.iter().chain(without).copied().fold(1.0, f64::max);
        picture.push_str(&format!("<text x=\"60\" y=\"{:.0}\">{title}, at most {most:.0}</text>\n", top + 4.0));
        picture.push_str(&line(without, most, top, "stroke=\"#d55e00\" stroke-dasharray=\"5 3\""));
        picture.push_str(&line(with, most, top, "stroke=\"#0072b2\""));
    }
    picture.push_str(
        "<text x=\"60\" y=\"372\"><tspan fill=\"#0072b2\">with master-sockets and continuous-counters</tspan>\
         <tspan fill=\"#d55e00\" dx=\"20\">without (dashed)</tspan></text>\n</svg>\n",
    );
    fs::write(crate::harness::root().join("docs/images/reload.svg"), picture).unwrap();
    world.pull.stop(SOON);
}
