//! What HAProxy makes of an agent's answer: its grammar, and a model of the server that it applies to.
//!
//! The rules are those of `tcpcheck_agent_expect_reply` (src/tcpcheck.c) and `server_parse_weight_change_request`
//! (src/server.c), the same from 2.4 to 3.0; 3.1 adds `weight:`. Tables recorded from running HAProxy hold them.

use thiserror::Error;

/// Versions of HAProxy that differ in what they make of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 2.4 to 3.0
    Until30,
    /// 3.1 and later: `weight:50` and `weight:50%` as well.
    From31,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 2] = [Self::Until30, Self::From31];

    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Until30 => "HAProxy 2.4 to 3.0",
            Self::From31 => "HAProxy 3.1 and later",
        }
    }
}

/// Words about health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// `up`
    Up,
    /// `down`, `stopped`, `fail`: all three take the server out of service.
    Down,
}

/// Words about the administrative state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admin {
    /// `ready`: ends drain and maintenance.
    Ready,
    /// `drain`
    Drain,
    /// `maint`
    Maint,
}

/// A new weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Percent of the weight in the configuration.
    Percent(i64),
    /// As it is, 0 to 256.
    Absolute(i64),
}

impl Weight {
    /// The weight that comes out: whole numbers only, so that 75 % of 1 is 0.
    #[must_use]
    pub fn of(self, configured: u16) -> u16 {
        let weight = match self {
            Self::Percent(percent) => i64::from(configured) * percent.clamp(0, 25_600) / 100,
            Self::Absolute(weight) => weight,
        };
        u16::try_from(weight.clamp(0, 256)).unwrap_or(256)
    }
}

/// What a line says. Of several words of one kind the last counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// Last word about health.
    pub health: Option<Health>,
    /// Last word about the administrative state.
    pub admin: Option<Admin>,
    /// Last weight, or why HAProxy refuses it.
    pub weight: Option<Result<Weight, &'static str>>,
    /// Last `maxconn:`, or why HAProxy refuses it. A negative number wraps around.
    pub maxconn: Option<Result<u32, &'static str>>,
    /// What follows `#` at the beginning of a word.
    pub description: Option<String>,
    /// Words that HAProxy does not know and skips.
    pub unknown: Vec<String>,
}

/// Why an answer changes nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Ignored {
    /// The connection was closed without a byte.
    #[error("the answer is empty: nothing changes in HAProxy")]
    Empty,
    /// No line feed and no carriage return came.
    #[error("no line end: HAProxy ignores an incomplete line")]
    NoLineEnd,
    /// A null byte hides the line end.
    #[error("a null byte before the line end: HAProxy ignores the line")]
    Null,
    /// The line does not fit into HAProxy's buffer (tune.bufsize).
    #[error("longer than HAProxy's buffer of 16384 bytes: HAProxy ignores the line")]
    TooLong,
}

/// `tune.bufsize` as HAProxy sets it by itself.
const BUFFER: usize = 16_384;

/// Reads the first line of an answer, as sent.
///
/// # Errors
/// The answer changes nothing.
pub fn read(answer: &[u8], version: Version) -> Result<Reading, Ignored> {
    if answer.is_empty() {
        return Err(Ignored::Empty);
    }
    let line = match answer.iter().position(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        Some(end) if end >= BUFFER => return Err(Ignored::TooLong),
        Some(end) if answer.get(end) == Some(&0) => return Err(Ignored::Null),
        Some(end) => answer.get(..end).unwrap_or_default(),
        None if answer.len() >= BUFFER => return Err(Ignored::TooLong),
        None => return Err(Ignored::NoLineEnd),
    };
    let text = String::from_utf8_lossy(line);
    let mut reading = Reading::default();
    let mut rest: &str = &text;
    loop {
        rest = rest.trim_start_matches(SEPARATORS);
        if let Some(description) = rest.strip_prefix('#') {
            reading.description = Some(description.trim_start_matches([' ', '\t']).to_owned());
            break;
        }
        if rest.is_empty() {
            break;
        }
        let end = rest.find(SEPARATORS).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        reading.word(word, version);
        rest = tail;
    }
    Ok(reading)
}

/// What stands between words. A semicolon does not.
const SEPARATORS: [char; 3] = [' ', '\t', ','];

impl Reading {
    fn word(&mut self, word: &str, version: Version) {
        match word.to_ascii_lowercase().as_str() {
            "up" => self.health = Some(Health::Up),
            "down" | "stopped" | "fail" => self.health = Some(Health::Down),
            "ready" => self.admin = Some(Admin::Ready),
            "drain" => self.admin = Some(Admin::Drain),
            "maint" => self.admin = Some(Admin::Maint),
            lower if lower.starts_with(|c: char| c.is_ascii_digit()) && lower.contains('%') => {
                self.weight = Some(weight(lower));
            }
            lower => match (lower.strip_prefix("maxconn:"), lower.strip_prefix("weight:")) {
                (Some(number), _) => self.maxconn = Some(maxconn(number)),
                (None, Some(text)) if version >= Version::From31 => self.weight = Some(weight(text)),
                _ => self.unknown.push(word.to_owned()),
            },
        }
    }
}

/// A number as C's `strtol` takes it, and what follows. What overflows is as good as the largest number.
fn number(text: &str) -> Option<(i64, &str)> {
    let signed = usize::from(text.starts_with(['+', '-']));
    let digits = text.get(signed..).unwrap_or_default();
    let end = signed + digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    if end == signed {
        return None;
    }
    let (number, rest) = text.split_at(end);
    let overflow = if number.starts_with('-') { i64::MIN } else { i64::MAX };
    Some((number.parse().unwrap_or(overflow), rest))
}

fn weight(text: &str) -> Result<Weight, &'static str> {
    match number(text) {
        None => Err("Empty weight string empty or preceded by garbage"),
        Some((percent, "%")) if percent < 0 => Err("Relative weight must be positive"),
        Some((percent, "%")) => Ok(Weight::Percent(percent)),
        Some((weight, _)) if !(0..=256).contains(&weight) => {
            Err("Absolute weight can only be between 0 and 256 inclusive")
        }
        Some((weight, "")) => Ok(Weight::Absolute(weight)),
        Some(_) => Err("Trailing garbage in weight string"),
    }
}

fn maxconn(text: &str) -> Result<u32, &'static str> {
    match number(text) {
        None => Err("Empty maxconn string or preceded by garbage"),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "HAProxy wraps around")]
        Some((number, "")) => Ok(number as u32),
        Some(_) => Err("Trailing garbage in maxconn string"),
    }
}

/// A server of HAProxy, as far as answers of an agent change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Weight in the configuration.
    pub configured: u16,
    /// Effective weight.
    pub weight: u16,
    /// The administrative state.
    pub admin: Admin,
    /// What the last word about health left: `false` after `down`.
    pub agent_up: bool,
    /// What HAProxy's own health check says; `None` without one.
    pub check_up: Option<bool>,
    /// `maxconn` by an answer.
    pub maxconn: Option<u32>,
    /// The balance algorithm takes no weights but 0 % and 100 % (`source`, `static-rr`, map-based hashes).
    pub static_weights: bool,
    /// The first releases of 3.3 and 3.4: a server that leaves maintenance counts as down until the agent said `up`.
    pub agent_unheard: bool,
}

impl Server {
    /// A server with a health check that is good, and an agent check that has not happened.
    #[must_use]
    pub fn new(configured: u16) -> Self {
        Self {
            configured,
            weight: configured,
            admin: Admin::Ready,
            agent_up: true,
            check_up: Some(true),
            maxconn: None,
            static_weights: false,
            agent_unheard: false,
        }
    }

    /// Applies a line: administrative state, weight, maxconn, health, in this order. What is not mentioned stays.
    pub fn apply(&mut self, reading: &Reading) {
        if let Some(admin) = reading.admin {
            if self.admin == Admin::Maint && admin == Admin::Ready && self.agent_unheard {
                self.agent_up = false;
            }
            self.admin = admin;
        }
        if let Some(Ok(weight)) = reading.weight {
            let weight = weight.of(self.configured);
            if !self.static_weights || weight == 0 || weight == self.configured {
                self.weight = weight;
            }
        }
        if let Some(Ok(maxconn)) = reading.maxconn {
            self.maxconn = Some(maxconn);
        }
        match reading.health {
            Some(Health::Up) => (self.agent_up, self.agent_unheard) = (true, false),
            Some(Health::Down) => self.agent_up = false,
            None => {}
        }
    }

    /// Column `status` of `show stat`.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match (self.admin, self.check_up, self.agent_up) {
            (Admin::Maint, ..) => "MAINT",
            (_, Some(false), _) => "DOWN",
            (_, _, false) => "DOWN (agent)",
            (Admin::Drain, ..) => "DRAIN (agent)",
            (Admin::Ready, None, true) => "no check",
            (Admin::Ready, Some(true), true) => "UP",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes of an answer as the tables write them; `None` where nothing was sent whose effect the grammar tells.
    fn bytes(literal: &str) -> Option<Vec<u8>> {
        let inner = literal.strip_prefix("b'")?;
        let mut out = Vec::new();
        let mut chars = inner.strip_suffix('\'')?.chars();
        while let Some(c) = chars.next() {
            match (c, (c == '\\').then(|| chars.next())) {
                (_, Some(Some('n'))) => out.push(b'\n'),
                (_, Some(Some('r'))) => out.push(b'\r'),
                (_, Some(Some('t'))) => out.push(b'\t'),
                (_, Some(Some('x'))) => {
                    let hex: String = chars.by_ref().take(2).collect();
                    out.push(u8::from_str_radix(&hex, 16).unwrap());
                }
                (c, None) => out.push(u8::try_from(c).unwrap()),
                other => panic!("{other:?} in {literal}"),
            }
        }
        Some(out)
    }

    fn table(text: &str, version: Version, first_of_branch: bool) -> usize {
        let mut server = Server::new(100);
        let mut compared = 0;
        for row in text.lines().filter(|row| row.contains('|')) {
            let fields: Vec<&str> = row.split('|').map(str::trim).collect();
            let [name, sent, configured, status, weight, slim, ..] = fields.as_slice() else { panic!("{row}") };
            if !name.is_empty() {
                server = Server::new(configured.strip_prefix("iw=").unwrap().parse().unwrap());
                server.static_weights = name.starts_with("static lb");
                server.agent_unheard = first_of_branch;
                server.check_up = match *name {
                    name if name.starts_with("no check") => None,
                    name => Some(!name.starts_with("health fails")),
                };
                if name.starts_with("disabled") {
                    server.admin = Admin::Maint;
                }
            }
            let sent = match *sent {
                "None" | "('hang', b'')" => Vec::new(),
                "('hang', b'down')" => b"down".to_vec(),
                sent if sent.starts_with("('split'") => b"down #slowly\n".to_vec(),
                // The table cuts it off.
                sent if name.starts_with("long line") && sent.starts_with("b'down #xxx") => vec![b'x'; 20_000],
                sent => bytes(sent).unwrap(),
            };
            if let Ok(reading) = read(&sent, version) {
                server.apply(&reading);
            }
            assert_eq!(server.status(), *status, "{row}");
            // 2.6 shows an old weight in maintenance.
            if server.admin != Admin::Maint {
                assert_eq!(weight.strip_prefix("w=").unwrap(), server.weight.to_string(), "{row}");
            }
            assert_eq!(
                slim.strip_prefix("slim=").unwrap(),
                server.maxconn.map_or(String::new(), |m| m.to_string()),
                "{row}"
            );
            compared += 1;
        }
        compared
    }

    #[test]
    fn the_model_does_what_haproxy_was_seen_to_do() {
        let data = |version| {
            let path = format!("{}/tests/data/agent/answers-{version}.txt", env!("CARGO_MANIFEST_DIR"));
            std::fs::read_to_string(path).unwrap()
        };
        assert_eq!(table(&data("2.4.0"), Version::Until30, false), 89);
        assert_eq!(table(&data("2.6.12"), Version::Until30, false), 89);
        assert_eq!(table(&data("3.0.0"), Version::Until30, false), 89);
        assert_eq!(table(&data("3.4.0"), Version::From31, true), 89);
    }

    #[test]
    fn reasons_for_ignoring() {
        let why = |answer: &[u8]| read(answer, Version::Until30).unwrap_err();
        assert_eq!(why(b""), Ignored::Empty);
        assert_eq!(why(b"down"), Ignored::NoLineEnd);
        assert_eq!(why(b"up\0down\n"), Ignored::Null);
        assert_eq!(why(&[b'x'; 20_000]), Ignored::TooLong);
        assert_eq!(read(b"\n", Version::Until30), Ok(Reading::default()));
    }

    #[test]
    fn weights() {
        let weight = |line: &[u8]| read(line, Version::From31).unwrap().weight.unwrap();
        assert_eq!(weight(b"99999999999999999999%\n").unwrap().of(100), 256);
        assert_eq!(weight(b"weight:50\n").unwrap().of(10), 50);
        assert_eq!(weight(b"weight:-5%\n"), Err("Relative weight must be positive"));
        assert_eq!(weight(b"33.3%\n"), Err("Trailing garbage in weight string"));
        assert_eq!(read(b"weight:50\n", Version::Until30).unwrap().unknown, ["weight:50"]);
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(answer in proptest::collection::vec(any::<u8>(), 0..200), configured in 0u16..=256) {
            for version in Version::ALL {
                let mut server = Server::new(configured);
                if let Ok(reading) = read(&answer, version) {
                    server.apply(&reading);
                }
                prop_assert!(server.weight <= 256);
            }
        }
    }
}
