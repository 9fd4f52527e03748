//! Options without effect, which files of older versions and of the original may hold.

use super::option::OptionSpec;
use super::program::Reader;
use super::reader::DEFAULT_SECTION;
use super::reading::Type;

#[rustfmt::skip]
pub(super) static ROWS: &[&OptionSpec] = &[
    &OptionSpec {
        section: DEFAULT_SECTION, name: "retries", kind: Type::Retries, default: Some("2"), reader: Reader::None,
        about: "How often a failed connection is tried again; [pull] and [graphite] have their own.",
    },
    &OptionSpec {
        section: DEFAULT_SECTION, name: "timeout", kind: Type::Seconds, default: Some("1"), reader: Reader::None,
        about: "Time for a connection to be accepted; [pull] and [graphite] have their own.",
    },
    &OptionSpec {
        section: DEFAULT_SECTION, name: "interval", kind: Type::Seconds, default: Some("2"), reader: Reader::None,
        about: "Pause before a connection is tried again; [pull] and [graphite] have their own.",
    },
    &OptionSpec {
        section: "graphite", name: "timeout", kind: Type::Seconds, default: None, reader: Reader::None,
        about: "Accepted for files of older versions, without effect; use connect-timeout and write-timeout.",
    },
];
