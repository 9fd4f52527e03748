//! What a snapshot carries of response times of a host.

use super::files::Files;
use super::run::{PipelineError, Run};
use crate::aggregate::cluster::Cluster;
use crate::aggregate::latency::Latencies;
use crate::latency::carried;
use crate::plan::KindPlan;
use crate::render::latency::Latency;
use crate::snapshot::CARRIED_LATENCY_SUFFIX;

impl Run<'_> {
    /// Reads those of a host, in the place of those of the one before, and adds them to its cluster.
    pub(super) fn read_latency(
        &mut self,
        files: &Files,
        mut cluster: Option<&mut Cluster>,
    ) -> Result<(), PipelineError> {
        if !self.latencies.is_empty() {
            self.latencies.clear();
        }
        for file in &files.latency {
            let path = self.dir.join(file);
            let text = std::fs::read(&path).map_err(|source| PipelineError::File { path, source })?;
            // Looked at as a whole first: half of a file would be wrong.
            let since = match carried::read(&text, |_| {}) {
                Ok(since) => since,
                Err(error) => {
                    self.refuse_file(file, CARRIED_LATENCY_SUFFIX, &error);
                    continue;
                }
            };
            let mut all: Vec<&mut Latencies> = vec![&mut self.latencies];
            all.extend(cluster.as_deref_mut().map(|cluster| &mut cluster.latencies));
            all.iter_mut().for_each(|latencies| latencies.begin(since));
            let _ = carried::read(&text, |object| {
                for counted in object.timers() {
                    all.iter_mut().for_each(|latencies| latencies.add(&counted));
                }
            });
        }
        Ok(())
    }

    /// What is told of objects of this kind.
    pub(super) fn latency<'l>(&self, counted: &'l Latencies, plan: &KindPlan) -> Option<Latency<'l>> {
        let Self { buckets, .. } = *self;
        (!counted.is_empty()).then_some(Latency { counted, buckets, skip_zero: plan.skip_zero })
    }
}
