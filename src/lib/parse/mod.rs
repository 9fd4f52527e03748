//! Files of a snapshot in, typed columns out. Every byte comes from outside: nothing in here may panic on any of them.

pub mod commas;
pub mod doubt;
pub mod info;
pub mod number;
pub mod order;
pub mod quoted;
pub mod rows;
pub mod split;
pub mod stat;
pub mod table;
