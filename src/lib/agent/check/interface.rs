//! What every check does.

use crate::agent::finding::{Failure, Finding};
use std::pin::Pin;

/// A future of a check; everything runs on one thread.
pub(crate) type Checking<'a> = Pin<Box<dyn Future<Output = Finding> + 'a>>;

/// A check. It is dropped where it stands when it takes longer than `check-timeout`.
pub(crate) trait Check {
    /// Its name, for reasons.
    fn name(&self) -> &'static str;

    /// Looks once.
    fn check(&self) -> Checking<'_>;

    /// The failure behind the last finding, where the check gave an older result in place of it.
    fn concealed(&self) -> Option<Failure> {
        None
    }

    /// What it means that [`Check::check`] took too long.
    fn timed_out(&self, reason: String) -> Finding {
        Finding::Failure(Failure::Timeout, reason)
    }
}

/// Percent of the weight that is left; never 0, which would be a drain.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=100 before")]
pub(super) fn weight(reduction: f64) -> u8 {
    if reduction.is_nan() { 1 } else { (100.0 * (1.0 - reduction)).round().clamp(1.0, 100.0) as u8 }
}
