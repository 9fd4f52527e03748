//! Handing pieces of a snapshot to the destinations.

use super::destination::PATIENCE;
use super::error::WorkerError;
use super::panics;
use super::renderer::{Outcome, Rendered};
use super::state::{Current, Open, Stop, Worker, moment, until};
use crate::batch::{Output, Piece};
use crate::looked::Moment;
use crate::process::pipeline::Report;
use crate::process::wire::message::{self, Figures, ToParent};
use crate::snapshot::Epoch;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a stopping worker waits for a destination to accept the rest of a snapshot.
const HURRY: Duration = Duration::from_secs(1);

impl Worker {
    /// Gives a piece to the destinations that get the snapshot, as soon as they take more. One of several is not waited for
    /// longer than a while: what it does not take then waits in memory, up to the end of this snapshot.
    pub(super) async fn piece(&mut self, piece: Piece) -> Result<Vec<u8>, Stop> {
        let patient_until = (self.destinations.len() > 1).then(|| Moment::now() + PATIENCE);
        let mut hurry = None;
        // A snapshot that takes long is no reason not to answer.
        while let Ok(packet) = tokio::time::timeout(Duration::ZERO, self.channel.receive()).await {
            let packet = packet.map_err(WorkerError::Channel)?.ok_or(Stop::Orphaned)?;
            self.hear(&packet).await?;
        }
        loop {
            // Before any piece is handed over it is known who has lost those before.
            while let Ok(notice) = self.notices.try_recv() {
                self.heed(notice).await?;
            }
            if panics::seen() {
                return Err(Stop::Failed(WorkerError::Panicked));
            }
            let mut takers = self.destinations.iter().filter(|destination| destination.takes);
            if takers.all(|destination| destination.dispatcher.takes_more())
                || patient_until.is_some_and(|until| until <= Moment::now())
            {
                break;
            }
            if let Some(deadline) = self.leave_at {
                let until = *hurry.get_or_insert_with(|| deadline.min(tokio::time::Instant::now() + HURRY));
                if until <= tokio::time::Instant::now() {
                    return Err(Stop::Leaving(deadline));
                }
            }
            tokio::select! {
                packet = self.channel.receive() => {
                    let packet = packet.map_err(WorkerError::Channel)?.ok_or(Stop::Orphaned)?;
                    self.hear(&packet).await?;
                }
                Some(notice) = self.notices.recv() => self.heed(notice).await?,
                () = moment(patient_until), if patient_until.is_some() => {}
                () = until(hurry), if hurry.is_some() => {}
            }
        }
        self.submit(&piece);
        Ok(self.buffers.take())
    }

    /// Hands a piece over.
    fn submit(&mut self, piece: &Piece) {
        let for_all = self.current.is_some_and(|current| current.only.is_none());
        if let (Some(page), Some(batch), true) = (&mut self.page, piece.of(Output::Page), for_all) {
            page.piece(batch);
        }
        for destination in self.destinations.iter().filter(|destination| destination.takes) {
            if let Some(batch) = piece.of(destination.dispatcher.output()) {
                destination.dispatcher.submit(Arc::clone(batch));
            }
        }
        if let Some(lines) = piece.of(Output::Plaintext) {
            self.buffers.lend(Arc::clone(lines));
        }
    }

    /// Tells the parent what became of the snapshot, and gives the last of its lines to the destinations that get it.
    pub(super) async fn hand_over(&mut self, figures: Option<Figures>, outcome: Outcome) -> Result<(), WorkerError> {
        let Some(Current { epoch, only }) = self.current else { return Ok(()) };
        self.idle_since = Some(Instant::now());
        let Outcome::Rendered(rendered) = outcome else {
            // Rendered again: the parent decides, it is gone for good or comes again.
            self.gave_up = true;
            self.open.remove(&epoch);
            self.current = None;
            return self.say_failed(epoch, outcome).await;
        };
        let Rendered { last, lines, report, skipped } = rendered;
        let Report { refused_rows, refused_files, unknown_objects, unknown_lines, .. } = report;
        if only.is_none() {
            let lines = u64::try_from(lines).unwrap_or(u64::MAX);
            // First the word, then the hand-over: what happens from now on is not the snapshot's fault.
            let rendered = message::Rendered {
                epoch,
                lines,
                refused_rows,
                refused_files,
                unknown_objects,
                unknown_lines,
                skipped,
            };
            self.say(&ToParent::Rendered(rendered)).await?;
        }
        while let Ok(notice) = self.notices.try_recv() {
            self.heed(notice).await?;
        }
        self.submit(&last);
        self.current = None;
        if only.is_none() {
            let destinations = self.destinations.iter().filter(|destination| !destination.had).count();
            let (waiting_for, confirmed) = (destinations, BTreeSet::new());
            let open = Open { destinations, waiting_for, dropped: false, confirmed, settles: false, figures };
            self.open.insert(epoch, open);
            if destinations == 0 {
                // All had it, and it could not be removed then; or there are none.
                self.open.remove(&epoch);
                return self.say(&ToParent::Done { epoch, dropped: false }).await;
            }
        }
        for (number, destination) in self.destinations.iter_mut().enumerate() {
            let name = destination.dispatcher.name();
            match (destination.takes, only) {
                (true, None) => {}
                (true, Some(_)) => {
                    destination.put_off.remove(&epoch);
                    if destination.put_off.is_empty() && std::mem::take(&mut destination.away) {
                        tracing::info!(
                            dispatcher = name,
                            "has received the snapshots that were waiting on disk for it"
                        );
                    }
                }
                (false, Some(only)) if only != number => {}
                (false, None) if destination.had => {}
                (false, _) => {
                    destination.put_off.insert(epoch);
                    // One that sends in order may just wait for its turn.
                    let ordered = destination.dispatcher.is_ordered();
                    if only.is_none() && !ordered && !std::mem::replace(&mut destination.away, true) {
                        tracing::warn!(
                            dispatcher = name,
                            "is unavailable: the other destinations continue, and snapshots wait on disk for it"
                        );
                    }
                }
            }
        }
        Ok(())
    }

    async fn say_failed(&mut self, epoch: Epoch, outcome: Outcome) -> Result<(), WorkerError> {
        match outcome {
            Outcome::Rendered(_) => Ok(()),
            Outcome::Gone => self.say(&ToParent::Gone(epoch)).await,
            Outcome::Failed { failure, reason } => self.say(&ToParent::failed(epoch, failure, &reason)).await,
        }
    }
}
