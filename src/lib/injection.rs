//! What tests set to make a program fail, or divide its work, in ways that no input is known to cause. Only a build with the
//! feature `fault-injection` looks at it, which those of releases do not have.

/// The value of an environment variable that is for tests; always `None` without the feature.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    if cfg!(feature = "fault-injection") { std::env::var(name).ok() } else { None }
}
