//! The end of the program or of a configuration, as its parts learn of it.

use std::time::Duration;
use tokio::sync::watch;

/// Why server and client have to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The program ends, or goes on in such a way that others may take over meanwhile.
    End,
    /// Others with a new configuration go on at once, in the same place: what is held is kept for them.
    Reload,
}

/// Tells when the parts of the program have to end.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<Option<Why>>);

impl Stop {
    /// A pair: what is sent through the first stops the second.
    pub(crate) fn pair() -> (watch::Sender<Option<Why>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// Whether they have to end.
    pub(crate) fn stopped(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Whether what is held, such as the lease, is to be kept.
    pub(crate) fn keeps(&self) -> bool {
        *self.0.borrow() == Some(Why::Reload)
    }

    /// Waits until they have to end.
    pub(crate) async fn wait(&mut self) {
        // Without a sender nobody can stop them any more: then they stop.
        let _ = self.0.wait_for(Option::is_some).await;
    }

    /// Waits for the time, or until they have to end; `false` then.
    pub(crate) async fn sleep(&mut self, time: Duration) -> bool {
        tokio::select! {
            () = self.wait() => false,
            () = tokio::time::sleep(time) => true,
        }
    }
}
