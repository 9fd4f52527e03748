//! The headers of a message, which say what its payload is.

use crate::snapshot::{Epoch, PULL_COUNTERS};
use std::str::FromStr;

/// Version of the format. A reader accepts this version and earlier ones, and ignores unknown headers, so that optional headers
/// do not need a new version.
pub(crate) const VERSION: u32 = 1;

/// A number above this is not a version.
const LAST_VERSION: u32 = 999;

/// Maximum number of files of a host in one second.
pub(crate) const MOST_FILES: usize = 10_000;

/// Maximum length of the name of a host, a cluster or a file.
const LONGEST: usize = 200;

/// Maximum number of seconds between two pulls.
const LONGEST_INTERVAL: u64 = 86_400;

/// What the payload of a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The host that the statistics are from.
    pub host: String,
    /// The cluster of the host.
    pub cluster: Option<String>,
    /// Second of the pull.
    pub time: Epoch,
    /// Seconds between two pulls.
    pub interval: u64,
    /// Name of the file.
    pub file: String,
    /// How many files the host has in that second.
    pub files: usize,
    /// Where the payload begins in the file.
    pub offset: u64,
    /// Length of the whole file.
    pub size: u64,
}

/// Why a message is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is from another program.
    #[error("not a message of haproxystats: header haproxystats is missing")]
    Foreign,
    /// It has a later version, whose meaning is unknown.
    #[error("written in version {0} of the format, and this program reads up to {VERSION}; upgrade it")]
    Newer(u32),
    /// A header is missing.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// A header has an invalid value.
    #[error("header {0} is malformed")]
    Malformed(&'static str),
}

impl Label {
    /// The headers, as names and values.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("haproxystats", VERSION.to_string()), ("host", self.host.clone())];
        headers.extend(self.cluster.clone().map(|cluster| ("cluster", cluster)));
        headers.extend([
            ("time", self.time.to_string()),
            ("interval", self.interval.to_string()),
            ("file", self.file.clone()),
            ("files", self.files.to_string()),
            ("offset", self.offset.to_string()),
            ("size", self.size.to_string()),
        ]);
        headers
    }

    /// Parses the headers of a message whose payload has `payload` bytes. Refuses all values that could do harm, such as paths.
    ///
    /// # Errors
    /// The message is not from haproxystats, has a later version, or is inconsistent.
    pub fn parse<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>, payload: usize) -> Result<Self, Refused> {
        let headers: Vec<(&str, &[u8])> = headers.collect();
        let text = |name: &'static str| {
            let (_, value) = headers.iter().find(|(of, _)| *of == name).ok_or(Refused::Missing(name))?;
            std::str::from_utf8(value).map_err(|_| Refused::Malformed(name))
        };
        let version: u32 = match text("haproxystats") {
            Err(Refused::Missing(_)) => return Err(Refused::Foreign),
            other => number("haproxystats", other?)?,
        };
        match version {
            1..=VERSION => {}
            version if version > VERSION && version <= LAST_VERSION => return Err(Refused::Newer(version)),
            _ => return Err(Refused::Malformed("haproxystats")),
        }
        let named = |name: &'static str, good: fn(&str) -> bool| {
            text(name).and_then(|text| if good(text) { Ok(text.to_owned()) } else { Err(Refused::Malformed(name)) })
        };
        let cluster = match named("cluster", is_name) {
            Err(Refused::Missing(_)) => None,
            cluster => Some(cluster?),
        };
        let label = Self {
            host: named("host", is_name)?,
            cluster,
            time: Epoch::from_name(text("time")?).ok_or(Refused::Malformed("time"))?,
            interval: number("interval", text("interval")?)?,
            file: named("file", is_file)?,
            files: number("files", text("files")?)?,
            offset: number("offset", text("offset")?)?,
            size: number("size", text("size")?)?,
        };
        let end = label.offset.checked_add(payload as u64);
        match &label {
            Self { interval, .. } if !(1..=LONGEST_INTERVAL).contains(interval) => Err(Refused::Malformed("interval")),
            Self { files, .. } if !(1..=MOST_FILES).contains(files) => Err(Refused::Malformed("files")),
            Self { size, .. } if end.is_none_or(|end| end > *size) => Err(Refused::Malformed("offset")),
            Self { size, .. } if payload == 0 && *size > 0 => Err(Refused::Malformed("offset")),
            _ => Ok(label),
        }
    }

    /// Whether a message can carry these names of a host and a cluster.
    #[must_use]
    pub(crate) fn can_name(host: &str, cluster: Option<&str>) -> bool {
        is_name(host) && cluster.is_none_or(is_name)
    }

    /// Whether a message can carry a file of this name.
    #[must_use]
    pub(crate) fn can_carry(file: &str) -> bool {
        is_file(file)
    }
}

fn number<T: FromStr>(name: &'static str, text: &str) -> Result<T, Refused> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(Refused::Malformed(name))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control)
}

/// Whether this is a plain file name. Hidden files do not belong to a snapshot, except the figures of haproxystats-pull.
fn is_file(text: &str) -> bool {
    is_name(text) && !text.contains('/') && (!text.starts_with('.') || text == PULL_COUNTERS)
}

/// Headers as one sequence of bytes.
#[must_use]
pub fn encode(headers: &[(&'static str, String)]) -> Vec<u8> {
    headers.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]).fold(Vec::new(), |mut bytes, text| {
        bytes.extend_from_slice(text);
        bytes.push(0);
        bytes
    })
}

/// The inverse of [`encode`]: names and values.
pub fn pairs(bytes: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let mut texts = bytes.split(|byte| *byte == 0);
    std::iter::from_fn(move || {
        let name = std::str::from_utf8(texts.next()?).ok().filter(|name| !name.is_empty())?;
        Some((name, texts.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn label() -> Label {
        Label {
            host: "lb-01".to_owned(),
            cluster: Some("ams".to_owned()),
            time: Epoch(1_796_025_600),
            interval: 10,
            file: "haproxy.sock_stat".to_owned(),
            files: 2,
            offset: 3,
            size: 10,
        }
    }

    fn read(label: &Label, payload: usize) -> Result<Label, Refused> {
        Label::parse(pairs(&encode(&label.headers())), payload)
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&label(), 7), Ok(label()));
        let alone = Label { cluster: None, file: ".pull".to_owned(), ..label() };
        assert_eq!(read(&alone, 1), Ok(alone));
        let empty = Label { offset: 0, size: 0, ..label() };
        assert_eq!(read(&empty, 0), Ok(empty));
    }

    #[test]
    fn what_could_do_harm_is_refused() {
        let of = |change: &dyn Fn(&mut Label)| {
            let mut label = label();
            change(&mut label);
            read(&label, 7)
        };
        for (name, change) in [
            ("file", &(|label: &mut Label| label.file = "../x_stat".to_owned()) as &dyn Fn(&mut Label)),
            ("file", &|label| label.file = ".origin".to_owned()),
            ("file", &|label| label.file = String::new()),
            ("host", &|label| label.host = "a\tb".to_owned()),
            ("host", &|label| label.host = "x".repeat(300)),
            ("cluster", &|label| label.cluster = Some(String::new())),
            ("files", &|label| label.files = 0),
            ("files", &|label| label.files = MOST_FILES + 1),
            ("interval", &|label| label.interval = 0),
            ("offset", &|label| label.offset = 4),
            ("offset", &|label| label.offset = u64::MAX),
            ("offset", &|label| label.size = 9),
        ] {
            assert_eq!(of(change), Err(Refused::Malformed(name)));
        }
        assert_eq!(read(&label(), 0), Err(Refused::Malformed("offset")));
    }

    #[test]
    fn other_versions_are_told_apart() {
        let with = |version: &'static str| {
            let headers = label().headers().into_iter().map(|(name, value)| match name {
                "haproxystats" => (name, version.to_owned()),
                _ => (name, value),
            });
            Label::parse(pairs(&encode(&headers.collect::<Vec<_>>())), 7)
        };
        assert_eq!(with("2"), Err(Refused::Newer(2)));
        for bad in ["0", "-1", "1.0", "", "1000", "99999999999"] {
            assert_eq!(with(bad), Err(Refused::Malformed("haproxystats")), "{bad}");
        }
        assert_eq!(Label::parse(std::iter::empty(), 7), Err(Refused::Foreign));
        let mut headers = label().headers();
        headers.push(("later", "words".to_owned()));
        assert_eq!(Label::parse(pairs(&encode(&headers)), 7), Ok(label()));
        headers.remove(1);
        assert_eq!(Label::parse(pairs(&encode(&headers)), 7), Err(Refused::Missing("host")));
    }

    proptest! {
        #[test]
        fn no_headers_make_it_panic(headers in proptest::collection::vec(("[a-z]{0,12}", proptest::collection::vec(any::<u8>(), 0..12)), 0..12)) {
            let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
            let _ = Label::parse(pairs, 5);
        }
    }
}
