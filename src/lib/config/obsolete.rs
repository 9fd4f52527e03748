//! Options without effect, which files of older versions and of the original may hold.

use super::option::OptionSpec;
use super::program::Reader;
use super::reader::DEFAULT_SECTION;
use super::reading::Type;

#[rustfmt::skip]
pub(super) static ROWS: &[&OptionSpec] = &[
    &OptionSpec {
        section: DEFAULT_SECTION, name: "retries", kind: Type::Retries, default: Some("2"), reader: Reader::None,
        about: "Kept for existing files; has no effect, since [pull] and [graphite] have their own defaults.",
    },
    &OptionSpec {
        section: DEFAULT_SECTION, name: "timeout", kind: Type::Seconds, default: Some("1"), reader: Reader::None,
        about: "Kept for existing files; has no effect, since [pull] and [graphite] have their own defaults.",
    },
    &OptionSpec {
        section: DEFAULT_SECTION, name: "interval", kind: Type::Seconds, default: Some("2"), reader: Reader::None,
        about: "Kept for existing files; has no effect, since [pull] and [graphite] have their own defaults.",
    },
    &OptionSpec {
        section: "graphite", name: "timeout", kind: Type::Seconds, default: None, reader: Reader::None,
        about: "Kept for existing files; has no effect. Use connect-timeout and write-timeout.",
    },
];
