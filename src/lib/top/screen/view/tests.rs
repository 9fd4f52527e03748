use super::super::feed::Feed;
use super::*;
use crate::top::testing::{RowText, info, one, stat, tick};

/// A view, and what it shows.
struct Desk {
    feed: Feed,
    view: View,
}

impl Desk {
    fn new(view: View) -> Self {
        let rows = |more: u64| {
            let server =
                |name, requests, time| RowText::server("web", name, "UP").set("req_tot", requests).set("rtime", time);
            [
                RowText::frontend("www").set("req_tot", 10 * more),
                RowText::backend("web", "UP").set("req_tot", 9 * more),
                server("s1", 5 * more, 30),
                server("s2", 2 * more, 90),
                RowText::server("api", "node", "DOWN"),
                RowText::backend("api", "UP"),
            ]
        };
        let mut feed = Feed::default();
        feed.push(one(100, &rows(0)), &view);
        feed.push(one(110, &rows(10)), &view);
        Self { feed, view }
    }

    fn live() -> Self {
        Self::new(View::new(None, false))
    }

    fn press(&mut self, key: Key) -> Effect {
        let items = Items::of(&self.feed.model, &self.feed.log, &self.view);
        self.view.place(&items, 3);
        let effect = self.view.key(key, &items);
        drop(items);
        self.feed.model(&self.view);
        effect
    }

    fn letters(&mut self, letters: &str) -> Effect {
        letters.chars().map(|letter| self.press(Key::Char(letter))).last().unwrap_or(Effect::Nothing)
    }

    /// The names of the rows; the selected one has a mark.
    fn rows(&mut self) -> Vec<String> {
        let items = Items::of(&self.feed.model, &self.feed.log, &self.view);
        let (selected, _) = self.view.place(&items, 10);
        let name = |index| match items.id(index) {
            Some(Id::Object(key)) => crate::top::model::name(&key),
            Some(Id::Host(name)) => name.to_string(),
            Some(Id::Socket(socket)) => socket,
            other => format!("{other:?}"),
        };
        (0..items.len()).map(|index| format!("{}{}", if index == selected { ">" } else { "" }, name(index))).collect()
    }
}

#[test]
fn one_goes_down_to_a_server_and_back() {
    let mut desk = Desk::live();
    assert_eq!(desk.rows(), [">api", "web", "www"]);
    desk.press(Key::Down);
    desk.press(Key::Enter);
    assert_eq!(
        (desk.view.path(), desk.rows()),
        ("frontends and backends > web".into(), vec![">web/s2".into(), "web/s1".into()])
    );
    desk.press(Key::End);
    desk.press(Key::Right);
    assert_eq!(
        (desk.view.path(), desk.rows()),
        ("frontends and backends > web > web/s1".into(), vec![">a.sock".into()])
    );
    desk.press(Key::Enter);
    desk.press(Key::Escape);
    assert_eq!(desk.rows(), ["web/s2", ">web/s1"]);
    desk.press(Key::Left);
    assert_eq!(desk.rows(), ["api", ">web", "www"]);
    desk.press(Key::Escape);
    assert_eq!(desk.view.path(), "frontends and backends");
    desk.letters("3");
    assert_eq!(desk.rows(), [">web/s2", "web/s1", "api/node"]);
    desk.press(Key::Tab);
    assert_eq!(desk.view.level(), &Level::Processes);
}

#[test]
fn what_is_selected_stays_so_in_another_order() {
    let mut desk = Desk::live();
    desk.letters("3j");
    assert_eq!(desk.rows(), ["web/s2", ">web/s1", "api/node"]);
    let rows =
        [RowText::server("web", "s1", "UP").set("hrsp_5xx", 5), RowText::server("web", "s2", "UP").set("hrsp_5xx", 0)];
    desk.feed.push(one(120, &rows), &desk.view);
    assert_eq!(desk.rows(), [">web/s1", "web/s2"]);
    let rows =
        [RowText::server("web", "s2", "UP").set("hrsp_5xx", 50), RowText::server("web", "s1", "UP").set("hrsp_5xx", 6)];
    desk.feed.push(one(130, &rows), &desk.view);
    assert_eq!(desk.rows(), ["web/s2", ">web/s1"]);
}

#[test]
fn tables_are_sorted_by_any_column() {
    let mut desk = Desk::live();
    desk.letters("3s");
    assert_eq!(
        (desk.view.sort().column, desk.rows()),
        (Some(0), vec![">api/node".into(), "web/s1".into(), "web/s2".into()])
    );
    desk.letters("r");
    assert_eq!(desk.rows(), [">web/s2", "web/s1", "api/node"]);
    desk.letters("sss");
    assert_eq!((desk.view.sort().column, desk.rows()[0].as_str()), (Some(3), ">web/s1"));
    desk.letters("SSSS");
    assert_eq!(desk.view.sort(), Sort::default());
    desk.letters("S");
    assert_eq!(desk.view.sort().column, Some(10));
    desk.letters("sw");
    assert_eq!(desk.view.sort(), Sort::default());
}

#[test]
fn rows_are_filtered_by_name_and_by_trouble() {
    let mut desk = Desk::live();
    desk.letters("3/S1q");
    assert_eq!((desk.rows().len(), desk.view.filter.as_str()), (0, "S1q"));
    desk.press(Key::Backspace);
    assert_eq!((desk.press(Key::Enter), desk.rows()), (Effect::Nothing, vec![">web/s1".to_owned()]));
    desk.press(Key::Escape);
    assert_eq!(desk.rows().len(), 3);
    desk.letters("!");
    assert_eq!(desk.rows(), [">api/node"]);
    desk.letters("!/web");
    desk.press(Key::Escape);
    assert_eq!((desk.rows().len(), desk.view.filter.as_str(), desk.view.input.is_none()), (3, "", true));
}

#[test]
fn keys_ask_for_what_they_are_for() {
    let mut desk = Desk::live();
    assert_eq!((desk.letters("q"), desk.press(Key::Control('c'))), (Effect::Quit, Effect::Quit));
    assert_eq!(desk.press(Key::Control('z')), Effect::Suspend);
    assert_eq!(
        (desk.letters("+"), desk.letters("-"), desk.letters("l")),
        (Effect::Pace(2.0), Effect::Pace(0.5), Effect::Look)
    );
    desk.letters("p");
    assert!(desk.view.paused);
    assert_eq!((desk.letters(" "), desk.view.paused), (Effect::Nothing, false));
    desk.letters("?");
    assert!(desk.view.help);
    assert_eq!((desk.letters("q"), desk.view.help), (Effect::Nothing, false));
    assert_eq!(desk.letters("m,."), Effect::Nothing, "there is nothing to step through");
}

#[test]
fn snapshots_are_stepped_through_and_sought() {
    let mut desk = Desk::new(View::new(None, true));
    let found = [".", ",", ">", "<", "[", "]", "m", " "].map(|letter| desk.letters(letter));
    let steps = [Effect::Step(1), Effect::Step(-1), Effect::Step(10), Effect::Step(-10)];
    assert_eq!(found[..4], steps);
    assert_eq!(found[4..], [Effect::First, Effect::Last, Effect::Mark, Effect::Step(1)]);
    desk.letters("g2026-11-30T08:00:00Z");
    assert_eq!(desk.press(Key::Enter), Effect::Seek(Epoch(1_796_025_600)));
    desk.letters("gyesterday");
    assert_eq!(desk.press(Key::Enter), Effect::Nothing);
    assert!(desk.view.note.as_ref().is_some_and(|note| note.contains("\"yesterday\" is not a time")));
    desk.press(Key::Down);
    assert_eq!(desk.view.note, None);
}

#[test]
fn several_hosts_come_first() {
    let files = |epoch| {
        let rows = stat(&[RowText::frontend("www").set("req_tot", epoch)]);
        tick(
            epoch,
            &[
                ("a.sock_info", info(7, 1)),
                ("a.sock_stat", rows.clone()),
                ("b.sock_info", info(8, 1)),
                ("b.sock_stat", rows),
            ],
        )
    };
    let mut desk = Desk::live();
    desk.feed = Feed::default();
    desk.feed.push(files(100), &desk.view);
    desk.view.settle(desk.feed.model.hosts.len());
    assert_eq!(desk.rows(), [">lb-01", "lb-02"]);
    desk.letters("j");
    desk.press(Key::Enter);
    assert_eq!((desk.view.scope(), desk.feed.model.processes.len()), (Some("lb-02"), 1));
    desk.view.settle(2);
    assert_eq!(desk.view.path(), "hosts > lb-02");
    let mut only = View::new(Some("lb-01".to_owned()), false);
    only.settle(1);
    assert_eq!((only.scope(), only.level()), (Some("lb-01"), &Level::Proxies(None)));
}

#[test]
fn the_selected_row_is_always_on_the_screen() {
    let mut desk = Desk::live();
    desk.letters("3");
    for (key, expected) in [(Key::End, (2, 1)), (Key::Up, (1, 1)), (Key::Home, (0, 0)), (Key::PageDown, (2, 1))] {
        let items = Items::of(&desk.feed.model, &desk.feed.log, &desk.view);
        desk.view.place(&items, 2);
        desk.view.key(key, &items);
        assert_eq!(desk.view.place(&items, 2), expected, "{key:?}");
    }
}
