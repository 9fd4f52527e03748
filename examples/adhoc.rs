use haproxystats::{config, process::pipeline::Pipeline, snapshot::Epoch};
use std::{collections::HashMap, io::Write, num::*, time::Duration};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let c = config::load::from_text(config::Program::Process, &std::fs::read_to_string(&a[1]).unwrap(), "x")
        .unwrap()
        .config;
    let mut p = Pipeline::new(&c, "lb-01.example.com");
    for d in &a[3..] {
        let d = std::path::Path::new(d);
        let e = Epoch::from_name(d.file_name().unwrap().to_str().unwrap()).unwrap();
        let mut out = vec![];
        let r = p.run(d, e, &mut out);
        eprintln!("{r:?}");
        std::io::stdout().write_all(&out).unwrap();
    }
}
