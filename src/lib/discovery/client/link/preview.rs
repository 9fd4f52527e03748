//! What a round would do, for people.

use super::state::{Link, RoundError};
use super::told::{AGENTS, slots_with_agents, words};
use crate::discovery::client::follow::Listed;
use std::collections::BTreeSet;

impl Link {
    /// What a round would do: lines for people.
    ///
    /// # Errors
    /// HAProxy does not answer, or the record cannot be read.
    pub async fn preview(&mut self, list: &Listed) -> Result<Vec<String>, RoundError> {
        let mut observation = self.observe(&BTreeSet::new()).await?;
        let mut plans = self.plan(list, &observation)?;
        let ask: BTreeSet<u32> = plans.iter().flat_map(|(_, outcome)| &outcome.ask_sessions).copied().collect();
        if !ask.is_empty() {
            observation = self.observe(&ask).await?;
            plans = self.plan(list, &observation)?;
        }
        let process = &observation.process;
        let mut lines = vec![format!("{}: HAProxy {}, process {}", self.socket(), process.version, process.id)];
        lines.extend(observation.missing.iter().map(|backend| format!("  {backend}: HAProxy has no such backend")));
        for (wanted, outcome) in &plans {
            if slots_with_agents(wanted, &observation).next().is_some() {
                lines.push(format!("  {}: {AGENTS}", wanted.backend));
            }
            for step in &outcome.steps {
                lines.push(format!("  {}: {}{}", step.server, of(&step.instance), step.reason));
                lines.extend(step.commands.iter().map(|command| format!("    {command}")));
            }
            for (slot, waiting) in &outcome.waiting {
                lines.push(format!("  {}/{}{slot}: {}", wanted.backend, wanted.base, words(*waiting)));
            }
            for (slot, instance, reason) in &wanted.unfit {
                lines.push(format!("  {}: {instance} in slot {slot} is left out: {reason}", wanted.backend));
            }
        }
        if plans.iter().all(|(_, outcome)| outcome.steps.is_empty()) {
            lines.push("  nothing to send".to_owned());
        }
        Ok(lines)
    }
}

fn of(instance: &str) -> String {
    if instance.is_empty() { String::new() } else { format!("{instance}: ") }
}
