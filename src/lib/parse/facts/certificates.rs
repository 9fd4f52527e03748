//! Certificates, and when they expire: `show ssl sni` of 3.2 and later, a line for each name; before, `show ssl cert FILE`.

use super::Facts;
use crate::haproxy::facts::Thing;
use std::collections::BTreeMap;

/// `now` is the second of the snapshot.
pub(super) fn read(text: &str, now: u64, facts: &mut Facts) {
    // A file is there once for each name that it is for.
    let mut files: BTreeMap<String, i128> = BTreeMap::new();
    let found = if text.starts_with("# ") { names(text, facts) } else { single(text, facts) };
    for (file, end) in found {
        match seconds(end) {
            Some(end) => {
                files.insert(file.to_owned(), i128::from(end) - i128::from(now));
            }
            None => facts.unknown(file),
        }
    }
    for (file, end) in &files {
        facts.add((Thing::Certificate, file.trim_start_matches('/'), ""), "expires_in", *end);
    }
    let total = (Thing::Certificates, "", "");
    if let Some(least) = files.values().min() {
        facts.add(total, "expires_in", *least);
    }
    facts.add(total, "expired", count(files.values().filter(|end| **end <= 0).count()));
    facts.add(total, "count", count(files.len()));
}

fn count(number: usize) -> i128 {
    i128::try_from(number).unwrap_or(i128::MAX)
}

/// Files and their ends in a list of names.
fn names<'a>(text: &'a str, facts: &mut Facts) -> Vec<(&'a str, &'a str)> {
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').map(str::trim).collect();
    let place = |wanted: &str| header.iter().position(|name| *name == wanted);
    let (Some(file), Some(end)) = (place("Filename"), place("NotAfter")) else {
        facts.unknown("header");
        return Vec::new();
    };
    let mut found = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.split('\t').collect();
        match (cells.get(file), cells.get(end)) {
            (Some(file), Some(end)) => found.push((*file, *end)),
            _ => facts.unknown(line),
        }
    }
    found
}

/// Files and their ends in replies about each. One without a certificate, such as a key alone, has no end.
fn single<'a>(text: &'a str, facts: &mut Facts) -> Vec<(&'a str, &'a str)> {
    let mut found = Vec::new();
    for reply in text.split("\n\n").filter(|reply| !reply.trim().is_empty()) {
        let of = |name: &str| reply.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        match of("Filename") {
            Some(file) => found.extend(of("notAfter").map(|end| (file, end))),
            None => facts.unknown(reply),
        }
    }
    found
}

/// The seconds since the epoch of a date as OpenSSL writes it: `Dec  3 08:00:52 2026 GMT`.
fn seconds(date: &str) -> Option<i64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut words = date.split_whitespace();
    let (month, day, time, year) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if words.next() != Some("GMT") || month.len() != 3 {
        return None;
    }
    let month = i64::try_from(MONTHS.find(month).filter(|at| at % 3 == 0)? / 3).ok()? + 1;
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    let mut parts = time.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let day_of_month = (1..=31).contains(&day) && (0..=9999).contains(&year);
    let time_of_day = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..61).contains(&second);
    (day_of_month && time_of_day).then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days from 1970-01-01, in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the day that comes and goes is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_openssl_are_read() {
        for (date, expected) in [
            ("Jan  1 00:00:00 1970 GMT", Some(0)),
            ("Feb 29 12:00:00 2024 GMT", Some(1_709_208_000)),
            ("Dec 31 23:59:59 1999 GMT", Some(946_684_799)),
            ("Nov 30 08:00:52 2026 GMT", Some(1_796_025_652)),
            ("Jan 19 03:14:08 2038 GMT", Some(2_147_483_648)),
            ("Nov 30 08:00:52 2026", None),
            ("anF 30 08:00:52 2026 GMT", None),
            ("Nov 30 25:00:52 2026 GMT", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(seconds(date), expected, "{date}");
        }
    }
}
