//! Store to HAProxy.

#[cfg(test)]
mod model;
pub mod reconcile;
pub mod record;
pub mod slots;

use super::Context;

/// Why the client ends.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {}

/// Keeps HAProxy as the document says, until the program has to end.
///
/// # Errors
/// What no further attempt can mend.
pub async fn run(context: Context) -> Result<(), ClientError> {
    let mut stop = context.stop;
    stop.wait().await;
    Ok(())
}
