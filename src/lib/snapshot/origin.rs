//! Where a snapshot comes from that is processed another time: `.origin` among its files.
//!
//! The paths of metrics have the name of the host on which a snapshot was processed first, and those of the host that reads an
//! archive are of no interest. So the archive puts that name into the snapshot, and haproxystats-process uses it.

use super::ORIGIN;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What is said of where a snapshot comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// What gethostname(2) said there.
    pub host: String,
}

/// Most bytes of the file that are read.
const MOST: u64 = 4096;

const HOST: &str = "host ";

impl Origin {
    /// That of the snapshot in `dir`; `None` where it was never archived.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(dir: &Path) -> io::Result<Option<Self>> {
        let mut text = Vec::new();
        match File::open(dir.join(ORIGIN)) {
            Ok(file) => file.take(MOST).read_to_end(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Self::parse(&String::from_utf8_lossy(&text)))
    }

    /// What the text of the file says; words that are not known are for later versions.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let host = text.lines().find_map(|line| line.strip_prefix(HOST))?.trim();
        (!host.is_empty()).then(|| Self { host: host.to_owned() })
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{HOST}{}\n", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Origin::read(dir.path()).unwrap(), None);
        let origin = Origin { host: "lb-01.example.com".to_owned() };
        std::fs::write(dir.path().join(ORIGIN), format!("later words\n{}", origin.text())).unwrap();
        assert_eq!(Origin::read(dir.path()).unwrap(), Some(origin));
        std::fs::write(dir.path().join(ORIGIN), "host \n").unwrap();
        assert_eq!(Origin::read(dir.path()).unwrap(), None);
    }
}
