//! What is learnt of fields that nobody knows: whatever HAProxy says, the file says the same when it is read again.
#![no_main]

use haproxystats::haproxy::learnt::{Learnt, Place, unknown_columns, unknown_lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (header, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let mut learnt = Learnt::default();
    learnt.learn(Place::Stat, &unknown_columns(header), rest);
    learnt.learn(Place::Info, &unknown_lines(rest), rest);
    let again = Learnt::read(&learnt.render());
    for place in [Place::Stat, Place::Info] {
        assert!(again.figures(place).eq(learnt.figures(place)));
    }
    drop(Learnt::read(&text));
});
