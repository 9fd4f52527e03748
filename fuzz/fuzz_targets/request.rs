//! What comes in at the agent's port: any bytes are one request line, or none.
#![no_main]

use haproxystats::agent::request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let line = request(data);
    assert!(!line.contains(['\n', '\r']) && line.trim() == line);
    // What follows the first line is not read: HAProxy sends one.
    if let Some(end) = data.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        assert_eq!(line, request(&data[..end]));
    }
});
