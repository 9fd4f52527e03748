//! Compares screens with those in tests/pull/top/golden; `HAPROXYSTATS_ACCEPT=1 cargo test --lib top::screen::draw` rewrites
//! them.

use super::super::view::Key;
use super::*;
use crate::top::testing::{RowText, info, stat, tick};
use std::path::Path;

/// 2026-11-30T08:00:00Z
const NOW: u64 = 1_796_025_600;

fn server(name: &str, state: &str, requests: u64) -> RowText {
    let row = RowText::server("shop", name, state).set("req_tot", requests).set("hrsp_2xx", requests).set("rtime", 12);
    row.set("scur", 3)
        .set("slim", 200)
        .set("lastchg", 7300)
        .set("check_status", "L7OK")
        .set("check_code", 200)
        .set("check_duration", 3)
        .set("ctime", 1)
        .set("qtime", 0)
        .set("ttime", 40)
        .set("bin", requests * 300)
}

fn files(more: u64, down: bool) -> Vec<(&'static str, String)> {
    let web3 = if down {
        server("web3", "DOWN", 100 * more)
            .set("lastchg", 12)
            .set("check_status", "L4TOUT")
            .set("check_code", "")
            .set("check_duration", 2001)
            .set("hrsp_5xx", 7 * more)
    } else {
        server("web3", "UP", 100 * more)
    };
    let rows = stat(&[
        RowText::frontend("www")
            .set("req_tot", 700 * more)
            .set("hrsp_5xx", 7 * more)
            .set("scur", 41)
            .set("slim", 2000)
            .set("bin", 90_000 * more)
            .set("bout", 8_000_000 * more),
        RowText::backend("shop", "UP")
            .set("req_tot", 690 * more)
            .set("hrsp_5xx", 7 * more)
            .set("rtime", 15)
            .set("qcur", 2)
            .set("scur", 38)
            .set("lastchg", 90_000)
            .set("act", 2)
            .set("bck", 0),
        server("web1", "UP", 300 * more).set("weight", 10),
        server("web2", "UP 2/3", 290 * more).set("weight", 10).set("qcur", 1),
        web3,
        server("a-server-with-a-long-name.example.com", "MAINT", 0),
        RowText::backend("empty", "DOWN"),
    ]);
    let sni = "# Certificate Name\tFilename\tNotAfter\nx\tshop.pem\tDec 12 08:00:00 2026 GMT\n";
    vec![
        ("a.sock_info", info(7, 41)),
        ("a.sock_stat", rows.clone()),
        ("b.sock_info", info(8, 40)),
        ("b.sock_stat", rows),
        ("m.sock@5_oldinfo", info(5, 17)),
        ("a.sock_certificates", sni.to_owned()),
    ]
}

/// The screen after these keys, on a terminal of this size.
fn screen(keys: &[Key], (width, height): (u16, u16), origin: &Origin) -> String {
    let mut view = View::new(None, matches!(origin, Origin::Replay { .. }));
    let mut feed = Feed::default();
    feed.push(tick(NOW, &files(0, false)), &view);
    feed.push(tick(NOW + 10, &files(10, true)), &view);
    view.settle(feed.model.hosts.len());
    let area = Rect::new(0, 0, width, height);
    let palette = Palette { colours: false };
    let mut buffer = Buffer::empty(area);
    draw(&mut buffer, area, &feed, &mut view, origin, palette);
    for key in keys {
        let items = Items::of(&feed.model, &feed.log, &view);
        view.key(*key, &items);
        drop(items);
        feed.model(&view);
        buffer = Buffer::empty(area);
        draw(&mut buffer, area, &feed, &mut view, origin, palette);
    }
    let line = |y| (0..width).map(|x| buffer.cell((x, y)).map_or(" ", |cell| cell.symbol())).collect::<String>();
    (0..height).map(|y| format!("{}\n", line(y).trim_end())).collect()
}

const LIVE: Origin = Origin::Live { interval: 2.0 };
const SMALL: (u16, u16) = (80, 24);

#[track_caller]
fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/pull/top/golden/{name}.txt"));
    if std::env::var_os("HAPROXYSTATS_ACCEPT").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, wanted, "{}: accept with HAPROXYSTATS_ACCEPT=1", path.display());
}

#[test]
fn hosts() {
    golden("hosts", &screen(&[], SMALL, &LIVE));
}

#[test]
fn proxies() {
    golden("proxies", &screen(&[Key::Char('2')], SMALL, &LIVE));
    golden("proxies-wide", &screen(&[Key::Char('2')], (140, 30), &LIVE));
}

#[test]
fn servers_of_a_backend() {
    let keys = [Key::Enter, Key::Enter];
    golden("servers", &screen(&keys, SMALL, &LIVE));
    golden("servers-narrow", &screen(&keys, (40, 14), &LIVE));
}

#[test]
fn the_document_shows_what_is_drawn() {
    let shown: String =
        screen(&[Key::Enter, Key::Enter], SMALL, &LIVE).trim_end().lines().map(|l| format!("{l}\n")).collect();
    let document = include_str!("../../../../../docs/top.md");
    assert!(document.contains(&shown), "docs/top.md should have:\n{shown}");
}

#[test]
fn a_server_in_every_process() {
    golden("server", &screen(&[Key::Char('3'), Key::Enter], (100, 24), &LIVE));
}

#[test]
fn the_other_tables() {
    golden("processes", &screen(&[Key::Char('4')], SMALL, &LIVE));
    golden("certificates", &screen(&[Key::Char('5')], SMALL, &LIVE));
    golden("changes", &screen(&[Key::Char('6')], SMALL, &LIVE));
    golden("help", &screen(&[Key::Char('?')], SMALL, &LIVE));
}

#[test]
fn an_empty_table_says_why() {
    let filtered = [Key::Char('3'), Key::Char('/'), Key::Char('z'), Key::Char('z'), Key::Enter];
    assert!(screen(&filtered, SMALL, &LIVE).contains("nothing matches the filter"));
    assert!(!screen(&filtered[..1], SMALL, &LIVE).contains("nothing matches"));
}

#[test]
fn stored_snapshots() {
    let keys = [Key::Char('3'), Key::Char('s'), Key::Char('/'), Key::Char('w'), Key::Char('e')];
    golden("replay", &screen(&keys, SMALL, &Origin::Replay { number: 2, of: 9 }));
}

#[test]
fn no_size_is_too_small() {
    for width in 0..60 {
        for height in 0..20 {
            screen(&[Key::Char('3'), Key::Enter, Key::Char('?'), Key::Char('6')], (width, height), &LIVE);
        }
    }
}
