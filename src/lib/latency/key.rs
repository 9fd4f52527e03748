//! Keys of the table: `<backend>/<server>/<timers>/<bounds>/<pid>/`.
//!
//! Neither names of HAProxy nor what we add hold a slash. The process is in it since a table may be shared: with `peers` the
//! rows of an old worker come to the new one, and each goes on counting in its own. The slash at the end shows that the key is
//! whole: HAProxy cuts one that is longer than the `len` of the table.

use std::fmt;

/// Why a key is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Made by other rules.
    #[error("its key is not <backend>/<server>/<timers>/<bounds>/<pid>/, as written by the rules of --latency-rules")]
    Foreign,
    /// Longer than the table's `len`.
    #[error("its key is truncated: the len of the table is too small")]
    CutOff,
}

/// What a row of the table is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    /// The name of the backend.
    pub backend: &'a str,
    /// That of the server.
    pub server: &'a str,
    /// Timers and bounds, as [`super::layout::Layout`] writes them.
    pub layout: &'a str,
    /// All of that, as the key has it: what is the same in every process.
    pub object: &'a str,
    /// The process that has counted.
    pub pid: u32,
}

impl<'a> Key<'a> {
    /// Takes a key apart.
    ///
    /// # Errors
    /// It is none of ours.
    pub fn parse(text: &'a str) -> Result<Self, KeyError> {
        let Some(whole) = text.strip_suffix('/') else {
            return Err(if text.matches('/').count() >= 2 { KeyError::CutOff } else { KeyError::Foreign });
        };
        let (object, pid) = whole.rsplit_once('/').ok_or(KeyError::Foreign)?;
        let pid = pid.parse().map_err(|_| KeyError::Foreign)?;
        let (backend, server, layout) = parts(object).ok_or(KeyError::Foreign)?;
        Ok(Self { backend, server, layout, object, pid })
    }
}

/// Backend, server and layout of `<backend>/<server>/<timers>/<bounds>`.
pub(super) fn parts(object: &str) -> Option<(&str, &str, &str)> {
    let (backend, rest) = object.split_once('/')?;
    let (server, layout) = rest.split_once('/')?;
    let right = !backend.is_empty() && !server.is_empty() && layout.matches('/').count() == 1;
    right.then_some((backend, server, layout))
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/", self.object, self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_apart() {
        let text = "www/s1/response,queue/1,2,5/4711/";
        let key = Key::parse(text).unwrap();
        assert_eq!((key.backend, key.server, key.layout, key.pid), ("www", "s1", "response,queue/1,2,5", 4711));
        assert_eq!((key.object, key.to_string().as_str()), ("www/s1/response,queue/1,2,5", text));
    }

    #[test]
    fn what_is_none_of_ours() {
        for text in [
            "",
            "/",
            "www/s1",
            "192.0.2.1",
            "a/b/c/d/x/",
            "a/b/c/7/",
            "a/b/c/d/e/7/",
            "/b/c/d/7/",
            "a//c/d/7/",
            "a/b/c/d//",
        ] {
            assert_eq!(Key::parse(text), Err(KeyError::Foreign), "{text:?}");
        }
        for text in ["a/b/c/d/7", "a/b/resp", "a/b/response/1,2,5"] {
            assert_eq!(Key::parse(text), Err(KeyError::CutOff), "{text:?}");
        }
    }
}
