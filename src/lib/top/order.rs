//! Orders hosts and processes by what is worst.

use super::model::{HostLine, ProcessLine, Totals};
use std::cmp::Ordering;

fn totals(one: &Totals, other: &Totals) -> Ordering {
    let rank = |totals: &Totals| (totals.errors.unwrap_or_default(), totals.queued);
    let ((errors, queued), (others_errors, others_queued)) = (rank(one), rank(other));
    others_errors.total_cmp(&errors).then(others_queued.total_cmp(&queued)).then(other.down.cmp(&one.down))
}

/// Orders hosts by errors, queue and servers that are down.
pub(super) fn hosts(one: &HostLine, other: &HostLine) -> Ordering {
    totals(&one.totals, &other.totals).then_with(|| one.name.cmp(&other.name))
}

/// Orders processes in the same way.
pub(super) fn processes(one: &ProcessLine, other: &ProcessLine) -> Ordering {
    totals(&one.totals, &other.totals).then_with(|| one.socket.cmp(&other.socket))
}
