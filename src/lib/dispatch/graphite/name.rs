//! What dispatchers are called.

/// Name of this dispatcher.
pub const NAME: &str = "graphite";

/// The name of the dispatcher of one of several servers: graphite, graphite-2, ...
pub(super) fn name(index: usize) -> &'static str {
    if index == 0 { NAME } else { Box::leak(format!("{NAME}-{}", index + 1).into_boxed_str()) }
}
