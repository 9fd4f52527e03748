//! `show stat domain resolvers`: a table of comma separated values, a row for each name server. `pid` is the section.

use super::Facts;
use crate::haproxy::facts::Thing;

pub(super) fn read(text: &str, facts: &mut Facts) {
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let Some(header) = lines.next().and_then(|line| line.strip_prefix("# ")) else { return };
    let names: Vec<&str> = header.split(',').collect();
    let place = |wanted: &str| names.iter().position(|name| *name == wanted);
    let (Some(id), Some(section)) = (place("id"), place("pid")) else { return facts.unknown(header) };
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let (Some(server), Some(section_name), true) = (cells.get(id), cells.get(section), cells.len() == names.len())
        else {
            facts.unknown(line);
            continue;
        };
        for (place, (name, cell)) in names.iter().zip(&cells).enumerate() {
            if place == id || place == section || cell.is_empty() {
                continue;
            }
            match cell.parse() {
                Ok(value) => facts.add((Thing::NameServer, section_name, server), name, value),
                Err(_) => facts.unknown(name),
            }
        }
    }
}
