//! Text from outside, such as names of files, proxies and servers, may hold anything: an escape sequence that changes what a
//! terminal shows, or a newline that begins a line of its own. Here, and here only, it is made visible before it reaches a log
//! or becomes a key; and passwords of URLs are taken out of it.

use std::borrow::Cow;
use std::io::{self, Write};

/// The text with a visible escape, as Rust writes it, in place of each character that is not to be seen but does something:
/// control characters, separators of lines, and those that change the direction of text. A text without any stays as it is,
/// and so do backslashes.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if acts(letter) {
            visible.extend(letter.escape_default());
        } else {
            visible.push(letter);
        }
    }
    Cow::Owned(visible)
}

fn acts(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with `***` in place of each password in a URL: `https://user:***@host/`.
#[must_use]
pub(crate) fn without_passwords(text: &str) -> Cow<'_, str> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(start) = rest.find("://") {
        let (before, authority) = rest.split_at(start + 3);
        let end =
            authority.find(|letter: char| letter.is_whitespace() || matches!(letter, '/' | '?' | '#' | '"' | '\''));
        let (host, after) = authority.split_at(end.unwrap_or(authority.len()));
        out.push_str(before);
        match host.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
            Some((user, host)) => out.extend([user, ":***@", host]),
            None => out.push_str(host),
        }
        rest = after;
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Writes lines of a log, of which each is written at once: one line each, whatever is in it.
#[derive(Debug)]
pub struct Lines<W> {
    to: W,
    /// Colours may pass: sequences that do nothing else.
    colours: bool,
}

impl<W: Write> Lines<W> {
    /// Writes to `to`. With `colours`, escape sequences for colours are left as they are.
    pub fn new(to: W, colours: bool) -> Self {
        Self { to, colours }
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = without_passwords(&text);
        let (line, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        let mut visible = String::with_capacity(text.len());
        let mut rest = line;
        while let Some((before, colour, after)) = self.colours.then(|| split_at_colour(rest)).flatten() {
            visible.push_str(&self::visible(before));
            visible.push_str(colour);
            rest = after;
        }
        visible.push_str(&self::visible(rest));
        visible.push_str(end);
        self.to.write_all(visible.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The text before the first sequence for a colour, that sequence (`ESC [ 1 ; 31 m`), and the text after it.
fn split_at_colour(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let start = from + text.get(from..)?.find("\u{1b}[")?;
        let parameters = text.get(start + 2..)?;
        let end = parameters.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
        if parameters.get(end..)?.starts_with('m') {
            let (before, rest) = text.split_at(start);
            let (colour, after) = rest.split_at(2 + end + 1);
            return Some((before, colour, after));
        }
        from = start + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_something_is_made_visible() {
        for (text, seen) in [
            ("", ""),
            ("wéb-1 \\n", "wéb-1 \\n"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}[2J\u{7f}\0", "\\u{1b}[2J\\u{7f}\\u{0}"),
            ("a\u{85}\u{2028}\u{202e}b", "a\\u{85}\\u{2028}\\u{202e}b"),
        ] {
            assert_eq!(visible(text), seen);
        }
        assert!(matches!(visible("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn passwords_in_urls_are_not_shown() {
        for (text, shown) in [
            ("plain", "plain"),
            ("https://host/a:b@c", "https://host/a:b@c"),
            ("GET http://me:geheim@host:80/x?y failed", "GET http://me:***@host:80/x?y failed"),
            ("http://a:b:c@d@e and tcp://f:1, x://u@h", "http://a:***@e and tcp://f:1, x://u@h"),
            ("://", "://"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
        assert_eq!(written("url=\"http://a:geheim@b\"\n", false), "url=\"http://a:***@b\"\n");
    }

    fn written(line: &str, colours: bool) -> String {
        let mut out = Vec::new();
        Lines::new(&mut out, colours).write_all(line.as_bytes()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_of_the_log_stays_one() {
        assert_eq!(written("INFO a\nERROR b\n", false), "INFO a\\nERROR b\n");
        assert_eq!(written("a\n\n", false), "a\\n\n");
        assert_eq!(written("\u{1b}[32mINFO\n", false), "\\u{1b}[32mINFO\n");
    }

    #[test]
    fn only_colours_reach_a_terminal() {
        assert_eq!(written("\u{1b}[1;32mINFO\u{1b}[0m x\n", true), "\u{1b}[1;32mINFO\u{1b}[0m x\n");
        assert_eq!(written("\u{1b}[2J\u{1b}[31mx\u{1b}]0;t\u{7}\n", true), "\\u{1b}[2J\u{1b}[31mx\\u{1b}]0;t\\u{7}\n");
        assert_eq!(written("\u{1b}[\u{1b}[31m\u{1b}[3", true), "\\u{1b}[\u{1b}[31m\\u{1b}[3");
    }
}
