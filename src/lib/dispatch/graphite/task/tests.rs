//! Steps of the task by themselves, with real connections to a listener of the test and with times that the test sets.

mod witnesses;

use super::loss::AT_ONCE;
use super::renewal::Renewal;
use super::state::{Habit, LARGEST_PART, Loss, Next, Task};
use crate::config::Protocol;
use crate::dispatch::Batch;
use crate::dispatch::graphite::connect::{ConnectError, Connector, Target};
use crate::dispatch::graphite::link::{Link, Stream};
use crate::dispatch::graphite::proof::Receipt;
use crate::dispatch::graphite::report::Report;
use crate::dispatch::graphite::shared::Shared;
use crate::dispatch::graphite::window::Window;
use crate::looked::Moment;
use crate::snapshot::Epoch;
use crate::testing::config;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Lines of a batch.
const LINES: usize = 10;

struct Bench {
    task: Task,
    listener: TcpListener,
    /// The peer's ends.
    peers: Vec<TcpStream>,
}

impl Bench {
    /// A task that has not begun. Retries pause for 2 s, rounds for 10 s; what is confirmed settles for 5 s.
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut graphite = config().graphite;
        (graphite.interval, graphite.delay, graphite.settle) = (SECOND * 2, SECOND * 10, SECOND * 5);
        let mut endpoint = graphite.servers[0].clone();
        (endpoint.host, endpoint.port) = ("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        let shared = Rc::new(Shared {
            window: RefCell::new(Window::new(Protocol::Plaintext, 1_000_000)),
            counters: Cell::default(),
            well: Cell::new(true),
            stalled: Cell::new(false),
            unreachable: Cell::new(false),
            connected: Cell::new(None),
            recalled: Cell::new(false),
            had_room: Cell::new((true, true)),
            trust: Cell::new(None),
            settles_soon: false,
            unsent: 1_000_000,
            report: Report::new("graphite", &endpoint, 1_000_000),
            queue_size: 1_000_000,
            queue_full: graphite.queue_full,
            listener: Box::new(|_| {}),
            submitted: Notify::new(),
            changed: Notify::new(),
        });
        let task = Task::new(&graphite, Target { endpoint, tls: None }, shared);
        Self { task, listener, peers: Vec::new() }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    async fn stream(&mut self) -> Stream {
        let tcp = TcpStream::connect(self.address()).await.unwrap();
        self.peers.push(self.listener.accept().await.unwrap().0);
        Stream { tcp, session: None }
    }

    /// A connection that was opened then.
    async fn link(&mut self, opened: Instant) -> Link {
        let mut link = Link::new(self.stream().await, SECOND).unwrap();
        link.opened = opened;
        link
    }

    async fn open(&mut self, opened: Instant) {
        self.task.next = Next::Open(self.link(opened).await);
    }

    async fn witness(&mut self, opened: Instant) {
        let link = self.link(opened).await;
        self.task.witnesses.links.push(link);
    }

    fn push(&self, epoch: u64) {
        let text: String = (0..LINES).map(|number| format!("a.{number} 1 {epoch}\n")).collect();
        let batch = Batch { epoch: Epoch(epoch), text: text.into(), lines: LINES, ..Batch::default() };
        self.task.shared.window.borrow_mut().push(Arc::new(batch));
    }

    /// A batch that the current connection has carried whole.
    fn carry(&self, epoch: u64) {
        self.push(epoch);
        let mut window = self.task.shared.window.borrow_mut();
        let bytes = window.chunk().unwrap().len();
        window.wrote(bytes);
    }

    /// The peer has confirmed what was carried.
    fn confirm(&self, opened: Instant, ended: Instant) {
        let receipt = Receipt { peer: Some(self.address()), opened, ended, confirmed: ended, chained: false };
        let mut window = self.task.shared.window.borrow_mut();
        window.end();
        window.confirmed(receipt);
    }

    fn receipts(&self) -> usize {
        self.task.shared.window.borrow().receipts().count()
    }

    fn resent(&self) -> u64 {
        self.task.shared.counters.get().resent_lines
    }

    /// The pause until the next connection is opened.
    fn pause(&self, now: Instant) -> Duration {
        let Next::Pause(until) = self.task.next else { panic!("no pause") };
        until.checked_duration_since(now).expect("a pause does not end before it begins")
    }

    fn opened(&self) -> Vec<Instant> {
        self.task.witnesses.links.iter().map(|link| link.opened).collect()
    }
}

/// A quarter more or less.
fn about(pause: Duration) -> std::ops::RangeInclusive<Duration> {
    pause.mul_f64(0.75)..=pause.mul_f64(1.25)
}

fn broken() -> Loss {
    Loss::Broken(io::Error::other("a test wants it"))
}

#[tokio::test]
async fn pauses_after_a_loss_are_those_of_failures_unless_something_good_was_lost() {
    for doubts in [0, 1] {
        let mut bench = Bench::new().await;
        let now = Instant::now();
        bench.task.doubts = doubts;
        for failures in 1..=3 {
            bench.task.lost(&broken(), now);
            assert_eq!(bench.task.failures, failures);
            let pause = bench.task.rounds.after(failures);
            assert!(pause >= SECOND * 2 && about(pause).contains(&bench.pause(now)), "{:?}", bench.pause(now));
        }
        bench.task.confirmed_since_loss = true;
        bench.task.lost(&broken(), now);
        assert_eq!(bench.task.failures, 0);
        assert!(bench.pause(now) <= AT_ONCE);
    }
    let mut bench = Bench::new().await;
    let now = Instant::now();
    for doubts in 2..=4 {
        (bench.task.doubts, bench.task.confirmed_since_loss) = (doubts, true);
        bench.task.lost(&broken(), now);
        assert!(about(bench.task.rounds.after(doubts - 1)).contains(&bench.pause(now)), "{:?}", bench.pause(now));
        assert_eq!(bench.task.failures, 0, "doubts are no failures to connect");
    }
}

#[tokio::test]
async fn connections_that_break_without_a_confirmation_carry_less_and_less_from_the_third_on() {
    let mut bench = Bench::new().await;
    let now = Instant::now();
    let mut parts = Vec::new();
    for _ in 0..7 {
        bench.task.lost(&broken(), now);
        parts.push(bench.task.part);
    }
    let kib = |kib: usize| Some(kib * 1024);
    assert_eq!(LARGEST_PART, 256 * 1024);
    assert_eq!(parts, [None, None, kib(256), kib(64), kib(16), kib(4), kib(4)]);
}

#[tokio::test]
async fn a_good_connection_that_ends_while_nothing_is_on_it_is_no_reason_to_carry_less() {
    for (stood, carries, ended, barren) in [
        (SECOND * 6, false, true, 0),
        (SECOND * 6, true, true, 1),
        (SECOND * 4, false, true, 1),
        (SECOND * 6, false, false, 1),
    ] {
        let mut bench = Bench::new().await;
        let now = Instant::now();
        let mut link = bench.link(now - stood).await;
        link.begun = Moment::now() - stood;
        bench.task.next = Next::Open(link);
        if carries {
            bench.carry(1);
        }
        bench.task.lost(&if ended { Loss::Closed } else { broken() }, now);
        assert_eq!(bench.task.barren, barren, "{stood:?} {carries} {ended}");
        assert_eq!(bench.task.shared.report.trouble().is_some(), barren > 0, "{stood:?} {carries} {ended}");
    }
}

#[tokio::test]
async fn what_was_confirmed_is_sent_again_unless_a_witness_stands_for_it_or_its_peer_is_only_slow() {
    let lines = LINES as u64;
    for (witness, loss, again) in [
        (true, Loss::Closed, lines),
        (true, Loss::TooSlow(SECOND), lines),
        (false, Loss::TooSlow(SECOND), lines),
        (false, Loss::Closed, 2 * lines),
        (true, Loss::Witness(None), 2 * lines),
    ] {
        let mut bench = Bench::new().await;
        let now = Instant::now();
        bench.carry(1);
        bench.confirm(now, now);
        bench.open(now).await;
        bench.carry(2);
        if witness {
            bench.witness(now).await;
        }
        bench.task.lost(&loss, now);
        assert_eq!(bench.resent(), again, "{loss:?} {witness}");
        let kept = again == lines;
        assert_eq!((bench.receipts(), bench.task.doubts), (usize::from(kept), u32::from(!kept)), "{loss:?} {witness}");
        assert_eq!(bench.task.witnesses.links.len(), usize::from(kept && witness), "{loss:?}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_leaves_the_verdict_to_connections_that_stand() {
    for (ended, used, witness, doubted) in [
        (false, false, false, true),
        (true, false, false, false),
        (false, true, false, false),
        (false, false, true, false),
    ] {
        let mut bench = Bench::new().await;
        let now = Instant::now();
        bench.carry(1);
        bench.confirm(now, now);
        if ended {
            bench.task.ended = Some((bench.link(now).await, now));
        }
        if used {
            bench.carry(2);
        }
        if witness {
            bench.witness(now).await;
        }
        let error = ConnectError::NoAddress { host: "a".to_owned() };
        bench.task.unreachable(&error, now);
        assert_eq!(bench.receipts() == 0, doubted, "{ended} {used} {witness}");
        assert_eq!(bench.task.doubts, u32::from(doubted));
    }
}

#[tokio::test]
async fn who_refuses_connections_may_be_another_program_soon() {
    let address = "127.0.0.1:1".parse().unwrap();
    let refused = ConnectError::Connect { address, source: io::Error::other("refused") };
    let no_address = ConnectError::NoAddress { host: "a".to_owned() };
    for (habit, error, then) in [
        (Habit::Closes, &refused, Habit::Unknown),
        (Habit::Closes, &no_address, Habit::Closes),
        (Habit::Never, &refused, Habit::Never),
    ] {
        let mut bench = Bench::new().await;
        bench.task.habit = habit;
        bench.task.unreachable(error, Instant::now());
        assert_eq!(bench.task.habit, then, "{error:?}");
    }
}

/// It is opened, and closed before it could take over: the old one goes on, and another is opened after a while.
#[tokio::test]
async fn a_connection_that_ends_before_it_takes_over_is_left() {
    let mut bench = Bench::new().await;
    let now = Instant::now();
    bench.task.habit = Habit::Never;
    bench.task.renewal = Renewal::new(SECOND * 100);
    bench.open(now).await;
    let Next::Open(old) = &bench.task.next else { panic!() };
    let begun = old.begun;
    let stream = bench.stream().await;
    let connector = Connector::new(bench.task.target.clone(), SECOND);
    bench.task.renewed(connector, Ok(stream), now);
    assert!(bench.task.renewal.is_due());
    drop(bench.peers.pop());
    // Until the end has arrived.
    bench.task.renewal.fresh.as_ref().unwrap().ready(false).await;
    bench.task.renew(now);
    assert!(!bench.task.renewal.is_due());
    assert_eq!(bench.task.renewal.next_look(), Some(now + SECOND * 10), "after delay");
    let Next::Open(present) = &bench.task.next else { panic!() };
    assert_eq!(present.begun, begun);
    // One that stands takes over, and its life begins.
    let stream = bench.stream().await;
    let connector = Connector::new(bench.task.target.clone(), SECOND);
    bench.task.renewed(connector, Ok(stream), now);
    bench.task.renew(now);
    let Next::Open(present) = &bench.task.next else { panic!() };
    assert_ne!(present.begun, begun);
    let next = bench.task.renewal.next_look().unwrap() - now;
    assert!(next >= SECOND * 90 && next <= SECOND * 110, "{next:?}");
}

/// What the old one carried settles while the new one stands and a snapshot waits. Nothing wakes the task after that.
#[tokio::test]
async fn a_connection_takes_over_in_the_turn_in_which_the_last_snapshot_settles() {
    let mut bench = Bench::new().await;
    let now = Instant::now();
    bench.task.habit = Habit::Never;
    bench.task.renewal = Renewal::new(SECOND * 100);
    bench.open(now).await;
    bench.push(1);
    bench.task.advance(now).unwrap();
    let stream = bench.stream().await;
    let connector = Connector::new(bench.task.target.clone(), SECOND);
    bench.task.renewed(connector, Ok(stream), now);
    bench.push(2);
    let Next::Open(old) = &mut bench.task.next else { panic!() };
    let begun = old.begun;
    while old.acknowledged() == 0 {
        tokio::task::yield_now().await;
    }
    bench.task.advance(now).unwrap();
    assert_eq!(bench.receipts(), 1, "it has not settled");
    bench.task.advance(now + SECOND * 6).unwrap();
    let Next::Open(present) = &bench.task.next else { panic!() };
    assert_ne!(present.begun, begun);
    assert!(!bench.task.renewal.is_due(), "the snapshot can be written");
}

#[tokio::test]
async fn a_connection_that_cannot_be_opened_in_advance_is_tried_again_after_a_while() {
    let mut bench = Bench::new().await;
    let now = Instant::now();
    bench.task.renewal = Renewal::new(SECOND * 100);
    bench.task.renewal.begin(now);
    let connector = Connector::new(bench.task.target.clone(), SECOND);
    bench.task.renewed(connector, Err(ConnectError::NoAddress { host: "a".to_owned() }), now);
    assert_eq!(bench.task.renewal.next_look(), Some(now + SECOND * 10));
    assert!(bench.task.connector.is_some(), "it may still be resolving");
}
