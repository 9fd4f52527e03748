//! What HAProxy says on the Runtime API: every command gets a reply, every row is read or counted, nothing panics.
#![no_main]

use haproxystats::haproxy::runtime::reply::split_count;
use haproxystats::haproxy::runtime::{OpenSessions, Process, Servers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&count, text)) = data.split_last() else { return };
    let text = String::from_utf8_lossy(text);
    let replies = split_count(&text, usize::from(count));
    assert_eq!(replies.len(), usize::from(count));
    if let Ok(servers) = Servers::parse(&text) {
        // The version and the header are no rows.
        assert_eq!(servers.rows.len() + servers.refused + 2, text[..text.len() - 2].lines().count().max(2));
        for row in &servers.rows {
            assert!(servers.find(&row.backend, &row.server).is_some());
        }
    }
    let _ = Process::parse(&text);
    let _ = OpenSessions::default().add(&text);
});
