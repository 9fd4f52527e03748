//! `show stat` read in the slow and obvious way: lines, the csv crate, one number after the other. What the fast way finds
//! is held against it, in a property and in a fuzz target.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, reason = "part of tests")]

use haproxystats::haproxy::columns::{Combine, Kind, Mode};
use haproxystats::haproxy::per_kind::PerKind;
use haproxystats::names::{NameId, sanitize};
use haproxystats::parse::collected::Collected;
use haproxystats::parse::stat::Stats;
use haproxystats::plan::KindPlan;
use haproxystats::value::ABSENT;
use std::sync::Arc;

/// A row of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct SlowRow {
    /// The path elements of the proxy and, of a server, of the server.
    pub names: Vec<String>,
    pub weight: i64,
    /// By field of the plan.
    pub cells: Vec<Option<i128>>,
    /// Fields of which the value is not known.
    pub unknown: Vec<usize>,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Slow {
    pub rows: [Vec<SlowRow>; 3],
    pub read: u64,
    pub refused: u64,
}

/// Reads a file; `None` when nothing in it can be read.
pub fn read(plans: &PerKind<KindPlan>, file: &[u8]) -> Option<Slow> {
    let lines: Vec<&[u8]> = file.split(|byte| *byte == b'\n').collect();
    let without_cr = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).to_vec();
    let first = lines.iter().position(|line| !without_cr(line).is_empty())?;
    let header = without_cr(lines[first]);
    let whole = header.ends_with(b",");
    let header = header.strip_prefix(b"# ").or_else(|| header.strip_prefix(b"#")).unwrap_or(&header).to_vec();
    let header: Vec<Vec<u8>> = header.split(|byte| *byte == b',').map(|name| name.trim_ascii().to_vec()).collect();
    let position = |name: &str| header.iter().position(|field| field == name.as_bytes());
    position("pxname").and(position("svname"))?;
    let mut slow = Slow::default();
    let mut next = first + 1;
    while next < lines.len() {
        let line = without_cr(lines[next]);
        next += 1;
        if line.is_empty() {
            continue;
        }
        let mut outcome = cells(&line, header.len()).and_then(|cells| slow.row(plans, &position, &cells));
        if outcome.is_none() && quotes(&line) % 2 == 1 {
            // The field goes on up to the next line that closes it.
            let closing = (next..lines.len()).find(|line| quotes(lines[*line]) % 2 == 1);
            if let Some(closing) = closing {
                let joined = without_cr(&lines[next - 1..=closing].join(&b'\n'));
                outcome = cells(&joined, header.len()).and_then(|cells| slow.row(plans, &position, &cells));
                if outcome.is_some() {
                    next = closing + 1;
                }
            }
        }
        match outcome {
            Some(()) => slow.read += 1,
            None => slow.refused += 1,
        }
    }
    // A whole header alone is that of a HAProxy without proxies.
    (slow.read > 0 || slow.refused == 0 && whole).then_some(slow)
}

fn quotes(line: &[u8]) -> usize {
    line.iter().filter(|byte| **byte == b'"').count()
}

/// The cells of a row, if there are as many as there should be.
fn cells(row: &[u8], width: usize) -> Option<Vec<Vec<u8>>> {
    let cells: Vec<Vec<u8>> = if quotes(row) == 0 {
        row.split(|byte| *byte == b',').map(<[u8]>::to_vec).collect()
    } else {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(row);
        let mut record = csv::ByteRecord::new();
        let _ = reader.read_byte_record(&mut record).ok()?;
        if reader.position().byte() < row.len() as u64 {
            return None;
        }
        record.iter().map(<[u8]>::to_vec).collect()
    };
    (cells.len() == width).then_some(cells)
}

/// A number of 64 bits: nothing, a value, or an error.
fn number(cell: &[u8]) -> Result<Option<i128>, ()> {
    if cell.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(cell).map_err(|_| ())?;
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(());
    }
    // Many zeros in front are as good as none.
    let digits = digits.trim_start_matches('0');
    let value: i128 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| ())? };
    let value = if text.starts_with('-') { -value } else { value };
    let fits = (-i128::from(i64::MAX)..=i128::from(u64::MAX)).contains(&value);
    if fits { Ok(Some(value)) } else { Err(()) }
}

impl Slow {
    fn row(
        &mut self,
        plans: &PerKind<KindPlan>,
        position: &dyn Fn(&str) -> Option<usize>,
        cells: &[Vec<u8>],
    ) -> Option<()> {
        let cell = |name: &str| position(name).map(|position| cells[position].as_slice());
        let (proxy, server) = (cell("pxname")?, cell("svname")?);
        if proxy.is_empty() || server.is_empty() {
            return None;
        }
        let kind = match (cell("type"), server) {
            (Some(b"0"), _) | (None, b"FRONTEND") => Kind::Frontend,
            (Some(b"1"), _) | (None, b"BACKEND") => Kind::Backend,
            (Some(b"2"), _) | (None, _) => Kind::Server,
            (Some(b"3"), _) => return Some(()),
            _ => return None,
        };
        let plan = &plans[kind];
        let times = plan.fields.iter().any(|field| field.combine.is_of_times());
        let weight = if times { weight(|name| number(cell(name)?).ok().flatten()) } else { 1 };
        let weight = if plan.counts_requests() { weight } else { weight.min(1) };
        let mode = cell("mode").map_or(Mode::Unsaid, Mode::of);
        let (mut values, mut unknown) = (Vec::new(), Vec::new());
        for (index, field) in plan.fields.iter().enumerate() {
            let always = field.column.is_always_filled(kind, mode, |name| position(name).is_some());
            let value = match cell(field.column.name).map(number) {
                Some(Ok(None)) if always || field.combine == Combine::LimitOrBlank => {
                    if matches!(field.combine, Combine::Sum | Combine::LimitOrBlank) {
                        unknown.push(index);
                    }
                    None
                }
                Some(value) => value.ok()?.or(field.default.then_some(0)),
                None => (field.default && matches!(field.combine, Combine::Sum | Combine::Limit)).then_some(0),
            };
            values.push(match field.combine {
                Combine::MinPresent => value.filter(|value| *value >= 0),
                Combine::BusyMean | Combine::WeightedMean if weight == 0 => value.map(|_| 0),
                Combine::WeightedMean => value.map(|value| value * i128::from(weight)),
                _ => value,
            });
        }
        let mut names = vec![sanitize(proxy)];
        if kind == Kind::Server {
            names.push(sanitize(server));
        }
        self.rows[kind as usize].push(SlowRow { names, weight, cells: values, unknown });
        Some(())
    }
}

/// How many requests the averages of a row are over, of which `cell` reads a number.
fn weight(cell: impl Fn(&str) -> Option<i128>) -> i64 {
    let requests = ["req_tot", "stot", "lbtot"].into_iter().find_map(&cell);
    match requests {
        Some(requests) if requests > 0 => i64::try_from(requests.min(1024)).unwrap(),
        Some(_) if cell("lbtot").is_some_and(|balanced| balanced > 0) => 1,
        Some(_) => 0,
        None => 1,
    }
}

/// Fails when the fast way reads a file in another way than the slow one.
pub fn assert_agree(plans: &Arc<PerKind<KindPlan>>, stats: &mut Stats, file: &[u8]) {
    stats.clear();
    let mut refused = 0;
    let report = stats.read(file, |_, _| refused += 1).ok();
    let slow = read(plans, file);
    assert_eq!(report.map(|report| (report.rows, report.refused)), slow.as_ref().map(|slow| (slow.read, slow.refused)));
    let Some(slow) = slow else { return };
    let Collected { tables, names, servers, .. } = &mut stats.collected;
    for (table, rows) in tables.iter_mut().zip(&slow.rows) {
        table.finish();
        assert_eq!(table.rows(), rows.len());
        for (index, row) in rows.iter().enumerate() {
            let key = table.keys[index];
            let found = match row.names.len() {
                1 => vec![names.get(NameId(key)).to_owned()],
                _ => {
                    servers.get(key).map_or(Vec::new(), |(a, b)| vec![names.get(a).to_owned(), names.get(b).to_owned()])
                }
            };
            assert_eq!((found, table.weights[index]), (row.names.clone(), row.weight), "row {index}");
            let unknown = table.columns.iter().enumerate().filter(|(_, column)| column.unknown.contains(&index));
            assert_eq!(unknown.map(|(field, _)| field).collect::<Vec<_>>(), row.unknown, "row {index}");
            for (column, cell) in table.columns.iter().zip(&row.cells) {
                match &column.floats {
                    Some(floats) => {
                        let found = Some(floats[index]).filter(|value| !value.is_nan());
                        let expected = cell.map(|cell| cell as f64);
                        // A product with a weight, of what is no longer exact.
                        let near =
                            |found: f64| expected.is_some_and(|value| (found - value).abs() <= 1e-15 * value.abs());
                        assert!(
                            found == expected || found.is_some_and(near),
                            "row {index}: {found:?} for {expected:?}"
                        );
                    }
                    None => {
                        let found = Some(column.ints[index]).filter(|value| *value != ABSENT).map(i128::from);
                        assert_eq!(found, *cell, "row {index}");
                    }
                }
            }
        }
    }
}
