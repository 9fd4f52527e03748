//! The rows of `[otlp]`.

use super::rows::rows;
use crate::config::naming::NameStyle;
use crate::config::option::choice;
use crate::config::program::OTLP;
use crate::config::reading::{Reading, Type};
use crate::config::section::Section;
use crate::config::value;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

rows! {
    OTLP,
    "URL of a receiver of OpenTelemetry metrics (OTLP over HTTP, protobuf), such as http://localhost:4318/v1/metrics; unset: \
     nothing is sent.",
    "resource-attributes" = super::labels::attributes,
    "Additional resource attributes, name=value separated by commas or line ends.",
    {
        COMPRESSION: bool = choice![("gzip", true), ("none", false)], "compression", Some("gzip"),
            "Compression of request bodies.";
    }
}

pub(super) fn compress(section: &mut Section<'_>) -> Option<bool> {
    section.get(&COMPRESSION)
}
