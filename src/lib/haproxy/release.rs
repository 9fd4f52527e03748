//! Release lines of HAProxy: 2.6, 3.0.

use std::fmt;

/// A release line, and whatever follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release(pub u16, pub u16);

impl Release {
    /// That of a version as `show info` spells it: `2.6.12-1+deb12u4`, `3.5-dev5-50872d-12`.
    #[must_use]
    pub fn of(version: &str) -> Option<Self> {
        let mut numbers = version.split(|c: char| !c.is_ascii_digit());
        Some(Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions_and_developers_are_read() {
        assert_eq!(Release::of("2.6.12-1+deb12u4"), Some(Release(2, 6)));
        assert_eq!(Release::of("3.5-dev5-50872d-12"), Some(Release(3, 5)));
        assert_eq!(Release::of("3.10"), Some(Release(3, 10)));
        assert!(["", "3", "dev", "-3.1"].iter().all(|text| Release::of(text).is_none()));
        assert!(Release(3, 10) > Release(3, 9) && Release(3, 0).to_string() == "3.0");
    }
}
