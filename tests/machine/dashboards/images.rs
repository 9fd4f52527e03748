//! The images of docs/images: every panel as graphite-web draws it, side by side.

use super::graphite_web::{encode, parameters, queries};
use super::panels::DASHBOARDS;
use super::{Place, contrib};
use crate::harness::{run, write};
use std::process::Command;
use std::time::{Duration, Instant};

/// Puts images of equal size into one: columns, target, sources.
const COMPOSE: &str = "\
import sys, math, cairocffi as cairo
columns, target, sources = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
images = [cairo.ImageSurface.create_from_png(source) for source in sources]
width, height = images[0].get_width(), images[0].get_height()
whole = cairo.ImageSurface(cairo.FORMAT_RGB24, columns * width, math.ceil(len(images) / columns) * height)
context = cairo.Context(whole)
context.set_source_rgb(1, 1, 1)
context.paint()
for number, image in enumerate(images):
    context.set_source_surface(image, number % columns * width, number // columns * height)
    context.paint()
whole.write_to_png(target)
";

/// As a day in some minutes: two waves of requests, failures now and then, a reload after two thirds.
fn work(place: &Place, length: Duration) {
    let start = Instant::now();
    let mut reloaded = false;
    while start.elapsed() < length {
        let time = start.elapsed().as_secs_f64();
        if !reloaded && start.elapsed() > length * 2 / 3 {
            place.balancers[0].site.reload(0);
            reloaded = true;
        }
        for (balancer, shift) in place.balancers.iter().zip([0.0, 0.6, 1.9]) {
            let wave = 2.0 + (time / 47.0 + shift).sin() + 0.6 * (time / 11.0 + 2.0 * shift).sin();
            for _ in 0..(3.0 * wave) as usize {
                balancer.site.request(0, "www", "/");
            }
            balancer.site.request(0, "api.v1", "/");
            if (time / 23.0 + shift).sin() > 0.8 {
                balancer.site.request(0, "www", "/fail");
            }
        }
        std::thread::sleep(Duration::from_millis(60));
    }
}

#[test]
#[ignore = "writes docs/images; takes six minutes"]
fn images_for_the_documents() {
    let place = Place::start().expect("all programs are there");
    work(&place, Duration::from_secs(340));
    let directory = tempfile::tempdir().unwrap();
    let compose = write(directory.path(), "compose.py", COMPOSE);
    for dashboard in DASHBOARDS {
        let value = if dashboard.name == "haproxystats-backend" { "shop" } else { "edge-01" };
        let mut command = Command::new("/usr/bin/python3");
        let target = contrib("../docs/images").join(format!("{}.png", dashboard.name));
        command.arg(&compose).arg("3").arg(&target);
        for (number, panel) in dashboard.rows.iter().flat_map(|row| row.panels).enumerate() {
            let queries: Vec<String> =
                queries(dashboard, panel).iter().map(|query| query.replace("__VALUE__", value)).collect();
            let mut path =
                "/render?from=-5min&until=-10s&width=320&height=190&bgcolor=white&fgcolor=black&fontSize=8".to_owned();
            path += "&majorGridLineColor=%23cccccc&minorGridLineColor=%23eeeeee";
            for (key, value) in parameters(panel, &[]) {
                if let Some(text) = value.as_str() {
                    path += &format!("&{key}={}", encode(text));
                }
            }
            path.extend(queries.iter().map(|query| format!("&target={}", encode(query))));
            let file = directory.path().join(format!("{number:02}.png"));
            std::fs::write(&file, place.web.get(&path)).unwrap();
            command.arg(file);
        }
        std::fs::create_dir_all(contrib("../docs/images")).unwrap();
        let (status, output) = run(command, Duration::from_secs(60));
        assert!(status.success(), "{output}");
    }
}
