//! The rows of `[remote-write]`.

use super::rows::rows;
use crate::config::naming::NameStyle;
use crate::config::option::choice;
use crate::config::program::REMOTE_WRITE;
use crate::config::reading::{Reading, Type};
use crate::config::value;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

rows! {
    REMOTE_WRITE,
    "URL of a receiver of Prometheus remote write 1.0, such as http://localhost:9090/api/v1/write; unset: nothing is sent.",
    "labels" = super::labels::labels,
    "Additional labels for every series, name=value separated by commas or line ends.",
    {}
}
