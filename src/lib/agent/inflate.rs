//! Bodies that are compressed although the request did not ask for that.

use miniz_oxide::inflate::{decompress_to_vec_with_limit, decompress_to_vec_zlib_with_limit};

/// The body as it was before it was encoded; `None` where it is not what its `Content-Encoding` says, or is longer than
/// `most` bytes. Encodings that are not known are left as they are.
pub(super) fn decoded(encoding: &str, body: &[u8], most: usize) -> Option<Option<Vec<u8>>> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Some(gunzip(body, most)),
        // The name is that of zlib's format; some send the bare one.
        "deflate" => Some(
            decompress_to_vec_zlib_with_limit(body, most).or_else(|_| decompress_to_vec_with_limit(body, most)).ok(),
        ),
        _ => None,
    }
}

/// The first member of a file of gzip (RFC 1952). Its checksum is left to the connection's.
fn gunzip(body: &[u8], most: usize) -> Option<Vec<u8>> {
    let [0x1f, 0x8b, 8, flags, _, _, _, _, _, _, rest @ ..] = body else { return None };
    let has = |flag: u8| flags & flag != 0;
    let mut rest = rest;
    if has(4) {
        let [low, high, tail @ ..] = rest else { return None };
        rest = tail.get(usize::from(u16::from_le_bytes([*low, *high]))..)?;
    }
    // A name and a comment, each up to a null byte.
    for _ in [8, 16].into_iter().filter(|flag| has(*flag)) {
        let end = rest.iter().position(|byte| *byte == 0)?;
        rest = rest.get(end + 1..)?;
    }
    if has(2) {
        rest = rest.get(2..)?;
    }
    decompress_to_vec_with_limit(rest, most).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

    /// As `gzip` writes it, with these parts of the head.
    fn gzip(flags: u8, head: &[u8], text: &[u8]) -> Vec<u8> {
        let trailer = [0u8; 8];
        [&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3][..], head, &compress_to_vec(text, 6), &trailer].concat()
    }

    #[test]
    fn encodings_are_undone_within_their_limit() {
        let text = br#"{"Status":"ready"}"#;
        let undone = |encoding: &str, body: &[u8]| decoded(encoding, body, 1000).unwrap();
        for (flags, head) in
            [(0, &b""[..]), (8, b"name\0"), (4, b"\x02\0xx"), (31, b"\x01\0xname\0why\0cc"), (2, b"cc")]
        {
            assert_eq!(undone("gzip", &gzip(flags, head, text)).as_deref(), Some(&text[..]), "{flags}");
        }
        assert_eq!(undone("X-Gzip ", &gzip(0, b"", text)).as_deref(), Some(&text[..]));
        assert_eq!(undone("deflate", &compress_to_vec_zlib(text, 6)).as_deref(), Some(&text[..]));
        assert_eq!(undone("deflate", &compress_to_vec(text, 6)).as_deref(), Some(&text[..]));
        assert_eq!(decoded("identity", text, 1000), None);
        let whole = gzip(0, b"", text);
        for wrong in [&b""[..], b"\x1f\x8b", text, &whole[..whole.len() - 12]] {
            assert_eq!(undone("gzip", wrong), None, "{wrong:?}");
        }
        let bomb = gzip(0, b"", &vec![b' '; 1_000_000]);
        assert_eq!(undone("gzip", &bomb), None);
    }
}
