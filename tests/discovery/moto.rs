//! moto, a double of AWS, and boto3 to drive it: from `scripts/python-tools`, or any Python that has both.

use crate::harness::missing;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// One that serves all tests; they keep apart by their names.
pub struct Moto {
    python: PathBuf,
    pub port: u16,
}

/// Ends with this process: its standard input is ours.
static CHILD: Mutex<Option<Child>> = Mutex::new(None);

const SERVE: &str = "
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
";

fn python() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let own = crate::harness::root().join(target).join("python-tools/bin/python3");
    let named = std::env::var_os("HAPROXYSTATS_PYTHON").map(PathBuf::from);
    let mut candidates = named.into_iter().chain([own, PathBuf::from("python3")]);
    candidates.find(|python| {
        let mut command = Command::new(python);
        command
            .args(["-c", "import boto3, moto.server"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

impl Moto {
    /// The one of this process; `None` where it is not installed.
    #[track_caller]
    pub fn get() -> Option<&'static Self> {
        static MOTO: OnceLock<Option<Moto>> = OnceLock::new();
        let moto = MOTO.get_or_init(|| {
            let python = python()?;
            let mut command = Command::new(&python);
            command.args(["-c", SERVE]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.envs(environment(0)).spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            *CHILD.lock().unwrap() = Some(child);
            Some(Self { python, port: line.trim().parse().expect("moto says its port") })
        });
        if moto.is_none() {
            missing("moto (Python)");
        }
        moto.as_ref()
    }

    /// Runs Python with boto3 against it, and returns what it prints.
    #[track_caller]
    pub fn python(&self, script: &str) -> String {
        let head = "import boto3\nasg, ec2, db = [boto3.client(n) for n in ('autoscaling', 'ec2', 'dynamodb')]\n";
        let mut command = Command::new(&self.python);
        command.args(["-c", &format!("{head}{script}")]).envs(self.environment()).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What points a program at it.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment(self.port)
    }
}

fn environment(port: u16) -> Vec<(String, String)> {
    let pairs = [
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_DEFAULT_REGION", "eu-west-1".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
