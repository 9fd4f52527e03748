//! Latency histograms that HAProxy counts itself: rules of its configuration compare a timer of each response with bounds, and
//! count in a stick table, one element of an array for each bound.
//!
//! ```text
//! layout ─► rules (what HAProxy counts) ─► stick table ─► table (`show table`) ─► carried (in the snapshot) ─► histogram
//! ```
//!
//! The bounds are stated once, when the rules are made ([`rules`]): each key of the table names them ([`key`]), so that a reply
//! can be read without any configuration, and hosts may differ. Counts of buckets add over processes, hosts and time; averages
//! and percentiles never do.

pub mod carried;
pub mod counter;
pub mod histogram;
pub mod key;
pub mod layout;
pub mod rules;
pub mod table;
