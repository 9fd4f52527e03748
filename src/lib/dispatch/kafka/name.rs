//! What the dispatcher is called.

/// Name of this dispatcher.
pub const NAME: &str = "kafka";
