//! What the task makes of what librdkafka says; nothing is sent.

use super::*;
use crate::batch::messages::Messages;
use crate::config::{Program, load};
use crate::dispatch::Batch;
use crate::dispatch::condition::Condition;
use crate::dispatch::kafka::report::Report;
use crate::dispatch::kafka::window::Window;
use crate::snapshot::Epoch;
use std::cell::RefCell;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

struct Bench {
    task: Task,
    notices: UnboundedReceiver<Notice>,
}

impl Bench {
    /// A task that is well, with a client whose broker is away, and as many messages under way.
    fn new(messages: usize) -> (Self, Vec<Token>) {
        let text = "[kafka]\nbrokers = 127.0.0.1:1\ntopic = t\n";
        let config = load::from_text(Program::Process, text, "test").unwrap().config.kafka.unwrap();
        let (sender, notices) = mpsc::unbounded_channel();
        let shared = Rc::new(Shared {
            window: RefCell::new(Window::new(config.format)),
            files: RefCell::default(),
            condition: Condition::new(NAME, sender),
            unsent: 1_000_000,
            report: Report::new("127.0.0.1:1", "t"),
            queue_size: 1_000_000,
        });
        shared.condition.well();
        let mut task = Task::new(&config, shared, None);
        task.connect();
        assert!(task.client.is_some());
        let mut bench = Self { task, notices };
        bench.submit(1, messages, false);
        let tokens = (0..messages).map(|_| bench.send()).collect();
        (bench, tokens)
    }

    fn submit(&mut self, epoch: u64, messages: usize, more: bool) {
        let mut all = Messages::default();
        for number in 0..messages {
            all.push(b"key", Epoch(epoch), [format!("{{\"number\":{number}}}").as_bytes()]);
        }
        let batch = Batch { epoch: Epoch(epoch), lines: messages, messages: all, more, ..Batch::default() };
        self.task.shared.window.borrow_mut().push(Arc::new(batch));
    }

    /// As if the next message had been handed over.
    fn send(&mut self) -> Token {
        let mut window = self.task.shared.window.borrow_mut();
        let (token, _) = window.next().unwrap();
        window.sent(token, std::time::Instant::now());
        token
    }

    fn report(&mut self, token: Token, outcome: Outcome, code: Option<RDKafkaErrorCode>) {
        self.task.heed(Event::Report(token, outcome, code));
    }

    fn counters(&self) -> crate::dispatch::Counters {
        self.task.shared.condition.counters()
    }

    fn is_well(&self) -> bool {
        self.task.shared.condition.is_well()
    }

    /// The snapshots of which it was told that they are delivered.
    fn delivered(&mut self) -> Vec<u64> {
        self.task.settle();
        let notices = std::iter::from_fn(|| self.notices.try_recv().ok());
        let epochs = notices.filter_map(|notice| match notice {
            Notice::Delivered { epoch, .. } => Some(epoch.0),
            _ => None,
        });
        epochs.collect()
    }
}

#[test]
fn trouble_with_all_brokers_is_trouble_and_with_one_it_is_not() {
    use RDKafkaErrorCode::{
        AllBrokersDown, Authentication, BrokerTransportFailure, OperationTimedOut, SSL, SaslAuthenticationFailed,
    };
    for (code, is_trouble) in [
        (AllBrokersDown, true),
        (Authentication, true),
        (SaslAuthenticationFailed, true),
        (SSL, true),
        (BrokerTransportFailure, false),
        (OperationTimedOut, false),
    ] {
        let (mut bench, _) = Bench::new(0);
        bench.task.heed(Event::Trouble(code, "why".to_owned()));
        assert_eq!((bench.is_well(), bench.task.shared.report.is_troubled()), (!is_trouble, is_trouble), "{code}");
        assert!(bench.task.client.is_some() && bench.task.retry_at.is_none(), "librdkafka goes on by itself");
    }
}

#[test]
fn after_a_fatal_error_another_client_sends_what_was_under_way() {
    let fatal = RDKafkaErrorCode::Fatal;
    for told in ["by an event", "by a report", "by both"] {
        let (mut bench, tokens) = Bench::new(3);
        if told != "by an event" {
            bench.report(tokens[0], Outcome::Refused, Some(fatal));
        }
        if told != "by a report" {
            bench.task.heed(Event::Trouble(fatal, "why".to_owned()));
        }
        let counters = bench.counters();
        let refused = u64::from(told != "by an event");
        assert_eq!((counters.reconnects, counters.messages_failed), (1, refused), "{told}");
        assert_eq!(counters.messages_retried, 3 - refused, "{told}");
        assert!(bench.task.client.is_none() && bench.task.retry_at.is_some() && !bench.is_well(), "{told}");
        // What the old client says later is about nothing.
        tokens.iter().for_each(|token| bench.report(*token, Outcome::Delivered, None));
        assert_eq!(bench.counters().messages_sent, 0);
        bench.task.try_again();
        assert!(bench.task.client.is_some() && bench.task.retry_at.is_none());
        for _ in 0..3 {
            let token = bench.send();
            bench.report(token, Outcome::Delivered, None);
        }
        assert_eq!(bench.delivered(), [1], "{told}");
        assert!(bench.is_well());
    }
}

/// It is divided, not refused: nothing waits for that, and nothing is wrong.
#[test]
fn a_message_that_is_too_large_is_no_refusal_while_nothing_else_is_refused() {
    let too_large = Some(RDKafkaErrorCode::MessageSizeTooLarge);
    let (mut bench, tokens) = Bench::new(2);
    bench.report(tokens[0], Outcome::TooLarge, too_large);
    assert_eq!(bench.counters().messages_failed, 1);
    assert!(bench.is_well() && bench.task.retry_at.is_none() && !bench.task.shared.report.is_troubled());
    // Now it goes alone, and one document cannot be divided.
    bench.report(tokens[1], Outcome::Delivered, None);
    let token = bench.send();
    bench.report(token, Outcome::TooLarge, too_large);
    assert_eq!(bench.counters().messages_failed, 2);
    assert!(!bench.is_well() && bench.task.retry_at.is_some() && bench.task.shared.report.is_troubled());
}

#[test]
fn what_is_refused_is_counted_and_tried_again_after_pauses_that_grow() {
    let (mut bench, tokens) = Bench::new(2);
    let refused = Some(RDKafkaErrorCode::TopicAuthorizationFailed);
    for token in tokens {
        bench.report(token, Outcome::Refused, refused);
    }
    let counters = bench.counters();
    assert_eq!((counters.messages_failed, bench.task.failures), (2, 1), "one pause for all that is refused meanwhile");
    assert!(!bench.is_well());
    bench.task.try_again();
    assert_eq!(bench.counters().messages_retried, 2);
    let token = bench.send();
    bench.report(token, Outcome::Refused, refused);
    assert_eq!(bench.task.failures, 2);
    bench.task.try_again();
    for _ in 0..2 {
        let token = bench.send();
        bench.report(token, Outcome::Delivered, None);
    }
    assert_eq!(bench.delivered(), [1]);
    assert_eq!(bench.task.failures, 0, "the next refusal is the first again");
}

/// librdkafka gives back what it had when it is purged: that is our doing.
#[test]
fn what_was_purged_is_no_failure() {
    for code in [RDKafkaErrorCode::PurgeQueue, RDKafkaErrorCode::PurgeInflight] {
        let (mut bench, tokens) = Bench::new(1);
        bench.report(tokens[0], Outcome::Refused, Some(code));
        assert_eq!(bench.counters().messages_failed, 0);
        assert!(bench.is_well() && bench.task.retry_at.is_some());
    }
}

#[test]
fn a_snapshot_is_delivered_with_the_last_of_its_pieces() {
    let (mut bench, _) = Bench::new(0);
    bench.delivered();
    for more in [true, false] {
        bench.submit(2, 1, more);
        let token = bench.send();
        bench.report(token, Outcome::Delivered, None);
        assert_eq!(bench.delivered(), if more { vec![] } else { vec![2] });
    }
    assert_eq!((bench.counters().delivered_lines, bench.counters().messages_sent), (2, 2));
}
