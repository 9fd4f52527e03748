//! Partitions that were assigned, but are not read yet: the brokers have not said what is committed of them.
//!
//! Without the last settled second, roll-ups would be made of what is left of settled seconds, and replace the complete ones.

use super::client::{Answer, Committed};
use crate::backoff::{Backoff, jitter};
use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// Pauses between questions: first one, factor, longest.
const PAUSES: (Duration, f64, Duration) = (Duration::from_millis(250), 2.0, Duration::from_secs(5));

/// What the brokers have said since the last call: where partitions begin, and why some are still not known.
pub(super) type Said = (Vec<(i32, Committed)>, Option<String>);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    partitions: BTreeSet<i32>,
    question: Option<Receiver<Answer>>,
    /// Failed questions in a row.
    failures: u32,
    /// The next question is not asked before this time.
    ask_at: Option<Instant>,
}

impl Awaited {
    /// These partitions were assigned.
    pub(super) fn add(&mut self, partitions: &[i32]) {
        self.partitions.extend(partitions);
        // The answer to an earlier question may be from before the assignment.
        (self.question, self.ask_at) = (None, None);
    }

    /// A partition is read now, or was revoked.
    pub(super) fn remove(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    pub(super) fn contains(&self, partition: i32) -> bool {
        self.partitions.contains(&partition)
    }

    /// Asks if it is time, and returns what has been answered. Partitions stay awaited until they are removed.
    pub(super) fn ask(&mut self, now: Instant, ask: impl FnOnce(Vec<i32>) -> io::Result<Receiver<Answer>>) -> Said {
        let is_time = self.question.is_none() && self.ask_at.is_none_or(|at| at <= now);
        if is_time && !self.partitions.is_empty() {
            match ask(self.partitions.iter().copied().collect()) {
                Ok(question) => self.question = Some(question),
                Err(error) => return (Vec::new(), Some(error.to_string())),
            }
        }
        let Some(question) = &self.question else { return Said::default() };
        let answer = match question.try_recv() {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(TryRecvError::Empty) => return Said::default(),
            Err(TryRecvError::Disconnected) => Err("a thread panicked".to_owned()),
        };
        self.question = None;
        let (mut known, mut failed) = (Vec::new(), None);
        match answer {
            Ok(answers) => {
                for (partition, answer) in answers.into_iter().filter(|(partition, _)| self.contains(*partition)) {
                    match answer {
                        Ok(committed) => known.push((partition, committed)),
                        Err(error) => failed = Some(format!("partition {partition}: {error}")),
                    }
                }
            }
            Err(error) => failed = Some(error),
        }
        (known, failed)
    }

    /// Some partitions could not be started: waits longer each time before the next question.
    pub(super) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let pause = Backoff::new(PAUSES.0, PAUSES.1, PAUSES.2).after(self.failures);
        self.ask_at = Some(now + jitter(pause, fastrand::f64()));
    }

    /// All partitions of a question were started.
    pub(super) fn succeeded(&mut self) {
        (self.failures, self.ask_at) = (0, None);
    }

    /// Waits for the answer to the last question, but no longer than this: until then, a thread uses the client.
    pub(super) fn end(self, limit: Duration) {
        if let Some(question) = self.question {
            let _ = question.recv_timeout(limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};
    use std::sync::mpsc::{Sender, channel};

    const AT: Committed = Committed { offset: Some(7), settled: None };

    fn error() -> KafkaError {
        KafkaError::OffsetFetch(RDKafkaErrorCode::NotCoordinator)
    }

    /// Asks, and returns what is answered through.
    fn asked(awaited: &mut Awaited, now: Instant, of: &[i32]) -> Sender<Answer> {
        let (sender, answer) = channel();
        let said = awaited.ask(now, |partitions| {
            assert_eq!(partitions, of);
            Ok(answer)
        });
        assert_eq!(said, Said::default(), "there is no answer yet");
        sender
    }

    fn said(awaited: &mut Awaited, now: Instant) -> Said {
        awaited.ask(now, |partitions| panic!("asked for {partitions:?}"))
    }

    #[test]
    fn partitions_are_asked_for_until_each_is_known() {
        let (mut awaited, now) = (Awaited::default(), Instant::now());
        assert_eq!(said(&mut awaited, now), Said::default(), "nothing is awaited");
        awaited.add(&[1, 2]);
        let sender = asked(&mut awaited, now, &[1, 2]);
        assert_eq!(said(&mut awaited, now), Said::default(), "one question at a time");
        sender.send(Ok(vec![(1, Err(error())), (2, Ok(AT))])).unwrap();
        let (known, failed) = said(&mut awaited, now);
        assert_eq!(known, [(2, AT)]);
        assert!(failed.unwrap().starts_with("partition 1: "));
        awaited.remove(2);
        awaited.failed(now);
        assert_eq!(said(&mut awaited, now), Said::default(), "after a pause");
        let sender = asked(&mut awaited, now + PAUSES.0 * 2, &[1]);
        sender.send(Err(error())).unwrap();
        assert!(matches!(said(&mut awaited, now), (known, Some(_)) if known.is_empty()));
        drop(asked(&mut awaited, now + PAUSES.0 * 2, &[1]));
        assert!(said(&mut awaited, now).1.unwrap().contains("panicked"));
    }

    #[test]
    fn an_answer_from_before_an_assignment_does_not_count() {
        let (mut awaited, now) = (Awaited::default(), Instant::now());
        awaited.add(&[1]);
        let before = asked(&mut awaited, now, &[1]);
        awaited.remove(1);
        awaited.failed(now);
        awaited.add(&[1]);
        let sender = asked(&mut awaited, now, &[1]);
        assert!(before.send(Ok(vec![(1, Ok(AT))])).is_err());
        awaited.remove(1);
        sender.send(Ok(vec![(1, Ok(AT))])).unwrap();
        assert_eq!(said(&mut awaited, now), Said::default(), "it was revoked");
    }
}
