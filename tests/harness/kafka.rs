//! Brokers, and an independent reader of what they have.
//!
//! [`Tansu`] is a broker that shares no code with librdkafka. [`Brokers`] is the mock cluster of librdkafka: real TCP ports and Kafka's own protocol, with brokers that can be taken
//! down and told to refuse. [`Reader`] is kcat, which follows a topic from its beginning; [`Message::points`] decodes each
//! format back to the points that Graphite would have got.

use super::gate::Gate;
use super::{Daemon, FORKS, output, peer};
use nix::sys::signal::Signal;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::sync::PoisonError;

/// Gives the calling thread, and what it starts from now on, a network of its own, where that is allowed (root).
///
/// A broker that is taken down lets go of its port for a moment, and the mock cluster aborts when it does not get it back:
/// among the many connections of other tests it may well be taken.
pub fn alone() {
    // SAFETY: concerns the network namespace of this thread, and no memory.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 {
        let up = output(Command::new("ip").args(["link", "set", "lo", "up"]));
        assert!(up.is_ok_and(|output| output.status.success()), "the loopback interface comes up");
        ALONE.set(true);
    }
}

thread_local! {
    /// Whether this thread has a network of its own.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// A cluster.
pub struct Brokers {
    cluster: MockCluster<'static, DefaultProducerContext>,
    count: i32,
    /// The ports of brokers that are down, bound and not listened on: the kernel would give them to outgoing connections,
    /// and the mock cluster aborts when it does not get them back.
    ports: RefCell<Vec<OwnedFd>>,
}

impl Brokers {
    /// Starts so many brokers.
    pub fn start(count: i32) -> Self {
        let brokers =
            Self { cluster: MockCluster::new(count).expect("a mock cluster"), count, ports: RefCell::default() };
        if ALONE.get() {
            // Between the end of a listener and the moment in which its port is held, an outgoing connection may take it.
            let ports: Vec<String> = brokers.ports().map(|port| port.to_string()).collect();
            let _ = std::fs::write("/proc/sys/net/ipv4/ip_local_reserved_ports", ports.join(","));
        }
        brokers
    }

    /// Where to begin.
    pub fn address(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Takes all of them down.
    pub fn down(&self) {
        let no_forks = FORKS.write().unwrap_or_else(PoisonError::into_inner);
        (1..=self.count).for_each(|broker| self.cluster.broker_down(broker).expect("there is such a broker"));
        drop(no_forks);
        self.ports.borrow_mut().extend(self.ports().filter_map(hold));
    }

    fn ports(&self) -> impl Iterator<Item = u16> + use<> {
        let addresses: Vec<String> = self.address().split(',').map(str::to_owned).collect();
        addresses.into_iter().filter_map(|address| address.rsplit(':').next()?.parse().ok())
    }

    /// Brings them up again, with what they had.
    pub fn up(&self) {
        (1..=self.count).for_each(|broker| self.cluster.broker_up(broker).expect("there is such a broker"));
        self.ports.borrow_mut().clear();
    }

    /// Makes a topic.
    pub fn create_topic(&self, topic: &str, partitions: i32) {
        self.cluster.create_topic(topic, partitions, 1).expect("a topic");
    }

    /// Refuses the next requests to write, one for each error.
    pub fn refuse(&self, errors: &[RDKafkaRespErr]) {
        self.cluster.request_errors(RDKafkaApiKey::Produce, errors);
    }

    /// Refuses nothing any more.
    pub fn accept(&self) {
        self.cluster.clear_request_errors(RDKafkaApiKey::Produce);
    }

    /// Refuses the next commits of offsets, one for each error.
    pub fn refuse_commits(&self, errors: &[RDKafkaRespErr]) {
        self.cluster.request_errors(RDKafkaApiKey::OffsetCommit, errors);
    }

    /// Answers the next questions for committed offsets with these errors, one for each.
    pub fn refuse_committed(&self, errors: &[RDKafkaRespErr]) {
        self.cluster.request_errors(RDKafkaApiKey::OffsetFetch, errors);
    }

    /// Knows questions for committed offsets up to this version only.
    pub fn limit_committed(&self, version: i16) {
        self.cluster.apiversion(RDKafkaApiKey::OffsetFetch, Some(0), Some(version)).expect("there is such a request");
    }

    /// Says this about a topic, until it is `RD_KAFKA_RESP_ERR_NO_ERROR`.
    pub fn topic_error(&self, topic: &str, error: RDKafkaRespErr) {
        self.cluster.topic_error(topic, error).expect("a topic");
    }
}

/// Keeps a port of the loopback interface from everybody but a listener that shares it (SO_REUSEADDR).
fn hold(port: u16) -> Option<OwnedFd> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt};
    let held = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).ok()?;
    setsockopt(&held, sockopt::ReuseAddr, &true).ok()?;
    bind(held.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port)).ok()?;
    Some(held)
}

/// A broker that shares no code with librdkafka, with nothing in it. It keeps everything in memory.
pub struct Tansu {
    program: String,
    address: String,
    broker: Daemon,
}

impl Tansu {
    /// `None`, with a word about it, where it is not unpacked.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let port = super::free_port();
        Self::advertised(port, port)
    }

    /// The same behind a gate.
    #[track_caller]
    pub fn start_behind_gate() -> Option<(Self, Gate)> {
        let port = super::free_port();
        let gate = Gate::start(port);
        Some((Self::advertised(port, gate.port())?, gate))
    }

    /// Clients come to it through another port.
    #[track_caller]
    fn advertised(port: u16, through: u16) -> Option<Self> {
        let script = super::root().join("scripts/kafka-broker");
        let found = output(Command::new(script).arg("--find")).expect("scripts/kafka-broker runs");
        let text = String::from_utf8_lossy(&found.stdout).into_owned();
        let Some((_, program)) = text.trim().split_once(' ') else {
            super::leave_out("what needs it", "tansu is not there; ./test packages unpacks it");
            return None;
        };
        let mut command = Command::new(program);
        let [url, advertised] = [port, through].map(|port| format!("tcp://127.0.0.1:{port}"));
        command.args(["broker", "--listener-url", &url, "--advertised-listener-url", &advertised]);
        command.args(["--storage-engine", "memory://tansu/"]);
        let (program, address) = (program.to_owned(), format!("127.0.0.1:{through}"));
        let tansu = Self { program, address, broker: Daemon::spawn(command) };
        super::wait_until(super::SOON, "the broker", || super::listens(port));
        Some(tansu)
    }

    /// Where to begin.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.broker.signal(signal);
    }

    /// Makes a topic.
    pub fn create_topic(&self, topic: &str, partitions: i32) {
        let mut command = Command::new(&self.program);
        command.args(["topic", "create", topic, "--partitions", &partitions.to_string()]);
        command.args(["--broker", &format!("tcp://{}", self.address)]);
        let output = output(&mut command).expect("tansu runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Tansu {
    /// Makes a topic that is configured so.
    pub fn create_topic_with(&self, topic: &str, partitions: i32, option: &str, value: &str) {
        let mut config = ClientConfig::new();
        let admin: AdminClient<_> = config.set("bootstrap.servers", &self.address).create().expect("a client");
        let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set(option, value);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let made = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).expect("an answer");
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }
}

/// What kcat read.
#[derive(Debug, Clone)]
pub struct Message {
    pub partition: i64,
    pub key: String,
    pub milliseconds: i64,
    pub payload: String,
}

/// Follows a topic. kcat ends when no broker is left; then another one is started.
pub struct Reader {
    brokers: String,
    topic: String,
    kcat: RefCell<Daemon>,
    /// By partition and offset.
    kept: RefCell<BTreeMap<(i64, i64), Message>>,
}

impl Reader {
    /// `None`, with a word about it, where kcat is not installed.
    #[track_caller]
    pub fn start(brokers: &str, topic: &str) -> Option<Self> {
        let kcat = RefCell::new(kcat(brokers, topic)?);
        Some(Self { brokers: brokers.to_owned(), topic: topic.to_owned(), kcat, kept: RefCell::default() })
    }

    /// Everything so far. What kcat says beside messages is no message.
    pub fn messages(&self) -> Vec<Message> {
        let mut daemon = self.kcat.borrow_mut();
        let ended = !daemon.is_running();
        let output = daemon.output();
        let whole = output.rfind('\n').map_or("", |end| &output[..end]);
        let mut kept = self.kept.borrow_mut();
        kept.extend(whole.lines().filter_map(read));
        if let Some(another) = ended.then(|| kcat(&self.brokers, &self.topic)).flatten() {
            *daemon = another;
        }
        kept.values().cloned().collect()
    }
}

fn kcat(brokers: &str, topic: &str) -> Option<Daemon> {
    let mut command = Command::new(peer("kcat")?);
    command.args(["-C", "-q", "-u", "-J", "-o", "beginning", "-b", brokers, "-t", topic]);
    command.args(["-X", "reconnect.backoff.max.ms=200", "-X", "fetch.wait.max.ms=50"]);
    Some(Daemon::spawn(command))
}

fn read(line: &str) -> Option<((i64, i64), Message)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let partition = value["partition"].as_i64()?;
    let message = Message {
        partition,
        key: value["key"].as_str().unwrap_or_default().to_owned(),
        milliseconds: value["ts"].as_i64()?,
        payload: value["payload"].as_str()?.to_owned(),
    };
    Some(((partition, value["offset"].as_i64()?), message))
}

/// Points by `path timestamp`, each value with the number of times that it came.
pub type Points = BTreeMap<String, (f64, u32)>;

/// The points of lines of Graphite.
pub fn points_of_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Points {
    let mut points = Points::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let [path, value, timestamp] = words.as_slice() else { panic!("not a line: {line:?}") };
        add(&mut points, format!("{path} {timestamp}"), value.parse().expect("a number"));
    }
    points
}

fn add(points: &mut Points, point: String, value: f64) {
    let entry = points.entry(point).or_insert((value, 0));
    entry.1 += 1;
}

/// What an object's path is, by the rules of docs/fields.md.
fn path(namespace: &str, property: impl Fn(&str) -> String) -> String {
    let safe = |name: &str| haproxystats::names::sanitize(property(name).as_bytes());
    let object = match property("kind").as_str() {
        "daemon" => "daemon".to_owned(),
        "process" => format!("daemon.process.{}", safe("process")),
        "frontend" => format!("frontend.{}", safe("proxy")),
        "backend" => format!("backend.{}", safe("proxy")),
        "server" => format!("backend.{}.server.{}", safe("proxy"), safe("server")),
        "server-total" => format!("server.{}", safe("server")),
        "haproxystats" => "haproxystats".to_owned(),
        other => panic!("an object of kind {other:?}"),
    };
    format!("{namespace}.{}.haproxy.{object}", safe("host"))
}

/// What no line has: how many requests averages are over, for those who add hosts up.
pub fn is_of_messages_alone(field: &str) -> bool {
    field == "time_samples"
}

/// Adds the points of a document of `format = json`.
fn of_document(document: &Value, namespace: &str, points: &mut Points) {
    let path = path(namespace, |name| document[name].as_str().unwrap_or_default().to_owned());
    let fields = document["fields"].as_object().expect("fields");
    for (field, value) in fields.iter().filter(|(field, _)| !is_of_messages_alone(field)) {
        let point = format!("{path}.{field} {}", document["timestamp"]);
        add(points, point, value.as_f64().expect("a number"));
    }
}

/// Adds the points of a line of InfluxDB. The names of tests have nothing in them that is escaped.
fn of_influx(line: &str, namespace: &str, points: &mut Points) {
    let words: Vec<&str> = line.split(' ').collect();
    let [series, fields, nanoseconds] = words.as_slice() else { panic!("not a line: {line:?}") };
    let mut tags = series.split(',');
    let kind = match tags.next().expect("a measurement") {
        "haproxystats" => "haproxystats",
        "haproxy_server_total" => "server-total",
        other => other.strip_prefix("haproxy_").expect("a measurement of ours"),
    };
    let tags: BTreeMap<&str, &str> = tags.map(|tag| tag.split_once('=').expect("a tag")).collect();
    let path = path(namespace, |name| match name {
        "kind" => kind.to_owned(),
        name => tags.get(name).copied().unwrap_or_default().to_owned(),
    });
    let timestamp = nanoseconds.strip_suffix("000000000").expect("whole seconds");
    let fields = fields.split(',').map(|field| field.split_once('=').expect("a field"));
    for (field, value) in fields.filter(|(field, _)| !is_of_messages_alone(field)) {
        add(points, format!("{path}.{field} {timestamp}"), value.parse().expect("a number"));
    }
}

/// The points of all messages, whatever their format.
pub fn points_of(messages: &[Message], namespace: &str) -> Points {
    let mut points = Points::new();
    for message in messages {
        if let Ok(document) = serde_json::from_str::<Value>(&message.payload) {
            of_document(&document, namespace, &mut points);
            continue;
        }
        assert!(message.payload.ends_with('\n'), "a line is cut off: {:?}", message.payload);
        for line in message.payload.lines() {
            if line.contains('=') {
                of_influx(line, namespace, &mut points);
            } else {
                for (point, (value, _)) in points_of_lines([line]) {
                    add(&mut points, point, value);
                }
            }
        }
    }
    points
}

/// Points that are not there, or have another value. JSON parsers may be off by the last bit.
pub fn missing<'a>(expected: &'a Points, arrived: &Points) -> Vec<&'a String> {
    let same = |one: f64, other: f64| (one - other).abs() <= one.abs() * 1e-12;
    let there = |point: &String, value: f64| arrived.get(point).is_some_and(|(other, _)| same(value, *other));
    expected.iter().filter(|(point, (value, _))| !there(point, *value)).map(|(point, _)| point).collect()
}
