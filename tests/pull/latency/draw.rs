//! The picture of docs/latency.md: one of three servers answers some requests late, as one does that pauses to collect garbage.

use super::releases;
use super::world::{Wish, World};
use crate::harness::{SOON, names, wait_for};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// A server that answers in 20 ms; while it is troubled, every thirtieth answer takes 600 ms.
fn server(troubled: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (troubled, count) = (Arc::clone(&troubled), Arc::clone(&count));
            std::thread::spawn(move || {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                for _ in lines.filter(String::is_empty) {
                    let late = troubled.load(Ordering::Relaxed) && count.fetch_add(1, Ordering::Relaxed) % 30 == 0;
                    std::thread::sleep(Duration::from_millis(if late { 600 } else { 20 }));
                    if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// A line over 60 to 620, and 80 high.
fn line(values: &[f64], most: f64, top: f64, stroke: &str) -> String {
    let step = 560.0 / (values.len() - 1) as f64;
    let point = |(index, value): (usize, &f64)| {
        format!("{:.0},{:.0}", 60.0 + step * index as f64, top + 90.0 - 80.0 * value / most)
    };
    let points: Vec<String> = values.iter().enumerate().map(point).collect();
    format!("<polyline fill=\"none\" stroke-width=\"2\" {stroke} points=\"{}\"/>\n", points.join(" "))
}

#[test]
#[ignore = "draws the picture of docs/latency.md, of a server that is slow for half a minute"]
fn draw() {
    const SECONDS: usize = 40;
    const METRICS: [(&str, &str, &str); 3] = [
        ("backend.b.rtime", "HAProxy's average, rtime of the backend", "#d55e00"),
        ("backend.b.latency_response_p99", "p99 of the backend", "#0072b2"),
        ("backend.b.server.s3.latency_response_p99", "p99 of the server s3", "#009e73"),
    ];
    let Some(haproxy) = releases().pop() else { return };
    let troubled = Arc::new(AtomicBool::new(false));
    let well = || server(Arc::default());
    let servers = vec![("s1", well()), ("s2", well()), ("s3", server(Arc::clone(&troubled)))];
    let buckets = "10,15,20,25,30,40,50,75,100,250,500,1000";
    let mut world = World::start(&haproxy, &Wish { servers, buckets, ..Wish::default() });
    let stop = super::load(&world, 12);
    let mut series: [Vec<f64>; 3] = Default::default();
    for second in 0..SECONDS {
        troubled.store((12..28).contains(&second), Ordering::Relaxed);
        let incoming = world.place.path().join("incoming");
        wait_for(SOON, "a snapshot", || names(&incoming).into_iter().find(|name| name.parse::<u64>().is_ok()));
        world.read();
        for ((metric, ..), values) in METRICS.iter().zip(&mut series) {
            values.push(world.value(metric).unwrap_or(0.0));
        }
    }
    stop();
    let most = series.iter().flatten().copied().fold(1.0, f64::max);
    let mut picture = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 380\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"640\" height=\"380\" fill=\"white\"/>\n",
    );
    for (index, ((_, title, color), values)) in METRICS.iter().zip(&series).enumerate() {
        let top = 20.0 + 118.0 * index as f64;
        let largest = values.iter().copied().fold(0.0, f64::max);
        picture.push_str(&format!("<text x=\"60\" y=\"{:.0}\">{title}: at most {largest:.0} ms</text>\n", top + 4.0));
        picture.push_str(&line(values, most, top, &format!("stroke=\"{color}\"")));
    }
    picture.push_str("</svg>\n");
    fs::write(crate::harness::root().join("docs/images/latency.svg"), picture).unwrap();
    world.pull.stop(SOON);
}
