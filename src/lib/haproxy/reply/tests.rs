//! Replies in whatever pieces they arrive.

use super::*;
use proptest::prelude::*;

const BOTH: &[Part] = &[Part::Info, Part::Stat];
const INFO: &str = "Name: HAProxy\nVersion: 2.6.12\nNode: lb-01\n\n";
const STAT: &str = "# pxname,svname,last_chk,\nweb,s1,OK,\nweb,s2,\"no \"\"pong\"\"\n\nat all\",\n\n";

/// Both replies, or why there are none. Every chunk goes in on its own.
fn split(parts: &'static [Part], limit: u64, chunks: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), ReplyError> {
    let (mut info, mut stat, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    let mut splitter = Splitter::new(parts, limit);
    for chunk in chunks {
        let mut chunk = *chunk;
        while let Some(event) = splitter.next(&mut chunk)? {
            match event {
                Event::Bytes(Part::Info, bytes) => info.extend_from_slice(bytes),
                Event::Bytes(Part::Stat, bytes) => stat.extend_from_slice(bytes),
                Event::End(part) => ends.push(part),
            }
        }
    }
    splitter.finish()?;
    assert!(splitter.is_complete());
    assert_eq!(ends, parts);
    Ok((info, stat))
}

fn whole(reply: &str) -> Result<(Vec<u8>, Vec<u8>), ReplyError> {
    split(BOTH, 1 << 20, &[reply.as_bytes()])
}

fn refused(part: Part, line: &str) -> ReplyError {
    ReplyError::Refused { part, line: line.to_owned() }
}

#[test]
fn both_replies_of_one_connection_are_told_apart() {
    let (info, stat) = whole(&format!("{INFO}{STAT}")).unwrap();
    assert_eq!((info.as_slice(), stat.as_slice()), (INFO.as_bytes(), STAT.as_bytes()));
}

#[test]
fn a_single_command_is_a_single_reply() {
    assert_eq!(split(&[Part::Info], 1000, &[INFO.as_bytes()]).unwrap().0, INFO.as_bytes());
    assert_eq!(split(&[Part::Stat], 1000, &[STAT.as_bytes()]).unwrap().1, STAT.as_bytes());
}

#[test]
fn a_header_without_rows_is_a_reply() {
    assert!(split(&[Part::Stat], 1000, &[b"# pxname,svname,\n\n"]).is_ok());
}

#[test]
fn every_cut_of_a_reply_is_an_error() {
    let reply = format!("{INFO}{STAT}");
    for end in 0..reply.len() {
        let error = whole(&reply[..end]).unwrap_err();
        let expected = match end {
            0 => matches!(error, ReplyError::Empty),
            // "Name" alone is no reply yet; from the separator on it is one.
            _ if end < "Name: ".len() => matches!(error, ReplyError::Refused { part: Part::Info, .. }),
            _ if end < INFO.len() => error == ReplyError::Truncated { part: Part::Info, bytes: end as u64 },
            _ if end == INFO.len() => error == ReplyError::Missing { part: Part::Stat },
            _ => error == ReplyError::Truncated { part: Part::Stat, bytes: (end - INFO.len()) as u64 },
        };
        assert!(expected, "cut at {end}: {error:?}");
    }
}

#[test]
fn error_messages_are_not_replies() {
    let cases = [
        ("Permission denied\n\n", refused(Part::Info, "Permission denied")),
        ("Permission denied", refused(Part::Info, "Permission denied")),
        ("Unknown command. Please enter one of the following commands only :\n  help\n\n", {
            refused(Part::Info, "Unknown command. Please enter one of the following commands only :")
        }),
        ("\n", refused(Part::Info, "")),
        // The CLI of a master process, of HAProxy 2.8 and later: its command list holds ": ", and so does this.
        ("Unknown command: 'show', but maybe one of these is a better match:\n  show proc : x\n\n", {
            refused(Part::Info, "Unknown command: \\'show\\', but maybe one of these is a better match:")
        }),
        ("220 mail: ready\n\n", refused(Part::Info, "220 mail: ready")),
        ("# pxname,svname,\n\n", refused(Part::Info, "# pxname,svname,")),
        ("HTTP/1.0 400 Bad request\r\nServer: x\r\n", refused(Part::Info, "HTTP/1.0 400 Bad request")),
    ];
    for (reply, error) in cases {
        assert_eq!(whole(reply).unwrap_err(), error, "{reply:?}");
    }
    for line in ["Permission denied\n\n", "pxname,svname\n", "\n", "# pxnames"] {
        let error = whole(&format!("{INFO}{line}")).unwrap_err();
        assert_eq!(error, refused(Part::Stat, line.trim()), "{line:?}");
    }
}

#[test]
fn what_a_peer_says_cannot_forge_a_log_line() {
    let ReplyError::Refused { line, .. } = whole("oh\r\u{1b}[31m \u{7f} no\nERROR").unwrap_err() else { panic!() };
    assert_eq!(line, "oh\\r\\u{1b}[31m \\u{7f} no");
}

#[test]
fn an_endless_first_line_is_judged_early() {
    let error = split(BOTH, u64::MAX, &[&[b'x'; 4000]]).unwrap_err();
    assert_eq!(error, refused(Part::Info, &"x".repeat(FIRST_LINE)));
}

#[test]
fn a_reply_may_be_as_long_as_the_limit_and_no_longer() {
    let stat = STAT.len() as u64;
    assert!(split(&[Part::Stat], stat, &[STAT.as_bytes()]).is_ok());
    let error = split(&[Part::Stat], stat - 1, &[STAT.as_bytes()]).unwrap_err();
    assert_eq!(error, ReplyError::TooLarge { part: Part::Stat, limit: stat - 1 });
}

#[test]
fn the_limit_is_for_each_reply_and_nothing_beyond_it_is_passed_on() {
    let reply = format!("{INFO}{STAT}");
    let longest = INFO.len().max(STAT.len()) as u64;
    assert!(split(BOTH, longest, &[reply.as_bytes()]).is_ok());
    let mut splitter = Splitter::new(&[Part::Stat], 100);
    let endless = STAT_HEADER.iter().chain(std::iter::repeat_n(&b'x', 500)).copied().collect::<Vec<_>>();
    let (mut chunk, mut passed) = (endless.as_slice(), 0);
    while let Ok(Some(event)) = splitter.next(&mut chunk) {
        let Event::Bytes(_, bytes) = event else { panic!() };
        passed += bytes.len();
    }
    assert_eq!(passed, 100);
}

#[test]
fn nothing_may_follow_the_end() {
    assert_eq!(whole(&format!("{INFO}{STAT}> ")).unwrap_err(), ReplyError::Surplus);
    // An empty line in the middle of the rows, as corrupted dumps have it.
    let corrupt = "# pxname,svname,\nweb,s1,\n\nweb,s2,\n\n";
    assert_eq!(whole(&format!("{INFO}{corrupt}")).unwrap_err(), ReplyError::Surplus);
}

#[test]
fn a_quote_within_a_field_is_a_character() {
    for row in ["web,s\"1,", "web,s\"\"1,\"\"", "web,\"\",x\"", "web,\"a\"\"\n\n\"\"b\",\"\"\"\n\n\"", "\"web\"x\","] {
        assert!(whole(&format!("{INFO}# pxname,svname,\n{row}\n\n")).is_ok(), "{row:?}");
    }
}

#[test]
fn an_open_quote_is_a_truncated_reply() {
    let error = whole(&format!("{INFO}# pxname,svname,\nweb,\"s1,\n\n")).unwrap_err();
    assert!(matches!(error, ReplyError::Truncated { part: Part::Stat, .. }), "{error:?}");
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "Name: HAProxy\n",
        "Permission denied",
        "# pxname,",
        "web,s1,",
        "\n",
        "\n\n",
        "\"",
        "\"\"",
        ",",
        ": ",
        "x",
    ]);
    let pieces = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes());
    let well = pieces.clone().prop_map(|end| [INFO.as_bytes(), STAT.as_bytes(), &end].concat());
    let half = pieces.clone().prop_map(|end| [INFO.as_bytes(), STAT_HEADER, &end].concat());
    prop_oneof![pieces, well, half, prop::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #[test]
    fn chunks_make_no_difference(
        reply in reply(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        limit in prop_oneof![Just(u64::MAX), 1_u64..400],
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(reply.len() + 1)).collect();
        cuts.extend([0, reply.len()]);
        cuts.sort_unstable();
        let chunks: Vec<_> = cuts.windows(2).map(|pair| &reply[pair[0]..pair[1]]).collect();
        let bytes: Vec<_> = reply.chunks(1).collect();
        let expected = split(BOTH, limit, &[&reply]);
        prop_assert_eq!(&split(BOTH, limit, &chunks), &expected);
        prop_assert_eq!(&split(BOTH, limit, &bytes), &expected);
    }

    #[test]
    fn whatever_a_field_holds_quoting_keeps_it_together(
        rows in prop::collection::vec(prop::collection::vec("[a,\"\n\r ]{0,6}", 3), 0..5),
        size in 1_usize..9,
    ) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["# pxname", "svname", "last_chk", "last_agt"]).unwrap();
        for row in &rows {
            writer.write_record(std::iter::once("web").chain(row.iter().map(String::as_str))).unwrap();
        }
        let mut stat = writer.into_inner().unwrap();
        stat.push(b'\n');
        let chunks: Vec<_> = stat.chunks(size).collect();
        prop_assert_eq!(split(&[Part::Stat], u64::MAX, &chunks).unwrap().1, stat);
    }

    #[test]
    fn what_is_accepted_is_passed_on_unchanged(reply in reply()) {
        if let Ok((info, stat)) = split(BOTH, u64::MAX, &[&reply]) {
            prop_assert!(info.ends_with(b"\n\n") && stat.ends_with(b"\n\n"));
            prop_assert_eq!([info, stat].concat(), reply);
        }
    }
}
