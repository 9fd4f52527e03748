//! Snapshots with counters of processes that are gone (`continuous-counters`).

use super::capture::{BLANK, HEADER, Numbers, Size, digits, objects, write_to};
use haproxystats::haproxy::columns::{COLUMNS, Column, Combine, Kind, Nature};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes a snapshot of this size below `place` with all that haproxystats-pull can carry: every counter that is printed of every
/// object, in so many files. Returns its directory.
pub(crate) fn write(place: &Path, size: Size, files: usize) -> std::io::Result<PathBuf> {
    let dir = write_to(place.join(format!("{}-carried-{files}", size.name)).join("1500000000"), size)?;
    for file in 1..=files {
        fs::write(dir.join(format!("admin{file}.sock_carriedstat")), carried(size, file))?;
    }
    Ok(dir)
}

fn carried(size: Size, file: usize) -> String {
    let adds = |column: &Column| Kind::ALL.into_iter().any(|kind| column.combine(kind) == Some(Combine::Sum));
    let is_counter = |column: &&Column| column.nature == Nature::Counter && adds(column);
    let counters: Vec<&str> = COLUMNS.iter().filter(is_counter).map(|column| column.name).collect();
    let printed: Vec<&str> = HEADER[2..].split(',').filter(|field| counters.contains(field)).collect();
    let mut text = format!("# pxname,svname,type,{},seen,\n", printed.join(","));
    let mut numbers = Numbers(file as u64 ^ 0xca44_1ed0);
    objects(size, |proxy, server, kind| {
        let _ = write!(text, "{proxy},{server},{kind},");
        for counter in &printed {
            let number = numbers.next();
            let _ = match *counter {
                blank if BLANK[kind].contains(&blank) => Ok(()),
                "bin" | "bout" => write!(text, "{}", number % 10_000_000_000 + 1),
                _ => write!(text, "{}", digits(number) + 1),
            };
            text.push(',');
        }
        text.push_str("1500000000,\n");
    });
    text + "\n"
}
