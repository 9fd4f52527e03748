//! Text to value: numbers, switches, durations, names.
//!
//! Numbers take the forms of Python's `int()` and `float()`, since those read the existing files: blanks around,
//! a sign, `_` between digits; `1e1` where a fraction is allowed. Each function fails with what is wrong and, after
//! a semicolon, what would be right.

use super::option::{Reading, Type};
use super::{LogLevel, Retries};
use crate::net::unbracketed;
use std::net::IpAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

/// Longest duration, in seconds: ten years. Beyond it lie slips, and moments that the clock cannot represent.
const LONGEST: f64 = 315_360_000.0;

/// Why a value is refused: what is wrong, and what would be right.
pub type Refusal = String;

/// [`address`]
pub(super) const ADDRESS: Reading<IpAddr> = Reading::new(Type::Text, address);
/// [`boolean`]
pub(super) const BOOLEAN: Reading<bool> = Reading::new(Type::Boolean, boolean);
/// [`bytes`]
pub(super) const BYTES: Reading<NonZeroU64> = Reading::new(Type::Bytes, bytes);
/// [`count`]
pub(super) const COUNT: Reading<NonZeroUsize> = Reading::new(Type::Count, count);
/// [`path`]
pub(super) const DIRECTORY: Reading<PathBuf> = Reading::new(Type::Directory, path);
/// [`factor`]
pub(super) const FACTOR: Reading<f64> = Reading::new(Type::Number, factor);
/// [`path`]
pub(super) const FILE: Reading<PathBuf> = Reading::new(Type::File, path);
/// [`fraction`]
pub(super) const FRACTION: Reading<f64> = Reading::new(Type::Fraction, fraction);
/// [`host`]
pub(super) const HOST: Reading<String> = Reading::new(Type::Text, host);
/// [`loglevel`]
pub(super) const LOGLEVEL: Reading<LogLevel> = Reading::new(Type::LogLevel, loglevel);
/// [`namespace`]
pub(super) const NAMESPACE: Reading<String> = Reading::new(Type::Text, namespace);
/// [`optional_time_limit`]
pub(super) const OPTIONAL_TIME_LIMIT: Reading<Option<Duration>> = Reading::new(Type::Seconds, optional_time_limit);
/// [`pause`]
pub(super) const PAUSE: Reading<Duration> = Reading::new(Type::Seconds, pause);
/// [`port`]
pub(super) const PORT: Reading<u16> = Reading::new(Type::Port, port);
/// [`retries`]
pub(super) const RETRIES: Reading<Retries> = Reading::new(Type::Retries, retries);
/// [`text`]
pub(super) const TEXT: Reading<String> = Reading::new(Type::Text, text);
/// [`time_limit`]
pub(super) const TIME_LIMIT: Reading<Duration> = Reading::new(Type::Seconds, time_limit);
/// [`whole_seconds`]
pub(super) const WHOLE_SECONDS: Reading<Duration> = Reading::new(Type::WholeSeconds, whole_seconds);
/// [`workers`]
pub(super) const WORKERS: Reading<NonZeroUsize> = Reading::new(Type::Count, workers);

/// Any text, as it is.
pub fn text(text: &str) -> Result<String, Refusal> {
    Ok(text.to_owned())
}

/// 1/yes/true/on and 0/no/false/off, in any case.
pub fn boolean(text: &str) -> Result<bool, Refusal> {
    match text.to_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        "" => Err("empty; write true or false".to_owned()),
        _ => Err("neither true nor false; write true or false".to_owned()),
    }
}

/// The five levels in any case, and the other names that Python's logging has for them.
pub fn loglevel(text: &str) -> Result<LogLevel, Refusal> {
    match text.to_lowercase().as_str() {
        "debug" | "notset" => Ok(LogLevel::Debug),
        "info" => Ok(LogLevel::Info),
        "warning" | "warn" => Ok(LogLevel::Warning),
        "error" => Ok(LogLevel::Error),
        "critical" | "fatal" => Ok(LogLevel::Critical),
        _ => Err("no level of logging; write debug, info, warning, error or critical".to_owned()),
    }
}

/// A whole number as Python's `int()` reads it; `None` where it is none or does not fit.
#[must_use]
pub fn integer(text: &str) -> Option<i128> {
    let text = text.trim_matches(super::reader::is_blank);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = without_underscores(digits).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    let value: i128 = plain.parse().ok()?;
    Some(if text.starts_with('-') { -value } else { value })
}

/// A finite number as Python's `float()` reads it; `None` for anything else.
#[must_use]
pub fn float(text: &str) -> Option<f64> {
    let text = text.trim_matches(super::reader::is_blank);
    let plain = without_underscores(text)?;
    // Letters other than the exponent's would let "inf" and "nan" in.
    let numeric = plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    plain.parse().ok().filter(|value: &f64| numeric && value.is_finite())
}

/// Takes out underscores, each of which must stand between two digits; `None` where one does not, or nothing is left.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let misplaced = |at: usize| !(digit(at.checked_sub(1)) && digit(at.checked_add(1)));
    let wrong = bytes.iter().enumerate().any(|(at, byte)| *byte == b'_' && misplaced(at));
    (!wrong && !text.is_empty()).then(|| text.replace('_', ""))
}

/// A whole number from `least` to `most`.
fn whole(text: &str, least: i128, most: i128) -> Result<i128, Refusal> {
    let right = || match most {
        _ if most >= i128::from(u32::MAX) => format!("write a whole number, {least} or more"),
        _ => format!("write a whole number from {least} to {most}"),
    };
    match integer(text) {
        Some(value) if value < least => Err(format!("below {least}; {}", right())),
        Some(value) if value > most => Err(format!("above {most}; {}", right())),
        Some(value) => Ok(value),
        None if text.is_empty() => Err(format!("empty; {}", right())),
        None if float(text).is_some() => Err(format!("not a whole number; {}", right())),
        None => Err(format!("not a number; {}", right())),
    }
}

/// -1 is for ever.
pub fn retries(text: &str) -> Result<Retries, Refusal> {
    let times = whole(text, -1, i128::from(u32::MAX))?;
    Ok(u32::try_from(times).map_or(Retries::Forever, Retries::Times))
}

/// 1 or more.
pub fn count(text: &str) -> Result<NonZeroUsize, Refusal> {
    let value = whole(text, 1, i64::MAX.into())?;
    usize::try_from(value).ok().and_then(NonZeroUsize::new).ok_or_else(|| "too large for this machine".to_owned())
}

/// 1 or more, bytes.
pub fn bytes(text: &str) -> Result<NonZeroU64, Refusal> {
    let value = whole(text, 1, i64::MAX.into())?;
    u64::try_from(value).ok().and_then(NonZeroU64::new).ok_or_else(|| "too large".to_owned())
}

/// Number of worker processes: as many as a machine could have a use for.
pub fn workers(text: &str) -> Result<NonZeroUsize, Refusal> {
    let value = whole(text, 1, 1024)?;
    usize::try_from(value).ok().and_then(NonZeroUsize::new).ok_or_else(|| "too large for this machine".to_owned())
}

/// A TCP port.
pub fn port(text: &str) -> Result<u16, Refusal> {
    let value = whole(text, 1, u16::MAX.into())?;
    u16::try_from(value).map_err(|_| "not a port; write a whole number from 1 to 65535".to_owned())
}

/// Seconds, a fraction allowed, from `least` on.
fn seconds_from(text: &str, least: f64, right: &str) -> Result<Duration, Refusal> {
    let wrong = match float(text) {
        None if text.is_empty() => "empty",
        None => "not a number of seconds",
        Some(value) if value < 0.0 => "negative",
        Some(value) if value < least => "too short",
        Some(value) if value > LONGEST => "longer than ten years",
        Some(value) => return Duration::try_from_secs_f64(value).map_err(|error| error.to_string()),
    };
    Err(format!("{wrong}; {right}"))
}

/// A pause: 0 or more.
pub fn pause(text: &str) -> Result<Duration, Refusal> {
    seconds_from(text, 0.0, "write a number of seconds, 0 or more, such as 0.5 or 10")
}

/// A limit of time: a millisecond or more, since nothing is ever done in no time.
pub fn time_limit(text: &str) -> Result<Duration, Refusal> {
    seconds_from(text, 0.001, "write a number of seconds above 0, such as 0.5 or 10")
}

/// A limit of time that 0 switches off.
pub fn optional_time_limit(text: &str) -> Result<Option<Duration>, Refusal> {
    if float(text) == Some(0.0) {
        return Ok(None);
    }
    seconds_from(text, 0.001, "write a number of seconds, such as 0.5 or 2, or 0 for no limit").map(Some)
}

/// Whole seconds, 1 or more.
pub fn whole_seconds(text: &str) -> Result<Duration, Refusal> {
    let value = whole(text, 1, 86_400)?;
    Ok(Duration::from_secs(u64::try_from(value).unwrap_or_default()))
}

/// A factor: a finite number, 0 or more.
pub fn factor(text: &str) -> Result<f64, Refusal> {
    match float(text) {
        Some(value) if value < 0.0 => Err("negative; write a number, 1 or more".to_owned()),
        Some(value) if value > 1000.0 => Err("above 1000; write a number from 1 to 1000".to_owned()),
        Some(value) => Ok(value),
        None if text.is_empty() => Err("empty; write a number, 1 or more, such as 2".to_owned()),
        None => Err("not a number; write a number, 1 or more, such as 2".to_owned()),
    }
}

/// A part of a whole: a number from 0 to 1.
pub fn fraction(text: &str) -> Result<f64, Refusal> {
    let value = float(text).filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "not a fraction; write a number from 0 to 1, such as 0.5".to_owned())
}

/// An address to listen at; brackets around one of IPv6 are taken off.
pub fn address(text: &str) -> Result<IpAddr, Refusal> {
    let address = unbracketed(text).parse();
    address.map_err(|_| "not an address; write 0.0.0.0, ::, or an address of this host".to_owned())
}

/// A path, not empty. A null byte cannot be part of a file's name.
pub fn path(text: &str) -> Result<std::path::PathBuf, Refusal> {
    if text.is_empty() {
        return Err("empty; write a path, such as /var/lib/haproxystats, or remove the line".to_owned());
    }
    // A name may hold nearly anything, but one that begins with a quote is a path in quotes.
    if text.contains(['\0', '\n']) || text.starts_with(['"', '\'']) {
        return Err("not a path; write one path in one line".to_owned());
    }
    Ok(text.into())
}

/// Elements of a Graphite path, such as `loadbalancers` or `lb.europe`.
pub fn namespace(text: &str) -> Result<String, Refusal> {
    if text.is_empty() {
        return Err("empty; write the first element of the paths, such as loadbalancers".to_owned());
    }
    if let Some(bad) = text.chars().find(|c| c.is_whitespace() || c.is_control() || *c == ';') {
        return Err(format!("{bad:?} cannot be part of a Graphite path; write letters, digits, dots, - and _"));
    }
    if text.split('.').any(str::is_empty) {
        return Err("a dot must stand between two names; write for example lb.europe".to_owned());
    }
    Ok(text.to_owned())
}

/// A host: name, IPv4 or IPv6 address; brackets around an IPv6 address are taken off.
pub fn host(text: &str) -> Result<String, Refusal> {
    let bare = unbracketed(text);
    if bare.is_empty() {
        return Err("empty; write a name or an address, such as 127.0.0.1".to_owned());
    }
    let address = bare.parse::<std::net::Ipv6Addr>().is_ok();
    let scoped = bare.split_once('%').is_some_and(|(ip, zone)| {
        ip.parse::<std::net::Ipv6Addr>().is_ok() && !zone.is_empty() && !zone.contains(char::is_whitespace)
    });
    if address || scoped {
        return Ok(bare.to_owned());
    }
    if bare.contains(':') {
        return Err("neither a name nor an address; a port goes into the option port".to_owned());
    }
    if bare.len() > 253
        || bare != text
        || bare.contains(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.')))
    {
        return Err("neither a name nor an address; write for example graphite.example.com or 127.0.0.1".to_owned());
    }
    Ok(bare.to_owned())
}

/// One of a few words, in any case.
pub fn choice<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Refusal> {
    let known = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| format!("not known; write {}", known()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_as_python_writes_them() {
        for (text, value) in [("5", 5), (" 5\t", 5), ("+5", 5), ("-5", -5), ("1_000", 1000), ("007", 7), ("-0", 0)] {
            assert_eq!(integer(text), Some(value), "{text:?}");
        }
        for text in ["", "_1", "1_", "1__0", "1.0", "1e3", "0x10", "+", "- 5", "++5", "5 5", "٥", "nan"] {
            assert_eq!(integer(text), None, "{text:?}");
        }
    }

    #[test]
    fn floats_as_python_writes_them() {
        let good = [("1", 1.0), (" .5 ", 0.5), ("5.", 5.0), ("1e1", 10.0), ("1_0.2_5", 10.25), ("+1E-3", 0.001)];
        for (text, value) in good {
            assert_eq!(float(text), Some(value), "{text:?}");
        }
        for text in ["", ".", "inf", "-inf", "nan", "infinity", "1e999", "1_.0", "1._0", "1e_1", "0x1p3", "1 2", "e1"] {
            assert_eq!(float(text), None, "{text:?}");
        }
    }

    #[test]
    fn switches_in_any_case() {
        assert_eq!(boolean("ON"), Ok(true));
        assert_eq!(boolean("No"), Ok(false));
        assert!(boolean("maybe").is_err() && boolean("").is_err() && boolean("t").is_err());
    }

    #[test]
    fn durations_have_sense() {
        assert_eq!(pause("0"), Ok(Duration::ZERO));
        assert_eq!(time_limit("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(optional_time_limit("0.0"), Ok(None));
        assert_eq!(optional_time_limit("0.5"), Ok(Some(Duration::from_millis(500))));
        assert_eq!(whole_seconds("10"), Ok(Duration::from_secs(10)));
        for bad in ["-1", "nan", "inf", "1e300", "2 s", ""] {
            assert!(pause(bad).is_err(), "{bad:?}");
        }
        assert!(time_limit("0").is_err() && whole_seconds("0").is_err() && whole_seconds("1.5").is_err());
    }

    #[test]
    fn retries_from_minus_one() {
        assert_eq!(retries("-1"), Ok(Retries::Forever));
        assert_eq!(retries("0"), Ok(Retries::Times(0)));
        assert!(retries("-2").is_err() && retries("1.5").is_err());
    }

    #[test]
    fn hosts_and_paths_in_graphite() {
        assert_eq!(host("[::1]").as_deref(), Ok("::1"));
        assert_eq!(host("fe80::1%eth0").as_deref(), Ok("fe80::1%eth0"));
        assert_eq!(host("carbon-1.example.com").as_deref(), Ok("carbon-1.example.com"));
        for bad in ["", "a:2003", "tcp://a", "a b", "[a]", "[]"] {
            assert!(host(bad).is_err(), "{bad:?}");
        }
        assert!(namespace("lb.europe").is_ok());
        for bad in ["", "a b", "a..b", ".a", "a\nb", "a;b=c"] {
            assert!(namespace(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn words_and_levels_have_all_their_names() {
        for (words, value) in [(["1", "yes", "true", "on"], true), (["0", "no", "false", "off"], false)] {
            assert!(words.iter().all(|word| boolean(word) == Ok(value)), "{words:?}");
        }
        for (names, level) in [
            (["debug", "NOTSET"], LogLevel::Debug),
            (["info", "INFO"], LogLevel::Info),
            (["warning", "warn"], LogLevel::Warning),
            (["error", "Error"], LogLevel::Error),
            (["critical", "fatal"], LogLevel::Critical),
        ] {
            assert!(names.iter().all(|name| loglevel(name) == Ok(level)), "{names:?}");
        }
        assert!(loglevel("verbose").is_err() && loglevel("").is_err());
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_what_would_be_right() {
        let whole = |text: &str| workers(text).unwrap_err();
        let right = "write a whole number from 1 to 1024";
        for (text, wrong) in [
            ("", "empty"),
            ("0", "below 1"),
            ("1025", "above 1024"),
            ("1.5", "not a whole number"),
            ("many", "not a number"),
        ] {
            assert_eq!(whole(text), format!("{wrong}; {right}"));
        }
        assert_eq!(count("0").unwrap_err(), "below 1; write a whole number, 1 or more");
        let right = "write a number of seconds above 0, such as 0.5 or 10";
        for (text, wrong) in [
            ("", "empty"),
            ("2 s", "not a number of seconds"),
            ("-1", "negative"),
            ("0", "too short"),
            ("1e9", "longer than ten years"),
        ] {
            assert_eq!(time_limit(text).unwrap_err(), format!("{wrong}; {right}"));
        }
        assert_eq!(time_limit("0.001"), Ok(Duration::from_millis(1)));
        assert_eq!(pause("315360000"), Ok(Duration::from_secs(315_360_000)));
    }

    #[test]
    fn factors_and_fractions_have_bounds() {
        for (text, value) in [("0", 0.0), ("1.5", 1.5), ("1000", 1000.0)] {
            assert_eq!(factor(text), Ok(value));
        }
        for (text, wrong) in [("-0.5", "negative"), ("1000.5", "above 1000"), ("", "empty"), ("twice", "not a number")]
        {
            assert!(factor(text).unwrap_err().starts_with(&format!("{wrong};")), "{text:?}");
        }
        assert_eq!((fraction("0"), fraction("1")), (Ok(0.0), Ok(1.0)));
        assert!(fraction("-0.1").is_err() && fraction("1.1").is_err() && fraction("").is_err());
    }

    #[test]
    fn a_zone_is_part_of_an_ipv6_address_only() {
        for bad in ["fe80::1%", "fe80::1%a b", "127.0.0.1%lo", "name%lo"] {
            assert!(host(bad).is_err(), "{bad:?}");
        }
        assert_eq!(address("[::1]"), Ok(IpAddr::from(std::net::Ipv6Addr::LOCALHOST)));
        assert!(address("localhost").is_err() && address("").is_err());
    }
}
