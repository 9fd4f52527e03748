//! Files of a snapshot in, typed columns out. Every byte comes from outside: nothing in here may panic on any of them.

mod cells;
pub mod collected;
pub mod commas;
pub mod doubt;
pub mod facts;
mod fields;
pub mod first;
pub mod info;
mod layout;
pub mod number;
pub mod order;
pub mod part;
pub mod quoted;
pub mod refused;
pub mod rows;
pub mod split;
pub mod stat;
pub mod table;
