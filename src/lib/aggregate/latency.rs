//! Latency histograms of a host or a cluster: of each server, of each backend, and of servers over all backends. They are sums
//! of what was counted, whatever it was counted on.

use super::group::{Grouped, Groups};
use crate::haproxy::columns::Kind;
use crate::latency::carried::Counted;
use crate::latency::histogram::Histogram;
use crate::latency::layout::Timer;
use crate::names::{NameId, Names, Pairs};
use crate::plan::KindPlan;
use crate::snapshot::Epoch;
use std::collections::HashMap;

/// What was counted of one timer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// Since counting began.
    pub total: Histogram,
    /// Since the snapshot before.
    pub recent: Histogram,
}

/// What was counted of an object, by timer; nothing where a timer is not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timers([Option<Box<Sums>>; Timer::ALL.len()]);

impl Timers {
    fn add(&mut self, counted: &Counted<'_>) {
        let Some(slot) = self.0.get_mut(counted.timer as usize) else { return };
        let sums = slot.get_or_insert_default();
        sums.total.add(&counted.total);
        sums.recent.add(&counted.recent);
    }

    /// Those that are counted.
    pub fn each(&self) -> impl Iterator<Item = (Timer, &Sums)> {
        Timer::ALL.into_iter().filter_map(|timer| Some((timer, self.get(timer)?)))
    }

    fn get(&self, timer: Timer) -> Option<&Sums> {
        self.0.get(timer as usize)?.as_deref()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Latencies {
    /// When counting began; of several hosts, when it did on the first.
    pub since: Option<Epoch>,
    /// By backend and server.
    servers: HashMap<String, HashMap<String, Timers>>,
    backends: HashMap<String, Timers>,
    totals: HashMap<String, Timers>,
}

impl Latencies {
    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether nothing was counted anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.backends.is_empty()
    }

    /// Counting began at this second somewhere.
    pub fn begin(&mut self, since: Epoch) {
        self.since = Some(self.since.map_or(since, |known| known.min(since)));
    }

    /// Adds what was counted of a server.
    pub fn add(&mut self, counted: &Counted<'_>) {
        at(at(&mut self.servers, counted.backend), counted.server).add(counted);
        at(&mut self.backends, counted.backend).add(counted);
        at(&mut self.totals, counted.server).add(counted);
    }

    /// Of a server in its backend.
    #[must_use]
    pub fn server(&self, backend: &str, server: &str) -> Option<&Timers> {
        self.servers.get(backend)?.get(server)
    }

    /// Of a backend.
    #[must_use]
    pub fn backend(&self, backend: &str) -> Option<&Timers> {
        self.backends.get(backend)
    }

    /// Of a server over all backends.
    #[must_use]
    pub fn total(&self, server: &str) -> Option<&Timers> {
        self.totals.get(server)
    }

    /// Puts exact means in the place of averages of averages, wherever there were requests since the snapshot before: of servers
    /// over all backends, and of other objects where those are `wanted`.
    pub(crate) fn put_means(&self, plan: &KindPlan, groups: &mut Groups, names: &Names, servers: &Pairs, wanted: bool) {
        if self.is_empty() || plan.kind == Kind::Frontend {
            return;
        }
        for timer in Timer::ALL {
            let mean = |timers: Option<&Timers>| timers?.get(timer)?.recent.mean();
            let fields = plan.fields.iter().enumerate();
            for (index, _) in fields.filter(|(_, field)| field.column.name == timer.average()) {
                if wanted {
                    put(&mut groups.objects, index, |key| match plan.kind {
                        Kind::Server => {
                            let (backend, server) = servers.get(key)?;
                            mean(self.server(names.spelled(backend), names.spelled(server)))
                        }
                        _ => mean(self.backend(names.spelled(NameId(key)))),
                    });
                }
                if let Some(totals) = &mut groups.servers {
                    put(totals, index, |key| mean(self.total(names.spelled(NameId(key)))));
                }
            }
        }
    }
}

fn put(grouped: &mut Grouped, index: usize, mean: impl Fn(u32) -> Option<f64>) {
    let means = grouped.keys.iter().enumerate().filter_map(|(row, key)| Some((row, mean(*key)?)));
    let means: Vec<(usize, f64)> = means.collect();
    grouped.put(index, &means);
}

/// The entry of a name, which is made where it is missing.
fn at<'m, T: Default>(map: &'m mut HashMap<String, T>, name: &str) -> &'m mut T {
    map.entry(name.to_owned()).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::carried;

    fn latencies(lines: &[&str]) -> Latencies {
        let mut latencies = Latencies::default();
        let text = format!("# latency since 7\n{}\n", lines.join("\n"));
        let since =
            carried::read(text.as_bytes(), |object| object.timers().for_each(|counted| latencies.add(&counted)));
        latencies.begin(since.unwrap());
        latencies
    }

    #[test]
    fn servers_add_to_their_backend_and_to_their_name() {
        let all = latencies(&[
            "a/s1/response/5,50 1,3,4,99 1,2,3,70",
            "a/s2/response/5,50 10,10,10,20",
            "b/s1/response,queue/5,50 2,2,2,4,0,1,2,90 2,2,2,4,0,1,2,90",
        ]);
        let of = |timers: Option<&Timers>| {
            let each = timers.unwrap().each();
            each.map(|(timer, sums)| (timer.word(), sums.total.count(), sums.recent.count())).collect::<Vec<_>>()
        };
        assert_eq!(of(all.server("a", "s1")), [("response", 4, 3)]);
        assert_eq!(of(all.backend("a")), [("response", 14, 3)]);
        assert_eq!(of(all.backend("b")), [("response", 2, 2), ("queue", 2, 2)]);
        assert_eq!(of(all.total("s1")), [("response", 6, 5), ("queue", 2, 2)]);
        assert!(all.server("b", "s2").is_none() && all.backend("c").is_none() && !all.is_empty());
        assert_eq!(all.since, Some(Epoch(7)));
    }

    #[test]
    fn means_are_put_where_there_were_requests() {
        let all = latencies(&["a/s1/response/5 1,4,100 1,4,100", "a/s2/response/5 1,4,100"]);
        let (mut names, mut servers) = (Names::default(), Pairs::default());
        let [a, s1, s2] = ["a", "s1", "s2"].map(|name| names.intern(name.as_bytes()));
        let keys = vec![servers.intern((a, s1)), servers.intern((a, s2))];
        let plan = KindPlan::new(Kind::Server, &crate::testing::config().process);
        let index = plan.fields.iter().position(|field| field.column.name == "rtime").unwrap();
        let values = plan.fields.iter().map(|_| crate::aggregate::group::Values::Floats(vec![7.0, 8.0])).collect();
        let mut groups = Groups { objects: Grouped::new(keys, values, Vec::new()), ..Groups::default() };
        all.put_means(&plan, &mut groups, &names, &servers, true);
        let value = |row| groups.objects.values(index).and_then(|values| values.get(row)).map(|value| value.as_f64());
        assert_eq!((value(0), value(1)), (Some(25.0), Some(8.0)));
    }
}
