//! Many hosts in clusters: what their HAProxies say in a second, what one haproxystats-process that has all of it sends, and
//! the same as messages of Kafka.

use super::kafka::Points;
use super::{config, kafka, write};
use haproxystats::parcel::{Label, cuts};
use haproxystats::process::pipeline::Pipeline;
use haproxystats::snapshot::Epoch;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

/// The hosts.
pub struct Fleet {
    hosts: Vec<(String, String)>,
    pipeline: RefCell<Pipeline>,
}

/// Seconds between two pulls.
pub const INTERVAL: u64 = 10;

impl Fleet {
    /// So many hosts in so many clusters.
    pub fn new(hosts: usize, clusters: usize) -> Self {
        let hosts: Vec<(String, String)> =
            (0..hosts).map(|host| (format!("lb-{host:03}"), format!("c{}", host % clusters))).collect();
        let mut fleet = Self { hosts, pipeline: RefCell::new(Pipeline::plaintext(&config(""), "nobody")) };
        let text = format!("[process]\ncluster-metrics = true\n[graphite]\nnamespace = lb\n{}", fleet.hosts_section());
        fleet.pipeline = RefCell::new(Pipeline::plaintext(&config(&text), "nobody"));
        fleet
    }

    /// Which source is which host.
    pub fn hosts_section(&self) -> String {
        let hosts = self.hosts.iter().map(|(host, cluster)| format!("{host}.sock = {host} {cluster}\n"));
        format!("[hosts]\n{}", hosts.collect::<String>())
    }

    /// How many hosts there are.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// The cluster of a host.
    pub fn cluster(&self, host: usize) -> &str {
        &self.hosts[host].1
    }

    /// What a host says: numbers that depend on host and second. Every third host was reloaded, and its snapshots contain the
    /// counters of a process that is gone.
    pub fn files(&self, host: usize, epoch: u64) -> Vec<(String, String)> {
        let name = &self.hosts[host].0;
        let number = 1 + (epoch / INTERVAL) % 1000 + 7 * host as u64;
        let info =
            format!("Name: HAProxy\nProcess_num: 1\nUptime_sec: {number}\nIdle_pct: 98\nCurrConns: {number}\n\n");
        let stat = format!(
            "# pxname,svname,qcur,scur,stot,bin,bout,lbtot,weight,act,bck,type,\n\
             www,FRONTEND,,3,{number},100,200,,,,,0,\n\
             app,s1,0,1,{number},50,60,{number},1,1,0,2,\n\
             app,BACKEND,0,1,{number},50,60,{number},1,1,0,1,\n\n"
        );
        let mut files = vec![(format!("{name}.sock_info"), info), (format!("{name}.sock_stat"), stat)];
        if host % 3 == 2 {
            let carried = "# pxname,svname,type,stot,seen,\nwww,FRONTEND,0,1000000,,\napp,s1,2,1000000,,\n";
            files.push((format!("{name}.sock_carriedstat"), carried.to_owned()));
        }
        files
    }

    /// Writes the files of these hosts.
    pub fn fill(&self, directory: &Path, hosts: impl IntoIterator<Item = usize>, epoch: u64) {
        for (name, text) in hosts.into_iter().flat_map(|host| self.files(host, epoch)) {
            write(directory, &name, text);
        }
    }

    /// What one process sends that has all of these hosts.
    pub fn expected(&self, hosts: impl IntoIterator<Item = usize>, epoch: u64) -> Points {
        let directory = tempfile::tempdir().expect("a directory can be made");
        self.fill(directory.path(), hosts, epoch);
        let mut text = Vec::new();
        self.pipeline.borrow_mut().run(directory.path(), Epoch(epoch), &mut text).expect("the snapshot is sound");
        let text = String::from_utf8(text).expect("lines are text");
        kafka::points_of_lines(text.lines().filter(|line| !line.contains(".haproxystats.")))
    }

    /// The messages of a host, each with the headers of its part.
    pub fn messages(&self, host: usize, epoch: u64, most: usize) -> Vec<(Label, String)> {
        let files = self.files(host, epoch);
        let (name, cluster) = self.hosts[host].clone();
        let mut messages = Vec::new();
        for (file, text) in &files {
            for part in cuts(text.as_bytes(), most) {
                let label = Label {
                    host: name.clone(),
                    cluster: Some(cluster.clone()),
                    time: Epoch(epoch),
                    interval: INTERVAL,
                    file: file.clone(),
                    files: files.len(),
                    offset: part.start as u64,
                    size: text.len() as u64,
                };
                messages.push((label, text[part].to_owned()));
            }
        }
        messages
    }
}

/// Writes messages to a topic.
pub struct Writer {
    producer: BaseProducer,
    topic: String,
    /// Where snapshots go, if not where their key says.
    pub partition: Option<i32>,
}

impl Writer {
    pub fn new(brokers: &str, topic: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("linger.ms", "5").set("compression.codec", "zstd");
        config.set("partitioner", "murmur2_random").set("message.max.bytes", "900000000");
        config.set("queue.buffering.max.kbytes", "2000000");
        Self { producer: config.create().expect("a producer"), topic: topic.to_owned(), partition: None }
    }

    /// A message with any headers; to this partition, or to the one that the key says.
    pub fn raw(&self, partition: Option<i32>, key: &str, headers: &[(&str, &str)], payload: &[u8]) {
        let add = |all: OwnedHeaders, (key, value): &(&str, &str)| all.insert(Header { key, value: Some(*value) });
        let headers = headers.iter().fold(OwnedHeaders::new(), add);
        let mut record = BaseRecord::to(&self.topic).key(key).payload(payload).headers(headers);
        record.partition = partition;
        while let Err((error, back)) = self.producer.send(record) {
            assert!(error.to_string().contains("full"), "{error}");
            self.producer.poll(Duration::from_millis(20));
            record = back;
        }
    }

    /// A part of a file.
    pub fn part(&self, label: &Label, payload: &str) {
        let headers = label.headers();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.raw(self.partition, label.cluster.as_deref().unwrap_or(&label.host), &headers, payload.as_bytes());
    }

    /// All files of these hosts.
    pub fn hosts(&self, fleet: &Fleet, hosts: impl IntoIterator<Item = usize>, epoch: u64) {
        for (label, payload) in hosts.into_iter().flat_map(|host| fleet.messages(host, epoch, 1_000_000)) {
            self.part(&label, &payload);
        }
        self.flush();
    }

    /// Waits until everything is written.
    pub fn flush(&self) {
        self.producer.flush(Duration::from_secs(60)).expect("the brokers take everything");
    }
}
