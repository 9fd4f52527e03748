//! Replies on a stats socket: however the bytes are cut, the outcome is the same, and nothing is lost or invented.
#![no_main]

use haproxystats::haproxy::reply::{Event, Part, ReplyError, Splitter};
use libfuzzer_sys::fuzz_target;

const LIMIT: u64 = 4096;

/// Both replies, or why there are none, and how many bytes were taken.
fn split(input: &[u8], chunk: usize) -> (Result<[Vec<u8>; 2], ReplyError>, usize) {
    let mut splitter = Splitter::new(&[Part::Info, Part::Stat], LIMIT);
    let mut replies = [Vec::new(), Vec::new()];
    let mut taken = 0;
    for mut chunk in input.chunks(chunk) {
        loop {
            match splitter.next(&mut chunk) {
                Ok(Some(Event::Bytes(part, bytes))) => {
                    taken += bytes.len();
                    replies[usize::from(part == Part::Stat)].extend_from_slice(bytes);
                }
                Ok(Some(Event::End(_))) => {}
                Ok(None) => break,
                Err(error) => return (Err(error), taken),
            }
        }
    }
    (splitter.finish().map(|()| replies), taken)
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, input)) = data.split_last() else { return };
    let (whole, taken) = split(input, usize::MAX);
    let (parts, _) = split(input, usize::from(size).max(1));
    assert_eq!(whole, parts);
    if let Ok([info, stat]) = whole {
        assert_eq!(taken, input.len());
        assert_eq!([info.as_slice(), stat.as_slice()].concat(), input);
        assert!(info.ends_with(b"\n\n") && stat.ends_with(b"\n\n"));
        assert!(info.len() as u64 <= LIMIT && stat.len() as u64 <= LIMIT);
    }
});
