//! What is no more: the series of objects that were in the snapshot before end with this one, for destinations that want to
//! know. haproxystats-pull leaves the last rows of these objects in the snapshot (`mark-ended`).

use super::files::Files;
use super::run::{PipelineError, Run};
use super::sites::HostState;

impl Run<'_> {
    /// Tells of what is no more on this host: the same values go the same way, and each says that its series has ended.
    pub(super) async fn ended(&mut self, files: &Files, site: &mut HostState) -> Result<(), PipelineError> {
        let ended = Files { info: files.ended_info.clone(), stat: files.ended_stat.clone(), ..Files::default() };
        if (ended.info.is_empty() && ended.stat.is_empty()) || !self.sink.tells_ended() {
            return Ok(());
        }
        // What is said of the processing is about what there is.
        let (tally, report, bare) = (self.tally, self.report.clone(), site.bare.clone());
        self.tally.last = false;
        self.sink.ended(true);
        if !ended.info.is_empty() {
            self.daemon(&ended, &site.paths, None)?;
        }
        if !ended.stat.is_empty() {
            self.proxies(&ended, site, None).await?;
        }
        self.sink.ended(false);
        (self.tally, self.report, site.bare) = (tally, report, bare);
        Ok(())
    }
}
