//! `show info`: any bytes are read or refused, and what was read is read again from its plain form.
#![no_main]

use haproxystats::haproxy::info::FIELDS;
use haproxystats::parse::info::Info;
use libfuzzer_sys::fuzz_target;
use std::fmt::Write;

fuzz_target!(|data: &[u8]| {
    let mut refused = 0;
    let Ok(info) = Info::read(data, |_, _| refused += 1) else { return };
    assert_eq!(info.refused, refused);
    let mut plain = String::new();
    for (index, field) in FIELDS.iter().enumerate() {
        if let Some(value) = info.at(index) {
            assert!(i64::try_from(value).is_ok() || u64::try_from(value).is_ok());
            writeln!(plain, "{}: {value}", field.name).expect("a string takes every line");
        }
    }
    let again = Info::read(plain.as_bytes(), |line, name| panic!("line {line} refused: {name}"));
    let again = again.expect("what was read can be read again");
    assert!((0..FIELDS.len()).all(|index| again.at(index) == info.at(index)));
});
