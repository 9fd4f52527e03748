//! Work that stays on its thread.

use std::panic::resume_unwind;
use std::pin::Pin;
use tokio::task::{JoinError, JoinSet};

/// A future that stays on its thread.
pub(super) type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Does all of this at the same time, and gives the results in their order.
pub(super) async fn all<F>(tasks: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let mut running = JoinSet::new();
    for (index, task) in tasks.into_iter().enumerate() {
        running.spawn_local(async move { (index, task.await) });
    }
    let mut done = Vec::with_capacity(running.len());
    while let Some(joined) = running.join_next().await {
        match joined.map_err(JoinError::try_into_panic) {
            Ok(result) => done.push(result),
            Err(Ok(panic)) => resume_unwind(panic),
            // Nobody ends one of them before the others.
            Err(Err(_)) => {}
        }
    }
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
