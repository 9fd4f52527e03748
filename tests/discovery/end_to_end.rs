//! haproxystats-discovery as a whole: source, server, store, client, HAProxy, web servers, and people who use them
//! without a pause. What changes, and what breaks, costs no request.

use crate::consul_double::{Consul, entry};
use crate::dns_double::{Answer, serve_as};
use crate::etcd::Etcd;
use crate::harness::discovery::{Balancer, Traffic, Web};
use crate::harness::graphite::Recorder;
use crate::harness::{self, Daemon, SOON, discovery, free_port, run, wait_until, with_config, write};
use crate::moto::Moto;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::{A, SRV};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Slots whose address a state file brings back after a reload.
const NAMED: &str =
    "balance roundrobin\nserver-template web 1-6 slot.invalid:80 check disabled init-addr last,127.0.0.2";
const DYNAMIC: &str = "balance roundrobin";

/// One host: two HAProxies, a file with servers.
struct Site {
    directory: TempDir,
    port: u16,
    webs: Vec<Option<Web>>,
    one: Balancer,
    two: Balancer,
}

impl Site {
    /// With web servers 1 to `count`.
    fn new(count: u8) -> Self {
        let port = free_port();
        let webs = std::iter::once(None).chain((1..=count).map(|number| Some(Web::start(number, port)))).collect();
        let start = || Balancer::start(&[("web", NAMED), ("dyn", DYNAMIC)], "admin");
        Self { directory: tempfile::tempdir().unwrap(), port, webs, one: start(), two: start() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The servers of the source, as a rename replaces them.
    fn source(&self, numbers: &[u8]) {
        let text: String = numbers.iter().map(|number| format!("127.0.9.{number} id=i-{number}\n")).collect();
        let text = if text.is_empty() { "[]\n".to_owned() } else { text };
        let new = write(self.path(), "servers.new", text);
        std::fs::rename(new, self.path().join("servers")).unwrap();
    }

    /// The configuration `name`, with what else stands in `[discovery]`.
    fn configure(&self, name: &str, more: &str) {
        let text = format!(
            "[discovery]\nstate-dir = {dir}/state-{name}\ninterval = 0.2\nexporter-port = 0\n\
             haproxy-backend-servers-list-size = 6\n{more}\n\
             [discovery-server]\nmode = file\nsource-file = {dir}/servers\ndrain-time = 1\nlease-time = 2\n\
             removal-confirmations = 2\nhold-obsolete = 0\nremoval-ratio = 1\nremoval-floor = 2\nhaproxy-backend-server-min-weight = 5\n\
             haproxy-backend-server-increase-weight = 5\nhaproxy-backend-server-increase-weight-interval = 1\n\
             [discovery-client]\nhaproxy-socket-path = {one}, {two}\nserver-state-file = {state}\n\
             haproxy-backend-server-port = {port}\ndrain-timeout = 5\n\
             [discovery-backend:web]\nbase-name = web\n\
             [discovery-backend:dyn]\nbase-name = dyn\nmode = dynamic\nserver-options = check inter 100ms rise 2 fall 2\n",
            dir = self.path().display(),
            one = self.one.socket().display(),
            two = self.two.socket().display(),
            state = self.one.state_file().display(),
            port = self.port,
        );
        write(self.path(), &format!("{name}.conf"), text);
    }

    fn start(&self, name: &str, arguments: &[&str]) -> Daemon {
        let mut command = with_config(discovery(), &self.path().join(format!("{name}.conf")));
        command.args(arguments);
        Daemon::spawn(command)
    }

    /// Waits until both HAProxies serve exactly these, in the same slots.
    #[track_caller]
    fn wait_for(&self, numbers: &[u8]) {
        for balancer in [&self.one, &self.two] {
            for backend in ["web", "dyn"] {
                balancer.wait_for_serving(backend, numbers);
            }
        }
        let slots = |balancer: &Balancer| -> Vec<(String, String)> {
            let servers = balancer.servers("web");
            let ready = servers.iter().filter(|(_, row)| row.is_ready());
            ready.map(|(name, row)| (name.clone(), row.at.clone())).collect()
        };
        wait_until(SOON, "the same order", || slots(&self.one) == slots(&self.two));
    }

    /// Traffic through all frontends.
    fn traffic(&self) -> Vec<Traffic> {
        let ports = self.one.ports.iter().chain(&self.two.ports);
        ports.map(|port| Traffic::start(*port)).collect()
    }
}

#[track_caller]
fn more(traffic: &[Traffic]) {
    traffic.iter().for_each(Traffic::more);
}

#[test]
fn one_process_with_two_files_serves_a_host_through_all_that_happens_to_it() {
    let mut site = Site::new(7);
    site.configure("all", "");
    site.source(&[1, 2]);
    let mut daemon = site.start("all", &["--server", "--client"]);
    site.wait_for(&[1, 2]);
    let traffic = site.traffic();
    // Scale-out, scale-in, rolling replacement.
    site.source(&[1, 2, 3, 4]);
    site.wait_for(&[1, 2, 3, 4]);
    more(&traffic);
    site.source(&[1, 4]);
    site.wait_for(&[1, 4]);
    for step in [[1, 4, 5].as_slice(), &[4, 5], &[4, 5, 6], &[5, 6]] {
        site.source(step);
        site.wait_for(step);
        more(&traffic);
    }
    // The servers that are gone from HAProxy may go.
    for number in [1, 2, 3, 4] {
        site.webs[number] = None;
    }
    // The source is away, says nonsense, says that there is nobody.
    for text in [None, Some("no address\n"), Some("[]\n")] {
        match text {
            None => std::fs::remove_file(site.path().join("servers")).unwrap(),
            Some(text) => drop(write(site.path(), "servers", text)),
        }
        more(&traffic);
        more(&traffic);
    }
    daemon.wait_for_output("held", SOON);
    site.wait_for(&[5, 6]);
    site.source(&[5, 6, 7]);
    site.wait_for(&[5, 6, 7]);
    // A crash of the daemon, and nobody there to keep the list.
    daemon.signal(Signal::SIGKILL);
    daemon.wait(SOON);
    more(&traffic);
    let mut daemon = site.start("all", &["--server", "--client"]);
    site.wait_for(&[5, 6, 7]);
    more(&traffic);
    traffic.iter().for_each(Traffic::assert_clean);
    daemon.stop(SOON);
}

#[test]
fn a_dry_run_of_both_shows_on_a_fresh_host_what_both_would_do() {
    let site = Site::new(2);
    site.configure("all", "");
    site.source(&[1, 2]);
    let mut command = with_config(discovery(), &site.path().join("all.conf"));
    command.args(["--server", "--client", "--dry-run"]);
    let (status, output) = run(command, SOON);
    assert!(status.success(), "{output}");
    for text in [
        "slot 1: i-1 added: 127.0.9.1 is healthy and in service",
        "  2 i-2 127.0.9.2 group - weight 5 active",
        "web/web1: i-1: the list has it here",
        "set server web/web1 addr 127.0.9.1 port",
        "add server dyn/dyn2 127.0.9.2",
    ] {
        assert!(output.contains(text), "{text} is not in {output}");
    }
    assert!(!site.path().join("state-all/list.json").exists(), "nothing is written");
    assert!(site.one.serving("web").is_empty() && site.one.servers("dyn").is_empty(), "nothing is changed");
    // A client by itself has nothing to show there, and says what has.
    let mut command = with_config(discovery(), &site.path().join("all.conf"));
    command.args(["--client", "--dry-run"]);
    let (status, output) = run(command, SOON);
    assert!(!status.success() && output.contains("--server --client --dry-run"), "{output}");
}

#[test]
fn graphite_is_told_the_figures_of_both_sides() {
    let site = Site::new(2);
    let graphite = Recorder::start();
    site.configure("all", "graphite = true\ngraphite-interval = 1");
    let file = site.path().join("all.conf");
    let text = std::fs::read_to_string(&file).unwrap();
    let port = graphite.port();
    write(site.path(), "all.conf", format!("{text}[graphite]\nserver = 127.0.0.1\nport = {port}\nnamespace = lb\n"));
    site.source(&[1, 2]);
    let mut daemon = site.start("all", &["--server", "--client"]);
    let latest = || -> BTreeMap<String, f64> {
        let mut found: BTreeMap<String, (u64, f64)> = BTreeMap::new();
        for line in graphite.record().lines.keys() {
            let [path, value, time] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let name = path.strip_prefix("lb.").and_then(|path| path.split_once(".haproxystats.")).unwrap().1;
            let point = (time.parse().unwrap(), value.parse().unwrap());
            let known = found.entry(name.to_owned()).or_insert(point);
            *known = if point.0 >= known.0 { point } else { *known };
        }
        found.into_iter().map(|(name, (_, value))| (name, value)).collect()
    };
    let sockets = [&site.one, &site.two].map(|balancer| {
        let path = balancer.socket().display().to_string();
        path.chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' })
            .collect::<String>()
    });
    let mut wanted = vec![
        ("DiscoveryLeader".to_owned(), 1.0),
        ("DiscoverySlots".to_owned(), 6.0),
        ("DiscoveryServers".to_owned(), 2.0),
        ("DiscoverySourceInstances".to_owned(), 2.0),
        ("DiscoverySourceFailures".to_owned(), 0.0),
        ("discovery.added.DiscoveryChanges".to_owned(), 2.0),
        ("DiscoveryClientStoreUp".to_owned(), 1.0),
    ];
    for socket in &sockets {
        wanted.push((format!("discovery.{socket}.DiscoveryClientUp"), 1.0));
        for backend in ["web", "dyn"] {
            wanted.push((format!("discovery.{socket}.{backend}.DiscoveryClientServersUp"), 2.0));
            wanted.push((format!("discovery.{socket}.{backend}.DiscoveryClientDrift"), 0.0));
        }
    }
    let lacking = || {
        let latest = latest();
        wanted.iter().filter(|(name, value)| latest.get(name) != Some(value)).cloned().collect::<Vec<_>>()
    };
    let found = harness::poll(SOON, || lacking().is_empty().then_some(()));
    assert!(found.is_some(), "waited in vain for {:#?} in {:#?}", lacking(), latest());
    let weights = || latest().into_iter().filter(|(name, _)| name.ends_with(".Weight")).count();
    assert_eq!(weights(), 2, "{:#?}", latest());
    // Reports lie on the grid of the interval, and each says something new once.
    let record = graphite.record();
    assert!(record.malformed.is_empty() && record.duplicates() == 0, "{record:?}");
    // The source is gone: the figures follow.
    std::fs::remove_file(site.path().join("servers")).unwrap();
    wait_until(SOON, "a failure of the source", || latest().get("DiscoverySourceFailures").is_some_and(|n| *n > 0.0));
    daemon.stop(SOON);
}

#[test]
fn a_reload_of_haproxy_under_traffic_costs_no_request_and_a_restart_ends() {
    let mut site = Site::new(3);
    site.configure("all", "");
    site.source(&[1, 2]);
    let _daemon = site.start("all", &["--server", "--client"]);
    site.wait_for(&[1, 2]);
    wait_until(SOON, "the state file", || {
        std::fs::read_to_string(site.one.state_file()).is_ok_and(|state| state.contains("web2 127.0.9.2 2 "))
    });
    let traffic = Traffic::start(site.one.ports[0]);
    for numbers in [[1, 2].as_slice(), &[1, 2, 3]] {
        site.one.reload();
        traffic.more();
        site.source(numbers);
        site.wait_for(numbers);
    }
    traffic.assert_clean();
    drop(traffic);
    site.two.stop();
    site.two.launch();
    site.wait_for(&[1, 2, 3]);
}

#[test]
fn a_server_that_is_killed_is_followed_by_another_and_two_clients_agree() {
    let site = Site::new(4);
    // The same store for all, as on one host; each of the clients has its own state.
    site.configure("a", "");
    site.source(&[1, 2]);
    let first = site.start("a", &["--server"]);
    let second = site.start("a", &["--server"]);
    let _client = site.start("a", &["--client"]);
    site.wait_for(&[1, 2]);
    let traffic = site.traffic();
    // Who leads is killed, then who follows it.
    drop(first);
    site.source(&[1, 2, 3]);
    site.wait_for(&[1, 2, 3]);
    let third = site.start("a", &["--server"]);
    drop(second);
    site.source(&[2, 3, 4]);
    site.wait_for(&[2, 3, 4]);
    more(&traffic);
    traffic.iter().for_each(Traffic::assert_clean);
    drop(third);
}

#[test]
fn etcd_may_go_away_and_servers_and_clients_go_on() {
    let Some(etcd) = Etcd::start() else { return };
    let site = Site::new(3);
    site.configure("a", &format!("store = etcd\nstore-url = {}\nstore-timeout = 1", etcd.url()));
    site.configure("b", &format!("store = etcd\nstore-url = {}\nstore-timeout = 1", etcd.url()));
    site.source(&[1, 2]);
    let first = site.start("a", &["--server", "--client"]);
    let mut second = site.start("b", &["--server", "--client"]);
    site.wait_for(&[1, 2]);
    let traffic = site.traffic();
    drop(first);
    site.source(&[1, 2, 3]);
    site.wait_for(&[1, 2, 3]);
    drop(etcd);
    second.wait_for_output("the last list remains in use", SOON);
    site.source(&[1]);
    more(&traffic);
    site.wait_for(&[1, 2, 3]);
    traffic.iter().for_each(Traffic::assert_clean);
    second.stop(SOON);
}

#[test]
fn consul_may_lose_its_leader_and_its_rights_and_nobody_notices() {
    let site = Site::new(3);
    let consul = Consul::start();
    let register = |numbers: &[u8]| {
        let entries: Vec<String> = numbers
            .iter()
            .map(|number| {
                let service = format!(
                    r#""Address":"127.0.9.{number}","Port":{},"Weights":{{"Passing":1,"Warning":1}}"#,
                    site.port
                );
                entry(&format!("node-{number}"), "10.9.9.9", &service, &["passing"])
            })
            .collect();
        consul.register("web", &entries);
    };
    register(&[1, 2]);
    site.configure("all", &format!("store = consul\nstore-url = {}\nstore-timeout = 1", consul.url()));
    let file = site.path().join("all.conf");
    let text = std::fs::read_to_string(&file).unwrap();
    let source = format!("mode = consul\nconsul-api-url = {}\nconsul-service-name = web\n", consul.url());
    std::fs::write(&file, text.replace("mode = file\n", &source)).unwrap();
    let mut daemon = site.start("all", &["--server", "--client"]);
    site.wait_for(&[1, 2]);
    let traffic = site.traffic();
    consul.change(|state| state.leaderless = true);
    daemon.wait_for_output("cannot list the source", SOON);
    more(&traffic);
    consul.change(|state| (state.leaderless, state.filtered) = (false, true));
    more(&traffic);
    consul.change(|state| state.filtered = false);
    register(&[1, 2, 3]);
    site.wait_for(&[1, 2, 3]);
    more(&traffic);
    traffic.iter().for_each(Traffic::assert_clean);
    daemon.stop(SOON);
}

#[test]
fn targets_of_dns_that_cannot_be_resolved_cost_no_request_and_no_other_server() {
    let site = Site::new(3);
    let port = site.port;
    let second = Arc::new(Mutex::new(None));
    let state = Arc::clone(&second);
    // Weights 100, 50 and 1; questions for IPv6 are never answered.
    let name_server = serve_as(Vec::new(), move |name, kind| {
        let target = |number: u8| Name::from_ascii(format!("n{number}.test.")).unwrap();
        if kind == RecordType::SRV {
            let services = [(1, 100), (2, 50), (3, 1)];
            let services = services.map(|(number, weight)| RData::SRV(SRV::new(1, weight, port, target(number))));
            return Some(Answer::Records(services.to_vec()));
        }
        let number = name.strip_prefix('n')?.strip_suffix(".test.")?.parse::<u8>().ok()?;
        match *state.lock().unwrap() {
            Some(code) if number == 2 => Some(Answer::Code(code)),
            _ if kind == RecordType::A => Some(Answer::Records(vec![RData::A(A::new(127, 0, 9, number))])),
            _ => Some(Answer::Nothing),
        }
    });
    site.configure("all", "");
    let file = site.path().join("all.conf");
    let text = std::fs::read_to_string(&file).unwrap();
    let source = format!(
        "mode = dns\ndns-names = _web._tcp.test\ndns-type = srv\ndns-servers = 127.0.0.1:{name_server}\n\
         source-timeout = 2\nhaproxy-backend-server-max-weight = 200\n"
    );
    std::fs::write(
        &file,
        text.replace("mode = file\n", &source).replace("increase-weight = 5", "increase-weight = 256"),
    )
    .unwrap();
    let mut daemon = site.start("all", &["--server", "--client"]);
    site.wait_for(&[1, 2, 3]);
    let weights = || {
        let servers = site.two.servers("web");
        [1, 2, 3].map(|slot| servers[&format!("web{slot}")].weight)
    };
    wait_until(SOON, "the weights of the records", || weights() == [200, 100, 2]);
    let traffic = site.traffic();
    more(&traffic);
    for code in [ResponseCode::ServFail, ResponseCode::Refused] {
        *second.lock().unwrap() = Some(code);
        more(&traffic);
    }
    // A server that has never seen the address itself does not lose it either.
    daemon.signal(Signal::SIGKILL);
    daemon.wait(SOON);
    let mut daemon = site.start("all", &["--server", "--client"]);
    daemon.wait_for_output("n2.test of group _web._tcp.test cannot be used", SOON);
    for _ in 0..5 {
        more(&traffic);
    }
    site.wait_for(&[1, 2, 3]);
    *second.lock().unwrap() = None;
    daemon.wait_for_output("no longer: n2.test", SOON);
    site.wait_for(&[1, 2, 3]);
    traffic.iter().for_each(Traffic::assert_clean);
    daemon.stop(SOON);
}

/// The rows of HSDO, and an Auto Scaling Group whose instances are web servers of this test.
const SEED: &str = "
def row(id, ip='none', name='none', asg='none', weight=0, status='disabled', at='0-0-0 00:00:00.000000'):
    t.put_item(Item={'BackendServerID': id, 'IPAddress': ip, 'ASG': asg, 'ServerName': name, 'Weight': weight,
        'BackendServerStatus': status, 'LastWeightUpdate': at})
def instance(number):
    subnet = ec2.describe_subnets(Filters=[dict(Name='cidr-block', Values=['127.0.9.0/24'])])['Subnets'][0]['SubnetId']
    i = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet,
        PrivateIpAddress='127.0.9.%d' % number)['Instances'][0]['InstanceId']
    asg.attach_instances(InstanceIds=[i], AutoScalingGroupName='hsdo')
    return i
image = ec2.describe_images()['Images'][0]['ImageId']
";

#[test]
fn a_user_of_hsdo_switches_without_a_failed_request() {
    let Some(moto) = Moto::get() else { return };
    let port = free_port();
    let webs: Vec<Web> = (1..=4).map(|number| Web::start(number, port)).collect();
    moto.python(&format!(
        "{SEED}
vpc = ec2.create_vpc(CidrBlock='127.0.0.0/16')['Vpc']['VpcId']
subnet = ec2.create_subnet(VpcId=vpc, CidrBlock='127.0.9.0/24')['Subnet']['SubnetId']
asg.create_launch_configuration(LaunchConfigurationName='hsdo', ImageId=image, InstanceType='t3.micro')
asg.create_auto_scaling_group(AutoScalingGroupName='hsdo', LaunchConfigurationName='hsdo', MinSize=0, MaxSize=9,
    DesiredCapacity=0, VPCZoneIdentifier=subnet)
db.create_table(TableName='hsdo', BillingMode='PAY_PER_REQUEST', KeySchema=[dict(AttributeName='BackendServerID',
    KeyType='HASH')], AttributeDefinitions=[dict(AttributeName='BackendServerID', AttributeType='N')])
t = boto3.resource('dynamodb').Table('hsdo')
row(1)
row(2, '127.0.9.1', instance(1), 'hsdo', 10, 'enabled', '2023-06-01 12:00:00.123456')
row(3, '127.0.9.2', instance(2), 'hsdo', 10, 'enabled', '2023-06-01 12:00:00.123456')
row(4)"
    ));
    // As HSDO's documentation has it, and as HSDO's client sets it, again and again, each command on its own connection.
    let template = "balance roundrobin\nserver-template mywebapp 1-4 127.0.0.2:80 check disabled";
    let balancer = Balancer::start(&[("http-back", template)], "admin");
    let stopped = Arc::new(AtomicBool::new(false));
    let old = {
        let (stopped, socket) = (Arc::clone(&stopped), balancer.socket());
        std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                for (slot, number) in [(1, None), (2, Some(1)), (3, Some(2)), (4, None)] {
                    let server = format!("set server http-back/mywebapp{slot}");
                    let commands = match number {
                        None => vec![format!("{server} state maint")],
                        Some(number) => vec![
                            format!("{server} addr 127.0.9.{number} port {port}"),
                            format!("{server} weight 10"),
                            format!("{server} state ready"),
                        ],
                    };
                    commands.iter().for_each(|command| drop(harness::haproxy::ask(&socket, command)));
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        })
    };
    balancer.wait_for_serving("http-back", &[1, 2]);
    let traffic = Traffic::start(balancer.ports[0]);
    // The same variables; the file says where this program keeps its own state.
    let directory = tempfile::tempdir().unwrap();
    let file =
        write(directory.path(), "own.conf", format!("[discovery]\nstate-dir = {}\n", directory.path().display()));
    let start = |mode: &str| {
        let mut command = with_config(discovery(), &file);
        command.arg(mode).envs(moto.environment()).envs([
            ("SERVER_MODE", "aws".to_owned()),
            ("SERVER_ASG_NAMES", "hsdo".to_owned()),
            ("SERVER_HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT_INTERVAL", "1".to_owned()),
            ("DYNAMODB_TABLE_NAME", "hsdo".to_owned()),
            ("CLIENT_HAPROXY_SOCKET_PATH", balancer.socket().display().to_string()),
            ("CLIENT_HAPROXY_BACKEND_NAME", "http-back".to_owned()),
            ("CLIENT_HAPROXY_BACKEND_BASE_NAME", "mywebapp".to_owned()),
            ("CLIENT_HAPROXY_BACKEND_SERVER_PORT", port.to_string()),
            ("HAPROXY_BACKEND_SERVERS_LIST_SIZE", "4".to_owned()),
            ("EXPORTER_PORT", free_port().to_string()),
            ("INTERVAL", "1".to_owned()),
        ]);
        Daemon::spawn(command)
    };
    let mut server = start("--server");
    server.wait_for_output("it maintains the list", SOON);
    let mut client = start("--client");
    client.wait_for_output("HAProxy answers", SOON);
    traffic.more();
    stopped.store(true, Ordering::SeqCst);
    old.join().unwrap();
    // Nobody was moved, and nothing had to be changed.
    let servers = balancer.servers("http-back");
    assert_eq!(servers["mywebapp2"].at, format!("127.0.9.1:{port}"));
    assert_eq!(servers["mywebapp3"].at, format!("127.0.9.2:{port}"));
    assert!(!client.output().contains("changed socket"), "{}", client.output());
    // And it goes on from there.
    moto.python(&format!("{SEED}\ninstance(3)\ninstance(4)"));
    balancer.wait_for_serving("http-back", &[1, 2, 3, 4]);
    traffic.more();
    traffic.assert_clean();
    client.stop(SOON);
    server.stop(SOON);
    drop(webs);
}
