//! The task of the dispatcher: one loop that looks at everything there is, acts, and sleeps until something happens.

mod ends;
mod loss;
mod opening;
mod renew;
mod renewal;
mod state;
#[cfg(test)]
mod tests;
mod turn;
mod witness;
mod witnesses;

pub(super) use state::Task;
