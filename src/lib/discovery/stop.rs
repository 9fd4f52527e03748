//! The end of the program, as its parts learn of it.

use std::time::Duration;
use tokio::sync::watch;

/// Tells when the program has to end.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A pair: `true` sent through the first stops the second.
    pub(crate) fn pair() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Whether the program has to end.
    pub(crate) fn stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the program has to end.
    pub(crate) async fn wait(&mut self) {
        // Without a sender nobody can stop it any more: then it stops.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }

    /// Waits for the time, or until the program has to end; `false` then.
    pub(crate) async fn sleep(&mut self, time: Duration) -> bool {
        tokio::select! {
            () = self.wait() => false,
            () = tokio::time::sleep(time) => true,
        }
    }
}
