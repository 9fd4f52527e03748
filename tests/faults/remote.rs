//! Receivers of OTLP and of remote write as further destinations: the same invariant, and none of their series goes backwards.

use crate::faults::{PROCESSES, REMOTE};
use crate::harness::receiver::{Receiver, is_of_haproxy};
use crate::harness::{config, names};
use crate::report::Report;
use crate::scenes::try_each;
use crate::sequence::{LENGTH, inject_all};
use crate::world::{QUEUE_SIZE, Setting, World};
use haproxystats::batch::Output;
use haproxystats::config::Config;
use haproxystats::process::pipeline::Pipeline;
use haproxystats::prometheus::compression::Compression;
use haproxystats::prometheus::request::{Protocol, text};
use haproxystats::snapshot::Epoch;
use std::collections::BTreeSet;

/// Where refused samples are kept, by destination, in the order of [`start`].
pub const PLACES: [&str; 2] = ["otlp", "remote-write"];
const PROTOCOLS: [(Protocol, Output); 2] =
    [(Protocol::Otlp, Output::Otlp), (Protocol::RemoteWrite, Output::RemoteWrite)];

/// A receiver of each kind, and the sections for them. In haste.
pub fn start() -> (Vec<Receiver>, String) {
    let receivers: Vec<Receiver> = PROTOCOLS.map(|(protocol, _)| Receiver::start(protocol)).into();
    let sections = receivers.iter().map(Receiver::section).map(|section| {
        let section = section.replace("request-timeout = 20", "request-timeout = 0.8");
        format!("{section}max-samples-per-request = 300\nqueue-size = {QUEUE_SIZE}\n")
    });
    let sections = sections.collect();
    (receivers, sections)
}

/// Everything in order again.
pub fn heal(receiver: &Receiver) {
    receiver.behave(|behaviour| *behaviour = Default::default());
    receiver.come_back();
}

/// Each fault by itself.
pub fn singly() -> Report {
    let mut world = World::new(0, &Setting { remote: true, ..Setting::default() });
    // A worker that dies while a destination is away has put off more than it holds in memory.
    world.allow(1_000);
    try_each(world, REMOTE)
}

/// Faults at random, with those of processes within.
pub fn sequence(seed: u64) -> Report {
    let mut world = World::new(seed, &Setting { remote: true, ..Setting::default() });
    world.allow(1_000);
    let possible = [REMOTE, REMOTE, PROCESSES].concat();
    inject_all(world, seed, LENGTH, &possible, |_| {})
}

impl World {
    /// The invariant, for each receiver: what snapshots imply has arrived, or is kept as text where it was refused.
    pub fn compare_remotes(&mut self) {
        if self.remotes.is_empty() {
            return;
        }
        let config = config(&std::fs::read_to_string(&self.config).expect("the configuration"));
        for (which, place) in PLACES.into_iter().enumerate() {
            let expected = self.implied(&config, PROTOCOLS[which]);
            let kept: BTreeSet<String> = names(&self.failed().join(place))
                .iter()
                .filter_map(|name| std::fs::read_to_string(self.failed().join(place).join(name)).ok())
                .flat_map(|text| text.lines().filter(|line| !line.starts_with('#')).map(plain).collect::<Vec<_>>())
                .collect();
            let (arrived, taken) = (self.remotes[which].of_haproxy(), self.remotes[which].taken());
            let lost: Vec<&String> =
                expected.iter().filter(|sample| !arrived.contains(*sample) && !kept.contains(*sample)).collect();
            self.report.note(format!(
                "{place}: {} samples expected, {} lost, {} kept as text, {} arrived again, {} requests refused for order",
                expected.len(),
                lost.len(),
                kept.len(),
                taken.again,
                taken.out_of_order
            ));
            if let Some(first) = lost.first() {
                self.report.fail(format!("{place}: {} samples lost, such as {first}", lost.len()));
            }
            if let Some(foreign) = arrived.difference(&expected).next() {
                self.report.fail(format!("{place}: a sample that no snapshot implies: {foreign}"));
            }
            if taken.out_of_order > 0 {
                self.report.fail(format!("{place}: {} requests went backwards", taken.out_of_order));
            }
            let bound = self.allowance * (QUEUE_SIZE + 2 * self.largest);
            if taken.again as u64 > bound {
                self.report.fail(format!("{place}: {} samples came again, more than {bound}", taken.again));
            }
        }
    }

    /// The samples that the published snapshots imply for a destination.
    fn implied(&self, config: &Config, (protocol, output): (Protocol, Output)) -> BTreeSet<String> {
        let hostname = nix::unistd::gethostname().expect("the host has a name");
        let mut pipeline = Pipeline::new(config, &hostname.to_string_lossy());
        let mut samples = BTreeSet::new();
        for epoch in self.published.keys().filter(|epoch| !self.poisoned.contains(epoch)) {
            let directory = self.kept.path().join(epoch.to_string());
            pipeline.run(&directory, Epoch(*epoch), &mut Vec::new()).expect("the snapshot is sound");
            for message in pipeline.messages_for(output).iter() {
                let message = Compression::of(protocol, true).decompress(message.payload).expect("a whole body");
                let text = text(protocol, &message);
                samples.extend(text.lines().filter(|line| is_of_haproxy(line)).map(plain));
            }
        }
        samples
    }
}

/// As the receiver shows it.
fn plain(line: &str) -> String {
    let line = line.trim_end_matches(" stale");
    line.rsplit_once("} ").map_or_else(|| line.to_owned(), |(series, rest)| format!("{series} {rest}"))
}
