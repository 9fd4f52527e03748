//! A double of what HSDO and this program talk to: Auto Scaling, EC2 and Consul as the source, DynamoDB as HSDO's table.
//! All answers come from one [`Answer`], so that they agree with each other. For HSDO it also keeps the time: a new round of
//! its server waits until it is allowed, and rounds of its client are counted.

use super::{Answer, Instance, Kind};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

struct State {
    kind: Kind,
    groups: Vec<String>,
    answer: Answer,
    /// Rounds that may begin; `None`: any number.
    allowed: Option<usize>,
    /// A round that waits to be allowed.
    waits: bool,
    /// Readings of the table by the client.
    readings: usize,
    rows: BTreeMap<u64, Map<String, Value>>,
    stopped: bool,
}

pub struct Double {
    shared: Arc<(Mutex<State>, Condvar)>,
    ports: [u16; 2],
}

impl Double {
    pub fn start(kind: Kind, groups: Vec<String>) -> Self {
        let state = State {
            kind,
            groups,
            answer: Answer::default(),
            allowed: None,
            waits: false,
            readings: 0,
            rows: BTreeMap::new(),
            stopped: false,
        };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        let ports = [false, true].map(|is_client| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let (port, shared) = (listener.local_addr().unwrap().port(), Arc::clone(&shared));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if shared.0.lock().unwrap().stopped {
                        return;
                    }
                    let (stream, shared) = (stream.unwrap(), Arc::clone(&shared));
                    std::thread::spawn(move || converse(stream, &shared, is_client));
                }
            });
            port
        });
        Self { shared, ports }
    }

    /// For a server, and for a client.
    pub fn urls(&self) -> (String, String) {
        let [server, client] = self.ports.map(|port| format!("http://127.0.0.1:{port}"));
        (server, client)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.0.lock().unwrap());
        self.shared.1.notify_all();
    }

    pub fn set(&self, answer: Answer) {
        self.change(|state| state.answer = answer);
    }

    /// From now on each round has to be allowed.
    pub fn hold(&self) {
        self.change(|state| state.allowed = Some(0));
    }

    pub fn allow_one(&self) {
        self.change(|state| state.allowed = Some(1));
    }

    /// Whether the server has ended its round and begun another one, which is not allowed yet.
    pub fn waits(&self) -> bool {
        let state = self.shared.0.lock().unwrap();
        state.waits && state.allowed == Some(0)
    }

    pub fn readings(&self) -> usize {
        self.shared.0.lock().unwrap().readings
    }

    /// A column of the table of HSDO, by slot.
    pub fn column(&self, name: &str) -> BTreeMap<u32, String> {
        let state = self.shared.0.lock().unwrap();
        let value = |row: &Map<String, Value>| {
            let cell = row.get(name)?.as_object()?.values().next()?;
            Some(cell.as_str()?.to_owned())
        };
        state.rows.iter().filter_map(|(slot, row)| Some((u32::try_from(*slot).ok()?, value(row)?))).collect()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.change(|state| state.stopped = true);
        for port in self.ports {
            let _ = TcpStream::connect(("127.0.0.1", port));
        }
    }
}

struct Request {
    path: String,
    target: String,
    body: String,
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return None;
    }
    let path = line.split_whitespace().nth(1)?.to_owned();
    let (mut length, mut target) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "x-amz-target" => target = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, target, body: String::from_utf8(body).ok()? })
}

fn converse(mut stream: TcpStream, shared: &(Mutex<State>, Condvar), is_client: bool) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let mut state = shared.0.lock().unwrap();
        if begins_a_round(&request, &state) {
            while state.allowed == Some(0) && !state.stopped {
                state.waits = true;
                state = shared.1.wait_timeout(state, Duration::from_millis(200)).unwrap().0;
            }
            state.waits = false;
            state.allowed = state.allowed.map(|_| 0);
        }
        let (status, body) = answer(&request, &mut state, is_client);
        let closes = state.stopped;
        drop(state);
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nx-consul-index: 10\r\nx-consul-knownleader: true\r\n\r\n",
            body.len()
        );
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).is_err() || closes {
            return;
        }
    }
}

/// The first question of a round of HSDO's server.
fn begins_a_round(request: &Request, state: &State) -> bool {
    let of_aws = request.body.contains("Action=DescribeAutoScalingGroups") && !request.body.contains("NextToken");
    let first = state.groups.first().map(|group| format!("/v1/catalog/service/{group}"));
    // Who is refused asks no second time.
    (of_aws || Some(&request.path) == first.as_ref()) && (state.kind == Kind::Consul || state.answer.failure.is_none())
}

fn answer(request: &Request, state: &mut State, is_client: bool) -> (u16, String) {
    if let Some(operation) = request.target.strip_prefix("DynamoDB_20120810.") {
        state.readings += usize::from(is_client && operation == "Scan");
        return (200, table(operation, &request.body, &mut state.rows).to_string());
    }
    if let Some(status) = state.answer.failure {
        let error = "<Error><Type>Receiver</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error>";
        return (status, format!("<ErrorResponse>{error}</ErrorResponse>"));
    }
    if let Some((endpoint, rest)) = request.path.strip_prefix("/v1/").and_then(|path| path.split_once("/service/")) {
        let service = rest.split('?').next().unwrap_or_default();
        return (200, consul(endpoint, service, &state.answer));
    }
    if request.body.contains("Action=DescribeAutoScalingGroups") {
        (200, groups(&request.body, state))
    } else {
        machines(&request.body, &state.answer)
    }
}

/// HSDO's questions to its table.
fn table(operation: &str, body: &str, rows: &mut BTreeMap<u64, Map<String, Value>>) -> Value {
    let body: Value = serde_json::from_str(body).unwrap();
    let slot = |row: &Value| -> u64 { row["BackendServerID"]["N"].as_str().unwrap().parse().unwrap() };
    match operation {
        "DescribeTable" => json!({"Table": {"TableName": "hsdo", "TableStatus": "ACTIVE"}}),
        "Scan" => json!({"Items": rows.values().collect::<Vec<_>>(), "Count": rows.len(), "ScannedCount": rows.len()}),
        "PutItem" => {
            let item = body["Item"].as_object().unwrap().clone();
            rows.insert(slot(&body["Item"]), item);
            json!({})
        }
        "UpdateItem" => {
            let row = rows.entry(slot(&body["Key"])).or_default();
            row.extend(body["Key"].as_object().unwrap().clone());
            // `SET Column = :Column, ...`
            for (name, value) in body["ExpressionAttributeValues"].as_object().unwrap() {
                row.insert(name.trim_start_matches(':').to_owned(), value.clone());
            }
            json!({})
        }
        other => panic!("HSDO does not ask for {other}"),
    }
}

/// The parts of a page, and the token of the next one.
fn page<T>(all: Vec<T>, size: usize, body: &str) -> (Vec<T>, Option<usize>) {
    let begin = value_of(body, "NextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let end = if size == 0 { all.len() } else { all.len().min(begin + size) };
    let next = (end < all.len()).then_some(end);
    (all.into_iter().skip(begin).take(end - begin).collect(), next)
}

fn value_of<'b>(body: &'b str, name: &str) -> Option<&'b str> {
    body.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name)).map(|(_, value)| value)
}

fn values_of<'b>(body: &'b str, begin: &str) -> Vec<&'b str> {
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| key.starts_with(begin)).map(|(_, value)| value).collect()
}

fn groups(body: &str, state: &State) -> String {
    let asked = values_of(body, "AutoScalingGroupNames.member.");
    let known = state.groups.iter().filter(|group| asked.contains(&group.as_str())).collect();
    let (groups, next) = page(known, state.answer.page, body);
    let groups = groups.into_iter().map(|group| {
        let members = state.answer.instances.iter().filter(|one| one.group == *group).map(|one| {
            format!(
                "<member><InstanceId>{}</InstanceId><LifecycleState>{}</LifecycleState><HealthStatus>{}</HealthStatus>\
                 <AvailabilityZone>eu-west-1a</AvailabilityZone></member>",
                one.id,
                one.life,
                if one.unhealthy { "Unhealthy" } else { "Healthy" }
            )
        });
        let members: String = members.collect();
        format!("<member><AutoScalingGroupName>{group}</AutoScalingGroupName><Instances>{members}</Instances></member>")
    });
    let groups: String = groups.collect();
    let next = next.map_or_else(String::new, |next| format!("<NextToken>{next}</NextToken>"));
    format!(
        "<DescribeAutoScalingGroupsResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
         <DescribeAutoScalingGroupsResult><AutoScalingGroups>{groups}</AutoScalingGroups>{next}\
         </DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>"
    )
}

/// An instance of the same account that belongs to no group.
fn stranger() -> Instance {
    Instance {
        id: "i-99".to_owned(),
        group: String::new(),
        address: Some("127.10.9.99".to_owned()),
        life: super::good(),
        unhealthy: false,
        machine: super::running(),
        service: None,
    }
}

fn machines(body: &str, answer: &Answer) -> (u16, String) {
    let by_id = values_of(body, "InstanceId.");
    let by_filter = values_of(body, "Filter.1.Value.");
    let known: Vec<Instance> =
        answer.instances.iter().filter(|one| one.machine != "gone").cloned().chain([stranger()]).collect();
    if let Some(id) = by_id.iter().find(|id| known.iter().all(|one| one.id != **id)) {
        let error = format!(
            "<Error><Code>InvalidInstanceID.NotFound</Code><Message>The instance ID '{id}' does not exist</Message></Error>"
        );
        return (400, format!("<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>"));
    }
    let asked = [by_id, by_filter].concat();
    // Without any ids it is everybody.
    let asked: Vec<Instance> =
        known.into_iter().filter(|one| asked.is_empty() || asked.contains(&one.id.as_str())).collect();
    let (machines, next) = page(asked, answer.page, body);
    let items = machines.iter().map(|one| {
        let address = one.address.as_ref().map(|text| format!("<privateIpAddress>{text}</privateIpAddress>"));
        format!(
            "<item><reservationId>r-{id}</reservationId><instancesSet><item><instanceId>{id}</instanceId>\
             <instanceState><code>16</code><name>{}</name></instanceState>{}</item></instancesSet></item>",
            one.machine,
            address.unwrap_or_default(),
            id = one.id
        )
    });
    let items: String = items.collect();
    let next = next.map_or_else(String::new, |next| format!("<nextToken>{next}</nextToken>"));
    let head = "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">";
    (200, format!("{head}<reservationSet>{items}</reservationSet>{next}</DescribeInstancesResponse>"))
}

fn consul(endpoint: &str, service: &str, answer: &Answer) -> String {
    let entries = answer.instances.iter().filter(|one| one.group == service).map(|one| {
        let (address, port, weight) = one.service.clone().unwrap_or((String::new(), 0, 1));
        let node = one.address.clone().unwrap_or_default();
        if endpoint == "catalog" {
            return json!({"Node": one.id, "Address": node, "ServiceID": one.id, "ServiceName": service,
                "ServiceAddress": address, "ServicePort": port, "ServiceWeights": {"Passing": weight, "Warning": 1}});
        }
        let status = if super::is_good(&one.life) { "passing" } else { &one.life };
        // Maintenance mode is a critical check of a name of its own.
        let (id, status) =
            if status == "maintenance" { ("_node_maintenance", "critical") } else { ("serfHealth", status) };
        json!({"Node": {"ID": "x", "Node": one.id, "Address": node, "Datacenter": "dc1", "Meta": null},
            "Service": {"ID": one.id, "Service": service, "Tags": [], "Address": address, "Port": port,
                "Weights": {"Passing": weight, "Warning": 1}, "EnableTagOverride": false},
            "Checks": [{"CheckID": id, "Status": status}]})
    });
    Value::Array(entries.collect()).to_string()
}
