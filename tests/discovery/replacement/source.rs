//! Sources that list servers of the farm.

use super::farm::address;
use crate::consul_double::{Consul, entry};
use crate::harness::write;
use crate::moto::Moto;
use hickory_resolver::proto::op::{Message, MessageType};
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{RData, Record};
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinEncodable};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Which source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Consul,
    Dns,
    Aws,
}

/// One that runs.
pub enum Source {
    File,
    Consul(Consul),
    Dns(Names),
    Aws(&'static Moto, String),
}

impl Source {
    /// `None` where it is not installed.
    pub fn start(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::File => Self::File,
            Kind::Consul => Self::Consul(Consul::start()),
            Kind::Dns => Self::Dns(Names::start()),
            Kind::Aws => {
                static GROUPS: AtomicU64 = AtomicU64::new(0);
                let group = format!("replacement-{}", GROUPS.fetch_add(1, Ordering::SeqCst));
                let moto = Moto::get()?;
                moto.python(&format!(
                    "image = ec2.describe_images()['Images'][0]['ImageId']
vpc = ec2.create_vpc(CidrBlock='127.10.0.0/16')['Vpc']['VpcId']
subnet = ec2.create_subnet(VpcId=vpc, CidrBlock='127.10.0.0/24')['Subnet']['SubnetId']
asg.create_launch_configuration(LaunchConfigurationName='{group}', ImageId=image, InstanceType='t3.micro')
asg.create_auto_scaling_group(AutoScalingGroupName='{group}', LaunchConfigurationName='{group}', MinSize=0,
    MaxSize=999, DesiredCapacity=0, VPCZoneIdentifier=subnet)"
                ));
                Self::Aws(moto, group)
            }
        })
    }

    /// Options of the section of the server.
    pub fn options(&self, directory: &Path) -> String {
        match self {
            Self::File => format!("mode = file\nsource-file = {}/servers\n", directory.display()),
            Self::Consul(consul) => {
                format!("mode = consul\nconsul-api-url = {}\nconsul-service-name = web\n", consul.url())
            }
            Self::Dns(names) => format!("mode = dns\ndns-names = web.test\ndns-servers = 127.0.0.1:{}\n", names.port),
            Self::Aws(_, group) => format!("mode = aws\nasg-names = {group}\n"),
        }
    }

    pub fn environment(&self) -> Vec<(String, String)> {
        match self {
            Self::Aws(moto, _) => moto.environment(),
            _ => Vec::new(),
        }
    }

    /// It lists exactly these.
    pub fn list(&self, directory: &Path, numbers: &[usize]) {
        match self {
            Self::File => {
                let lines = numbers.iter().map(|number| format!("{} id=i-{number}\n", address(*number)));
                let new = write(directory, "servers.new", lines.collect::<String>());
                std::fs::rename(new, directory.join("servers")).unwrap();
            }
            Self::Consul(consul) => {
                let service = r#""Address":"","Port":0,"Weights":{"Passing":1,"Warning":1}"#;
                let node =
                    |number: &usize| entry(&format!("n{number}"), &address(*number).to_string(), service, &["passing"]);
                consul.register("web", &numbers.iter().map(node).collect::<Vec<_>>());
            }
            Self::Dns(names) => names.set(numbers.iter().map(|number| address(*number)).collect()),
            Self::Aws(moto, group) => {
                let wanted: Vec<String> = numbers.iter().map(|number| format!("'{}'", address(*number))).collect();
                moto.python(&format!(
                    "wanted = [{}]
image = ec2.describe_images()['Images'][0]['ImageId']
group = asg.describe_auto_scaling_groups(AutoScalingGroupNames=['{group}'])['AutoScalingGroups'][0]
have = {{}}
if group['Instances']:
    for r in ec2.describe_instances(InstanceIds=[i['InstanceId'] for i in group['Instances']])['Reservations']:
        for i in r['Instances']:
            have[i['PrivateIpAddress']] = i['InstanceId']
new = [ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=group['VPCZoneIdentifier'],
    PrivateIpAddress=ip)['Instances'][0]['InstanceId'] for ip in wanted if ip not in have]
if new:
    asg.attach_instances(InstanceIds=new, AutoScalingGroupName='{group}')
old = [have[ip] for ip in have if ip not in wanted]
if old:
    asg.detach_instances(InstanceIds=old, AutoScalingGroupName='{group}', ShouldDecrementDesiredCapacity=True)",
                    wanted.join(", ")
                ));
            }
        }
    }
}

/// A name server that knows one name. It may give a part of the addresses in each answer, another one each time. What a
/// datagram has no room for is asked again over TCP, as it is with real ones.
pub struct Names {
    pub port: u16,
    zone: Arc<Zone>,
}

struct Zone {
    addresses: Mutex<Vec<Ipv4Addr>>,
    part: AtomicU64,
    turn: AtomicU64,
    stopped: AtomicBool,
}

/// Bytes of a datagram.
const DATAGRAM: usize = 512;

impl Zone {
    fn answer(&self, question: &[u8], room: usize) -> Option<Vec<u8>> {
        let mut answer = Message::from_bytes(question).ok()?;
        let query = answer.queries.first().cloned()?;
        answer.metadata.message_type = MessageType::Response;
        answer.metadata.recursion_available = true;
        let mut addresses = self.addresses.lock().unwrap().clone();
        let part = usize::try_from(self.part.load(Ordering::SeqCst)).unwrap_or(usize::MAX);
        // Some of them, in an order that is random enough.
        while addresses.len() > part {
            let turn = self.turn.load(Ordering::SeqCst);
            let turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.turn.store(turn, Ordering::SeqCst);
            let leaves = usize::try_from(turn >> 33).unwrap() % addresses.len();
            addresses.swap_remove(leaves);
        }
        for address in addresses {
            answer.add_answer(Record::from_rdata(query.name().clone(), 1, RData::A(A(address))));
        }
        let bytes = answer.to_bytes().unwrap();
        if bytes.len() <= room {
            return Some(bytes);
        }
        answer.answers.clear();
        answer.metadata.truncation = true;
        Some(answer.to_bytes().unwrap())
    }

    fn converse(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut question)?;
            let Some(answer) = self.answer(&question, usize::MAX) else { return Ok(()) };
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            stream.write_all(&[&length, answer.as_slice()].concat())?;
        }
    }
}

impl Names {
    pub fn start() -> Self {
        let (socket, listener) = (0..100)
            .find_map(|_| {
                let listener = TcpListener::bind("127.0.0.1:0").ok()?;
                let socket = UdpSocket::bind(listener.local_addr().ok()?).ok()?;
                Some((socket, listener))
            })
            .expect("a port for both");
        let port = socket.local_addr().unwrap().port();
        let zone = Arc::new(Zone {
            addresses: Mutex::default(),
            part: AtomicU64::new(u64::MAX),
            turn: AtomicU64::new(1),
            stopped: AtomicBool::new(false),
        });
        let (over_udp, over_tcp) = (Arc::clone(&zone), Arc::clone(&zone));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok((length, peer)) = socket.recv_from(&mut bytes) {
                if over_udp.stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let Some(answer) = over_udp.answer(&bytes[..length], DATAGRAM) {
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over_tcp.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let zone = Arc::clone(&over_tcp);
                std::thread::spawn(move || zone.converse(stream));
            }
        });
        Self { port, zone }
    }

    pub fn set(&self, addresses: Vec<Ipv4Addr>) {
        *self.zone.addresses.lock().unwrap() = addresses;
    }

    /// So many in each answer.
    pub fn set_part(&self, part: u64) {
        self.zone.part.store(part, Ordering::SeqCst);
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.zone.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
            let _ = socket.send_to(b"x", ("127.0.0.1", self.port));
        }
    }
}
