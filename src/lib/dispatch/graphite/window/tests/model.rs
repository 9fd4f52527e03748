//! Whatever happens to connections, held against a plain model of the world.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
enum Action {
    /// Another piece of the snapshot that has begun, or the first of the next; so many lines, and whether more follow.
    Push(usize, bool),
    /// The oldest of those that were lost.
    PushAgain,
    Write(usize),
    End,
    Confirm,
    /// A peer that stands between closes, and nobody has read anything: in doubt in time.
    Pretend,
    Acknowledge(f64),
    Tick,
    Settle,
    Lose,
    LoseUnconfirmed,
    Limit(Option<usize>),
    Drop(usize),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        4 => (0_usize..6, proptest::bool::weighted(0.4)).prop_map(|(lines, more)| Action::Push(lines, more)),
        2 => Just(Action::PushAgain),
        8 => (1_usize..120).prop_map(Action::Write),
        3 => Just(Action::End),
        3 => Just(Action::Confirm),
        1 => Just(Action::Pretend),
        2 => (0.0..=1.0_f64).prop_map(Action::Acknowledge),
        2 => Just(Action::Tick),
        2 => Just(Action::Settle),
        1 => Just(Action::Lose),
        1 => Just(Action::LoseUnconfirmed),
        2 => proptest::option::of(1_usize..100).prop_map(Action::Limit),
        1 => (0_usize..12).prop_map(Action::Drop),
    ];
    proptest::collection::vec(action, 0..120)
}

/// The world as a plain model: what went over each connection, what its peer has read for certain, what became of
/// each batch.
struct World {
    now: Instant,
    /// Bytes that the peer's kernel has acknowledged on the current connection.
    acknowledged: u64,
    /// Of each snapshot the lines of its pieces.
    pushed: BTreeMap<u64, Vec<usize>>,
    /// The last snapshot goes on.
    open: bool,
    on_disk: bool,
    lost: BTreeSet<u64>,
    current: Vec<u8>,
    ended: Vec<u8>,
    read: BTreeSet<String>,
    received: Vec<String>,
    gone: Vec<u64>,
    dropped: BTreeSet<u64>,
    resent: u64,
    /// Since when something counts as confirmed that nobody has read.
    pretended: Option<Instant>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            now: Instant::now(),
            acknowledged: 0,
            pushed: BTreeMap::new(),
            open: false,
            on_disk: false,
            lost: BTreeSet::new(),
            current: Vec::new(),
            ended: Vec::new(),
            read: BTreeSet::new(),
            received: Vec::new(),
            gone: Vec::new(),
            dropped: BTreeSet::new(),
            resent: 0,
            pretended: None,
        }
    }
}

impl World {
    fn push(&mut self, window: &mut Window, lines: usize, more: bool) {
        let epoch = self.pushed.len() as u64 - u64::from(self.open);
        let pieces = self.pushed.entry(epoch).or_default();
        window.push(piece(epoch, pieces.len(), lines, more, self.on_disk));
        pieces.push(lines);
        self.open = more;
    }

    fn push_again(&mut self, window: &mut Window) {
        if self.open {
            return;
        }
        let Some(epoch) = self.lost.pop_first() else { return };
        let pieces = &self.pushed[&epoch];
        for (number, lines) in pieces.iter().enumerate() {
            window.push(piece(epoch, number, *lines, number + 1 < pieces.len(), self.on_disk));
        }
    }

    /// Every connection breaks, and what was confirmed is in doubt.
    fn doubt(&mut self, window: &mut Window) {
        let lost = window.lost();
        assert!(!window.in_flight());
        self.pretended = None;
        self.lose(lost);
    }

    /// What settles stays so: the peer is there.
    fn break_off(&mut self, window: &mut Window) {
        let lost = window.lost_unconfirmed();
        self.lose(lost);
    }

    fn lose(&mut self, lost: Lost) {
        let (ended, current) = (std::mem::take(&mut self.ended), std::mem::take(&mut self.current));
        self.over(ended);
        self.over(current);
        for Epoch(epoch) in lost.epochs {
            assert!(self.on_disk && !self.gone.contains(&epoch));
            self.lost.insert(epoch);
            if self.open && epoch == self.pushed.len() as u64 - 1 {
                // It comes again with what there is of it.
                self.open = false;
            }
        }
    }

    fn whole_lines(bytes: &[u8]) -> Vec<String> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let whole = text.rfind('\n').map_or("", |newline| &text[..=newline]);
        whole.lines().map(str::to_owned).collect()
    }

    fn certainly_read(&mut self, bytes: &[u8]) {
        self.read.extend(Self::whole_lines(bytes));
    }

    fn over(&mut self, connection: Vec<u8>) {
        self.received.extend(Self::whole_lines(&connection));
    }

    fn lines(&self, epoch: u64) -> Vec<String> {
        let pieces = self.pushed[&epoch].iter().enumerate();
        pieces.flat_map(|(number, lines)| Self::whole_lines(&piece(epoch, number, *lines, true, true).text)).collect()
    }

    fn delivered(&mut self, gone: &[Gone]) {
        for gone in gone.iter().filter(|gone| gone.last) {
            for line in self.lines(gone.epoch.0) {
                assert!(self.read.contains(&line), "{line} counts as delivered, but nobody has read it");
            }
            assert!(!self.gone.contains(&gone.epoch.0), "once");
            assert!(self.on_disk || self.gone.last().is_none_or(|last| *last < gone.epoch.0), "oldest first");
            self.gone.push(gone.epoch.0);
        }
    }
}

impl World {
    fn perform(&mut self, window: &mut Window, action: Action) {
        match action {
            Action::Push(lines, more) => self.push(window, lines, more),
            Action::PushAgain => self.push_again(window),
            Action::Write(most) => {
                let Some(chunk) = window.chunk() else { return };
                let taken = chunk[..chunk.len().min(most)].to_vec();
                window.wrote(taken.len());
                self.current.extend(taken);
            }
            Action::End => {
                if window.at_boundary() && !window.awaits() {
                    window.end();
                    self.acknowledged = 0;
                    self.ended = std::mem::take(&mut self.current);
                    assert!(self.ended.is_empty() || self.ended.ends_with(b"\n"));
                }
            }
            Action::Confirm => {
                window.confirmed(at(self.now));
                let ended = std::mem::take(&mut self.ended);
                self.certainly_read(&ended);
                self.over(ended);
            }
            Action::Pretend => {
                if window.awaits() {
                    self.pretended.get_or_insert(self.now);
                }
                window.confirmed(at(self.now));
                let ended = std::mem::take(&mut self.ended);
                self.over(ended);
            }
            Action::Acknowledge(part) => {
                if !window.awaits() {
                    let bytes = (window.position as f64 * part) as u64;
                    self.acknowledged = bytes.max(self.acknowledged);
                    let read = self.current[..self.acknowledged as usize].to_vec();
                    self.certainly_read(&read);
                    window.acknowledged(self.acknowledged, at(self.now));
                }
            }
            Action::Tick => self.now += Duration::from_secs(1),
            Action::Settle => {
                let until = self.now - Duration::from_secs(1);
                if self.pretended.is_some_and(|since| since <= until) {
                    // What the witnesses are for.
                    self.doubt(window);
                    self.acknowledged = 0;
                }
                self.delivered(&settle(window, until));
            }
            Action::Lose | Action::LoseUnconfirmed => {
                if matches!(action, Action::Lose) {
                    self.doubt(window);
                } else {
                    self.break_off(window);
                }
                self.acknowledged = 0;
            }
            Action::Limit(part) => window.limit(part),
            Action::Drop(most) => {
                let dropped = window.drop_oldest(most);
                self.dropped.extend(dropped.iter().filter(|gone| gone.last).map(|gone| gone.epoch.0));
            }
        }
    }

    fn check(&self, window: &Window, kept: usize) {
        let held: usize = window.entries.iter().skip(window.settling_entries).map(|entry| entry.lines).sum();
        assert_eq!(window.lines(), held);
        let bytes: usize = window.entries.iter().map(|entry| entry.text().len()).sum();
        assert_eq!(window.bytes(), bytes);
        let unsent: usize = window.entries.iter().skip(window.next_index()).map(Entry::len).sum();
        let partly = window.entries.get(window.next_index()).map_or(0, |entry| window.offset - entry.skip);
        assert_eq!(window.unsent(), unsent - partly);
        assert!(!self.on_disk || window.bytes() - window.waiting_bytes() <= kept);
        assert_eq!(window.position, self.current.len() as u64);
    }

    /// What is left gets through, limited or not.
    fn gets_through(&mut self, window: &mut Window) {
        self.doubt(window);
        for _ in 0..2000 {
            self.push_again(window);
            while let Some(chunk) = window.chunk().map(<[u8]>::to_vec) {
                window.wrote(chunk.len());
                self.current.extend(chunk);
            }
            if window.at_boundary() {
                window.end();
            }
            window.confirmed(at(self.now));
            let ended = std::mem::take(&mut self.current);
            self.certainly_read(&ended);
            self.over(ended);
            self.delivered(&settle(window, self.now));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_happens_nothing_is_lost_and_no_line_is_broken(
        actions in actions(), kept in 0_usize..400, on_disk: bool,
    ) {
        let (mut window, mut world) = (Window::new(Protocol::Plaintext, kept), World::default());
        world.on_disk = on_disk;
        for action in actions {
            world.perform(&mut window, action);
            world.check(&window, kept);
        }
        if world.open {
            world.push(&mut window, 1, false);
        }
        // First pieces that were confirmed may settle yet when their snapshot was lost, came again and was dropped.
        let last = window.entries.iter().filter(|entry| !entry.more);
        let rest: BTreeSet<u64> = last.map(|entry| entry.epoch.0).collect();
        // Every snapshot is held, delivered, dropped, or lost and to come again.
        for epoch in world.pushed.keys() {
            let known = [rest.contains(epoch) || world.lost.contains(epoch), world.gone.contains(epoch),
                world.dropped.contains(epoch)];
            prop_assert_eq!(known.iter().filter(|known| **known).count(), 1, "{}: {:?}", epoch, known);
        }
        world.gets_through(&mut window);
        prop_assert!(window.is_empty() && window.lines() == 0 && window.unsent() == 0 && window.bytes() == 0);
        prop_assert_eq!(world.gone.len() + world.dropped.len(), world.pushed.len());
        // No line is broken or invented on any connection.
        let known: BTreeSet<String> = world.pushed.keys().flat_map(|epoch| world.lines(*epoch)).collect();
        for line in &world.received {
            prop_assert!(known.contains(line), "{}", line);
        }
    }

    #[test]
    fn the_lines_sent_again_are_the_lines_received_again(
        lines in proptest::collection::vec(0_usize..6, 1..8),
        cuts in proptest::collection::vec(1_usize..400, 0..6),
    ) {
        let (mut window, mut world) = (Window::default(), World::default());
        for (epoch, lines) in lines.iter().enumerate() {
            window.push(batch(epoch as u64, *lines));
        }
        for mut bytes in cuts {
            while let Some(chunk) = window.chunk() {
                let taken = chunk[..chunk.len().min(bytes)].to_vec();
                bytes -= taken.len();
                window.wrote(taken.len());
                world.current.extend(taken);
                if bytes == 0 {
                    break;
                }
            }
            world.resent += window.lost().resent_lines;
            let current = std::mem::take(&mut world.current);
            world.over(current);
        }
        while let Some(chunk) = window.chunk().map(<[u8]>::to_vec) {
            window.wrote(chunk.len());
            world.current.extend(chunk);
        }
        let current = std::mem::take(&mut world.current);
        world.over(current);
        let distinct: BTreeSet<_> = world.received.iter().collect();
        prop_assert_eq!(world.received.len() - distinct.len(), world.resent as usize);
        prop_assert_eq!(distinct.len(), lines.iter().sum::<usize>());
    }
}
