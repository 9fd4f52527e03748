//! HAProxy's words: its statistics fields, states and replies. Nothing outside this folder spells them.

pub mod address;
pub mod answer;
pub mod columns;
pub mod combine;
pub mod facts;
pub mod family;
pub mod further;
pub(crate) mod identity;
pub mod info;
pub mod learnt;
pub(crate) mod master;
pub mod per_kind;
pub mod questions;
pub mod release;
pub mod reply;
pub mod runtime;
pub(crate) mod setup;
pub(crate) mod socket;
pub mod status;
pub(crate) mod traffic;
