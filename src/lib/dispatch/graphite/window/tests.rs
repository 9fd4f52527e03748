mod model;

use super::*;
use crate::snapshot::Epoch;
use std::time::Duration;
use tokio::time::Instant;

fn batch(epoch: u64, lines: usize) -> Arc<Batch> {
    let text: String = (0..lines).map(|line| format!("batch{epoch}.line{line} 1 {epoch}\n")).collect();
    Arc::new(Batch { epoch: Epoch(epoch), text: text.into_bytes(), lines, ..Batch::default() })
}

fn piece(epoch: u64, piece: usize, lines: usize, more: bool, on_disk: bool) -> Arc<Batch> {
    let text: String = (0..lines).map(|line| format!("batch{epoch}.{piece}.line{line} 1 {epoch}\n")).collect();
    let epoch = Epoch(epoch);
    Arc::new(Batch { epoch, piece, more, on_disk, text: text.into_bytes(), lines, ..Batch::default() })
}

fn epochs(gone: &[Gone]) -> Vec<u64> {
    gone.iter().map(|gone| gone.epoch.0).collect()
}

/// Confirmed at this time, all at once.
fn at(confirmed: Instant) -> Receipt {
    Receipt { peer: None, opened: confirmed, ended: confirmed, confirmed, chained: false }
}

/// Settles what was confirmed up to then.
fn settle(window: &mut Window, until: Instant) -> Vec<Gone> {
    window.settled(|receipt| receipt.confirmed <= until)
}

fn resent(resent_lines: u64) -> Lost {
    Lost { resent_lines, epochs: Vec::new() }
}

fn write_all(window: &mut Window) {
    while let Some(chunk) = window.chunk() {
        let length = chunk.len();
        window.wrote(length);
    }
}

#[test]
fn it_says_what_is_on_its_connections() {
    let (mut window, now) = (Window::default(), Instant::now());
    let is = |window: &Window| {
        let states = [window.is_used(), window.unacknowledged(), window.awaits(), window.in_flight(), window.at_rest()];
        states.map(u8::from)
    };
    assert_eq!((is(&window), window.snapshots(), window.unsent()), ([0, 0, 0, 0, 1], 0, 0));
    window.push(batch(1, 3));
    window.push(batch(2, 3));
    let length = batch(1, 3).text.len();
    assert_eq!((is(&window), window.snapshots(), window.unsent()), ([0, 0, 0, 0, 1], 2, 2 * length));
    window.wrote(1);
    assert_eq!((is(&window), window.at_boundary(), window.unsent()), ([1, 0, 0, 1, 0], false, 2 * length - 1));
    window.wrote(length - 1);
    assert_eq!((is(&window), window.at_boundary()), ([1, 1, 0, 1, 0], true));
    assert_eq!(window.acknowledged(length as u64 - 1, at(now)), (0, vec![]));
    assert_eq!(window.acknowledged(length as u64, at(now)), (1, vec![Epoch(1)]));
    assert_eq!((is(&window), window.settling(), window.snapshots()), ([1, 0, 0, 1, 0], 1, 2));
    assert_eq!(epochs(&settle(&mut window, now)), [1]);
    assert_eq!((is(&window), window.snapshots()), ([1, 0, 0, 1, 1], 1));
    window.change_over();
    assert_eq!((is(&window), window.at_boundary()), ([0, 0, 0, 0, 1], false), "another connection");
    write_all(&mut window);
    window.end();
    assert_eq!(is(&window), [0, 0, 1, 1, 0]);
    window.confirmed(at(now));
    assert_eq!(is(&window), [0, 0, 0, 1, 0]);
    assert_eq!(epochs(&settle(&mut window, now)), [2]);
    assert_eq!((is(&window), window.is_empty()), ([0, 0, 0, 0, 1], true));
}

#[test]
fn a_batch_is_delivered_after_its_confirmation_has_settled() {
    let (mut window, now) = (Window::default(), Instant::now());
    window.push(batch(1, 3));
    window.push(batch(2, 3));
    write_all(&mut window);
    assert!(window.at_boundary() && window.unsent() == 0);
    window.end();
    assert!(settle(&mut window, now).is_empty(), "nothing is confirmed yet");
    window.confirmed(at(now + Duration::from_secs(1)));
    assert!(settle(&mut window, now).is_empty(), "the confirmation is younger");
    assert_eq!(epochs(&settle(&mut window, now + Duration::from_secs(1))), [1, 2]);
    assert!(window.is_empty() && window.lines() == 0);
}

#[test]
fn a_lost_connection_sends_every_held_batch_again_from_its_beginning() {
    let (mut window, now) = (Window::default(), Instant::now());
    (1..=4).for_each(|epoch| window.push(batch(epoch, 2)));
    for _ in 0..2 {
        let length = window.chunk().unwrap().len();
        window.wrote(length);
        window.end();
        window.confirmed(at(now));
    }
    window.wrote(20); // of the third: one line and a half
    assert_eq!(window.lost(), resent(2 + 2 + 1));
    assert_eq!(window.chunk().unwrap(), batch(1, 2).text);
    assert!(!window.in_flight());
}

#[test]
fn a_limited_connection_carries_some_lines_which_are_confirmed_by_themselves() {
    let (mut window, now) = (Window::default(), Instant::now());
    window.push(batch(1, 3));
    window.push(batch(2, 1));
    let (all, line) = (batch(1, 3).text.clone(), batch(1, 1).text.len());
    window.limit(Some(2 * line + 1));
    assert_eq!(window.chunk().unwrap(), &all[..2 * line]);
    window.wrote(2 * line - 1);
    assert!(!window.at_boundary());
    window.wrote(1);
    window.end();
    assert!(window.awaits() && window.chunk().is_none());
    window.confirmed(at(now));
    assert_eq!(window.chunk().unwrap(), &all[2 * line..]);
    window.wrote(3);
    assert_eq!(window.lost_unconfirmed(), resent(0), "two lines are confirmed, of the third a fragment is lost");
    assert_eq!(window.chunk().unwrap(), &all[2 * line..]);
    assert_eq!(window.lost(), resent(2));
    assert_eq!(window.chunk().unwrap(), &all[..2 * line], "the confirmation is in doubt, and had not settled");
    window.wrote(2 * line);
    window.end();
    window.confirmed(at(now));
    assert!(settle(&mut window, now).is_empty(), "a part is no batch");
    assert_eq!(window.lost(), resent(0));
    assert_eq!(window.chunk().unwrap(), &all[2 * line..], "what has settled is not sent again");
    window.wrote(line);
    assert!(window.at_boundary() && window.chunk().is_none(), "one batch at a time");
    window.end();
    window.confirmed(at(now));
    assert_eq!(window.chunk().unwrap(), batch(2, 1).text, "the next need not wait until it has settled");
    assert_eq!(epochs(&settle(&mut window, now)), [1]);
}

#[test]
fn what_settles_costs_neither_text_nor_room() {
    let (mut window, now) = (Window::new(Protocol::Plaintext, 1_000_000), Instant::now());
    window.push(piece(1, 0, 2, true, true));
    window.push(piece(1, 1, 3, false, true));
    write_all(&mut window);
    assert_eq!((window.batches(), window.lines(), window.settling()), (2, 5, 0));
    window.end();
    assert_eq!(window.confirmed(at(now)), [Epoch(1)]);
    assert_eq!((window.batches(), window.lines(), window.bytes(), window.settling()), (0, 0, 0, 1));
    assert!(!window.is_empty() && window.in_flight());
    assert_eq!(window.lost(), Lost { resent_lines: 5, epochs: vec![Epoch(1)] });
    assert_eq!((window.snapshots(), window.lines()), (0, 0));
}

#[test]
fn a_part_of_a_snapshot_that_was_lost_meanwhile_says_nothing_about_the_next() {
    let (mut window, now) = (Window::new(Protocol::Plaintext, 0), Instant::now());
    let line = piece(1, 0, 1, false, true).text.len();
    window.push(piece(1, 0, 2, false, true));
    window.push(piece(2, 0, 2, false, true));
    window.limit(Some(line));
    window.wrote(line);
    window.end();
    window.confirmed(at(now));
    window.wrote(line);
    assert_eq!(window.lost_unconfirmed().epochs, [Epoch(1)]);
    settle(&mut window, now);
    assert_eq!(window.chunk().unwrap(), &piece(2, 0, 2, false, true).text[..line]);
    window.lost();
    assert_eq!(window.chunk().unwrap(), &piece(2, 0, 2, false, true).text[..line]);
}

#[test]
fn only_what_has_not_begun_to_go_out_is_dropped() {
    let mut window = Window::default();
    (1..=4).for_each(|epoch| window.push(batch(epoch, 10)));
    window.wrote(5);
    assert_eq!(epochs(&window.drop_oldest(20)), [2, 3]);
    assert_eq!(window.lines(), 20);
    assert!(window.drop_oldest(20).is_empty(), "as many as may be");
    window.push(batch(5, 100));
    assert!(window.drop_oldest(120).is_empty(), "as many as may be");
    assert_eq!(epochs(&window.drop_oldest(119)), [4]);
    assert_eq!(window.batches(), 2, "one in flight, and the newest although it is larger than the bound");
}

#[test]
fn a_batch_without_lines_takes_its_turn() {
    let (mut window, now) = (Window::default(), Instant::now());
    window.push(batch(1, 0));
    window.push(batch(2, 1));
    window.push(batch(3, 0));
    write_all(&mut window);
    assert!(window.at_boundary());
    window.end();
    window.confirmed(at(now));
    assert_eq!(epochs(&settle(&mut window, now)), [1, 2, 3]);
}

#[test]
fn what_was_sent_and_forgotten_is_lost_with_the_connection_and_comes_again_as_a_whole() {
    let (mut window, now) = (Window::new(Protocol::Plaintext, 0), Instant::now());
    window.push(piece(1, 0, 2, true, true));
    window.push(piece(1, 1, 2, true, true));
    write_all(&mut window);
    assert_eq!(window.bytes(), 0, "nothing of what was written is kept");
    window.end();
    window.confirmed(at(now));
    assert_eq!(window.lost(), Lost { resent_lines: 4, epochs: vec![Epoch(1)] });
    window.push(piece(1, 2, 2, false, true));
    assert!(window.is_empty(), "a piece of what is lost is not taken");
    window.push(piece(2, 0, 1, false, true));
    window.push(piece(1, 0, 2, false, true));
    write_all(&mut window);
    window.end();
    window.confirmed(at(now));
    assert_eq!(epochs(&settle(&mut window, now)), [2, 1]);
}

#[test]
fn of_what_was_written_as_much_is_kept_as_may_be() {
    let length = piece(1, 0, 2, false, true).text.len();
    let mut window = Window::new(Protocol::Plaintext, 2 * length);
    for epoch in 1..=5 {
        window.push(piece(epoch, 0, 2, false, true));
    }
    // What is yet to be written does not count.
    for (written, bytes) in [(1, 5), (2, 5), (3, 4), (4, 3), (5, 2)] {
        window.wrote(length);
        assert_eq!(window.bytes(), bytes * length, "{written} of 5 are written");
    }
    assert_eq!(window.lost(), Lost { resent_lines: 10, epochs: [1, 2, 3].map(Epoch).to_vec() });
    assert_eq!(window.chunk().unwrap(), piece(4, 0, 2, false, true).text);
}

#[test]
fn a_window_that_was_emptied_is_as_limited_as_before() {
    let mut window = Window::default();
    let (all, line) = (batch(1, 3).text.clone(), batch(1, 1).text.len());
    window.limit(Some(line));
    for _ in 0..2 {
        window.push(batch(1, 3));
        assert_eq!(window.chunk().unwrap(), &all[..line]);
        window.wrote(1);
        assert_eq!(window.take_all(), (vec![batch(1, 3)], vec![]));
        assert!(window.is_empty() && !window.in_flight() && window.chunk().is_none());
    }
}

#[test]
fn what_was_chained_once_stays_so() {
    let (mut window, now) = (Window::default(), Instant::now());
    for epoch in 1..=2 {
        window.push(batch(epoch, 1));
        write_all(&mut window);
        window.end();
        window.confirmed(at(now + Duration::from_secs(epoch)));
    }
    let chained = |window: &Window| window.receipts().map(|receipt| receipt.chained).collect::<Vec<_>>();
    assert_eq!(chained(&window), [false, false]);
    window.chain(|receipt| receipt.confirmed <= now + Duration::from_secs(1));
    assert_eq!(chained(&window), [true, false]);
    window.chain(|_| false);
    assert_eq!(chained(&window), [true, false]);
}

#[test]
fn a_snapshot_whose_first_pieces_are_delivered_does_not_go_on_elsewhere() {
    let (mut window, now) = (Window::default(), Instant::now());
    window.push(piece(1, 0, 2, true, true));
    write_all(&mut window);
    window.end();
    window.confirmed(at(now));
    assert_eq!(settle(&mut window, now), [Gone { epoch: Epoch(1), lines: 2, last: false }]);
    assert_eq!(window.take_all(), (vec![], vec![Epoch(1)]));
    window.push(piece(1, 0, 2, true, true));
    write_all(&mut window);
    window.end();
    window.confirmed(at(now));
    settle(&mut window, now);
    window.push(piece(1, 1, 2, false, true));
    window.push(piece(2, 0, 2, false, true));
    assert_eq!(window.take_all(), (vec![piece(2, 0, 2, false, true)], vec![Epoch(1)]));
}
