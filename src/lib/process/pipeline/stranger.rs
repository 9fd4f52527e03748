//! Files of a socket that was never one of HAProxy's statistics, such as the command line of its master process: what other
//! pulls, and ours of earlier versions, took for a reply. Nothing of a process is missing where such a file is left out.

use crate::parse::info::Info;
use crate::snapshot::{INFO_SUFFIX, STAT_SUFFIX};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// As much is looked at.
const BEGINNING: u64 = 4096;

/// Whether the files of a source are words, and none of them is a reply of a process, or could be what is left of one.
pub(super) fn is_stranger(dir: &Path, source: &str) -> bool {
    [INFO_SUFFIX, STAT_SUFFIX].into_iter().all(|suffix| {
        let Ok(file) = File::open(dir.join(format!("{source}{suffix}"))) else { return true };
        let mut text = Vec::new();
        file.take(BEGINNING).read_to_end(&mut text).is_ok() && is_said(&text)
    })
}

/// Whether it is something that a program says in place of statistics.
fn is_said(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let printable = |byte: &u8| !byte.is_ascii_control() || byte.is_ascii_whitespace();
    !text.is_empty()
        && text.is_ascii()
        && text.iter().all(printable)
        && !text.starts_with(b"#")
        && memchr::memmem::find(text, b"pxname").is_none()
        && Info::read(text, |_, _| {}).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_no_statistics() {
        for text in ["Permission denied\n", "Unknown command: 'show', but maybe\n", "HTTP/1.1 400 Bad request\r\n\r\n"]
        {
            assert!(is_said(text.as_bytes()), "{text:?}");
        }
        for text in ["", "\n", "# pxna", "pxname,svname\n", "Pid: 1\nUptime_sec: 7\n", "\0\0\0\0", "\u{fffd}"] {
            assert!(!is_said(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn both_files_of_a_socket_say_what_it_is() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
        write("a_info", "Unknown command\n");
        assert!(is_stranger(place.path(), "a"));
        write("a_stat", "# pxname,svname,\n");
        assert!(!is_stranger(place.path(), "a"));
    }
}
