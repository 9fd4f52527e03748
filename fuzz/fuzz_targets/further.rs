//! Further replies on a stats socket: however the bytes are cut, the replies are the same, and no byte is lost.
#![no_main]

use haproxystats::haproxy::further::{Event, Replies};
use haproxystats::haproxy::questions::QUESTIONS;
use libfuzzer_sys::fuzz_target;

const LIMIT: u64 = 4096;

/// The replies that are complete, what each is, and the rest; or nothing where one is too long.
fn split(input: &[u8], chunk: usize) -> Option<(Vec<(Vec<u8>, bool)>, Vec<u8>)> {
    let question = QUESTIONS.first()?;
    let mut replies = Replies::new(LIMIT);
    let (mut all, mut now) = (Vec::new(), Vec::new());
    for mut chunk in input.chunks(chunk) {
        while let Some(event) = replies.next(&mut chunk).ok()? {
            match event {
                Event::Bytes(bytes) => now.extend_from_slice(bytes),
                Event::End => all.push((std::mem::take(&mut now), replies.refusal(question, false).is_some())),
            }
        }
    }
    Some((all, now))
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, input)) = data.split_last() else { return };
    let whole = split(input, usize::MAX);
    let parts = split(input, usize::from(size).max(1));
    assert_eq!(whole, parts);
    let Some((all, rest)) = whole else { return };
    let bytes: usize = all.iter().map(|(reply, _)| reply.len()).sum();
    assert_eq!(bytes + rest.len(), input.len());
    assert!(all.iter().all(|(reply, _)| reply == b"\n" || reply.ends_with(b"\n\n")));
});
