//! Which build this is: version, commit, cargo features.

/// The features of this build, in the order of the alphabet.
const FEATURES: &[(&str, bool)] = &[
    ("agent", cfg!(feature = "agent")),
    ("archive", cfg!(feature = "archive")),
    ("discovery", cfg!(feature = "discovery")),
    ("fault-injection", cfg!(feature = "fault-injection")),
    ("kafka", cfg!(feature = "kafka")),
    ("process", cfg!(feature = "process")),
    ("top", cfg!(feature = "top")),
];

/// The version alone, as in Cargo.toml.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One line: the version as its first word, then the commit (where it was known when the program was built) and the
/// cargo features.
#[must_use]
pub fn line() -> String {
    let features: Vec<&str> = FEATURES.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
    let features =
        if features.is_empty() { "no features".to_owned() } else { format!("features {}", features.join(" ")) };
    match env!("HAPROXYSTATS_BUILD") {
        "" => format!("{VERSION} ({features})"),
        build => format!("{VERSION} ({build}; {features})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_of_cargo_toml_is_named() {
        let manifest = include_str!("../../Cargo.toml");
        let (_, section) = manifest.split_once("\n[features]\n").unwrap();
        let names = section.lines().take_while(|line| !line.starts_with('['));
        let mut names: Vec<&str> = names.filter_map(|line| line.split_once(" = ").map(|(name, _)| name)).collect();
        names.retain(|name| !name.starts_with([' ', '#']) && *name != "default");
        names.sort_unstable();
        assert_eq!(FEATURES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    }

    #[test]
    fn one_line_that_begins_with_the_version() {
        let line = line();
        assert_eq!(line.split(' ').next(), Some(VERSION));
        assert!(line.ends_with(')') && !line.contains('\n'), "{line}");
    }
}
