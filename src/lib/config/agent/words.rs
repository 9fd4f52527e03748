//! Text to values, where only the agent has such values.

use crate::config::reading::Refusal;

/// Longest request that is read, bytes.
pub(crate) const LONGEST_REQUEST: usize = 256;

pub(super) fn request(text: &str) -> Result<String, Refusal> {
    // The escapes of HAProxy's configuration may be kept; the line end belongs to the protocol.
    let bare = text.strip_suffix("\\n").unwrap_or(text).trim();
    if bare.is_empty() || bare.len() > LONGEST_REQUEST || bare.contains(char::is_control) {
        return Err("not one line; write what follows agent-send, such as web".to_owned());
    }
    Ok(bare.to_owned())
}

pub(super) fn words(text: &str) -> Result<Vec<String>, Refusal> {
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if words.is_empty() || text.contains('\0') {
        return Err("empty; write a program and its arguments".to_owned());
    }
    Ok(words)
}
