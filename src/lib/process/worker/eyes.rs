//! The event loop of a worker, and when it turns.

use super::error::WorkerError;
use crate::looked;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// The runtime, on which the dispatchers live. They see nothing of the world but in [`Eyes::look`].
pub(super) struct Eyes {
    runtime: Runtime,
    tasks: LocalSet,
}

impl Eyes {
    pub(super) fn open() -> Result<Self, WorkerError> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().on_thread_park(looked::parks).build().map_err(WorkerError::SetUp)?;
        Ok(Self { runtime, tasks: LocalSet::new() })
    }

    /// Runs this, and the dispatchers beside it. First they hear what has come since the last time: before that nobody is judged.
    pub(super) fn look<T>(&self, work: impl Future<Output = T>) -> T {
        looked::back();
        let done = self.tasks.block_on(&self.runtime, async {
            looked::turn().await;
            work.await
        });
        looked::leave();
        done
    }
}
