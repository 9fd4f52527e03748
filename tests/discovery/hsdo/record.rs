//! Runs the real HSDO, its server and its client, through all cases, and keeps what it made of them.

use super::double::Double;
use super::{Case, Kind, SLOTS, Seen, Slots, cases, environment, exporter, file, haproxy, ready};
use crate::harness::discovery::Balancer;
use crate::harness::{Daemon, SOON, wait_until, write};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A checkout of HSDO, and a Python that can run it; `None` where nobody has named one.
pub fn installed() -> Option<(PathBuf, PathBuf)> {
    let source = std::env::var_os("HAPROXYSTATS_HSDO").map(PathBuf::from)?;
    let python = std::env::var_os("HAPROXYSTATS_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    Some((source, python))
}

/// Runs HSDO with a clock that is so many seconds fast as the file `clock` says. (libfaketime makes sleeping fail in Python.)
const CLOCK: &str = "
import datetime, os, runpy, sys
class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds=float(open(os.environ['CLOCK']).read()))
datetime.datetime = Clock
sys.path.insert(0, os.path.dirname(sys.argv[1]))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
";

/// HSDO's server or client, as it is installed: it reads `conf/env.yaml` of the directory it runs in.
pub fn hsdo(directory: &Path, variables: &[(String, String)], mode: &str) -> Command {
    let (source, python) = installed().expect("HAPROXYSTATS_HSDO names a checkout of HSDO");
    let mut lines = String::from("DEBUG: \"false\"\n");
    let defaults = [
        ("INTERVAL", "1"),
        ("DYNAMODB_TABLE_NAME", "hsdo"),
        ("SERVER_CONSUL_API_URL", "\"\""),
        ("SERVER_CONSUL_SERVICE_NAME", "\"\""),
        ("SERVER_ASG_NAMES", "\"\""),
        ("SERVER_HAPROXY_BACKEND_SERVER_MIN_WEIGHT", "1"),
        ("SERVER_HAPROXY_BACKEND_SERVER_MAX_WEIGHT", "10"),
        ("SERVER_HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT", "1"),
        ("SERVER_HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT_INTERVAL", "30"),
        ("CLIENT_DEDICATED_ASG", "\"false\""),
        ("CLIENT_ASG_NAMES", "\"\""),
        ("CLIENT_ALL_SERVERS_IN_FALLBACK_BACKEND", "\"false\""),
        ("CLIENT_HAPROXY_FALLBACK_BACKEND_NAME", "\"\""),
        ("CLIENT_HAPROXY_FALLBACK_BACKEND_BASE_NAME", "\"\""),
    ];
    let mut all: BTreeMap<String, String> =
        defaults.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for (name, value) in variables {
        // Numbers of the environment would stay texts, and its switches are the words themselves.
        let is_plain = value.parse::<f64>().is_ok() || value.starts_with('{');
        all.insert(name.clone(), if is_plain { value.clone() } else { format!("\"{value}\"") });
    }
    for (name, value) in all.iter().filter(|(name, _)| !name.starts_with("AWS_") || *name == "AWS_DEFAULT_REGION") {
        lines.push_str(&format!("{name}: {value}\n"));
    }
    lines.push_str(&format!("EXPORTER_PORT: {}\n", exporter()));
    let place = directory.join(mode);
    std::fs::create_dir_all(place.join("conf")).unwrap();
    write(&place.join("conf"), "env.yaml", lines);
    let mut command = Command::new(python);
    command.args(["-c", CLOCK]).arg(source.join("src/main.py")).arg(format!("--{mode}")).current_dir(place);
    command.env("CLOCK", directory.join("clock"));
    // One attempt is enough to see what a refusal does.
    command.env("AWS_MAX_ATTEMPTS", "1");
    command.envs(variables.iter().filter(|(name, _)| name.starts_with("AWS_")).cloned());
    command
}

struct Stage<'c> {
    case: &'c Case,
    directory: TempDir,
    double: Double,
    balancer: Balancer,
    variables: Vec<(String, String)>,
}

impl<'c> Stage<'c> {
    fn new(case: &'c Case) -> Self {
        let (directory, balancer) = (tempfile::tempdir().unwrap(), haproxy());
        let double = Double::start(case.kind, case.groups());
        let mut variables = environment(case, &double);
        let socket = balancer.socket().display().to_string();
        variables.push(("CLIENT_HAPROXY_SOCKET_PATH".to_owned(), socket));
        // Rounds are kept apart by the double, not by the time.
        variables.push(("INTERVAL".to_owned(), "0.05".to_owned()));
        Self { case, directory, double, balancer, variables }
    }

    fn set_clock(&self, second: u64) {
        let new = write(self.directory.path(), "clock.new", second.to_string());
        std::fs::rename(new, self.directory.path().join("clock")).unwrap();
    }

    fn server(&self) -> Daemon {
        Daemon::spawn(hsdo(self.directory.path(), &self.variables, "server"))
    }

    fn client(&self) -> Daemon {
        let mut command = hsdo(self.directory.path(), &self.variables, "client");
        command.env("AWS_ENDPOINT_URL", self.double.urls().1);
        Daemon::spawn(command)
    }

    fn slots(&self) -> Slots {
        let groups = self.double.column("ASG");
        ready(&self.balancer, &groups)
    }

    fn play(&self) -> Vec<Seen> {
        self.double.hold();
        self.set_clock(0);
        let (mut server, mut client) = (self.server(), self.client());
        let mut seen = Vec::new();
        for (number, answer) in self.case.answers.iter().enumerate() {
            self.set_clock(number as u64 * super::STEP);
            self.double.set(answer.clone());
            self.double.allow_one();
            let mut ended = None;
            let survives = self.case.kind == Kind::Consul || answer.failure.is_none();
            wait_until(SOON, "HSDO's server ends its round, or itself", || {
                if server.is_running() {
                    return survives && self.double.waits();
                }
                ended = Some(());
                true
            });
            let ended = ended.map(|()| server.wait(SOON).code().unwrap_or(-1));
            if let Some(code) = ended {
                eprintln!("{} {number}: HSDO ended with {code}: {}", self.case.name, last_line(&server.output()));
                self.double.hold();
                server = self.server();
            }
            let before = self.double.readings();
            wait_until(SOON, "HSDO's client has been through the table", || {
                assert!(client.is_running(), "{}", client.output());
                self.double.readings() >= before + 2
            });
            seen.push(Seen { ended, slots: self.slots() });
        }
        seen
    }
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().last().unwrap_or_default()
}

#[test]
#[ignore = "needs HSDO, which is in no package registry"]
fn record() {
    let mut text = String::new();
    for mut case in cases::all() {
        case.hsdo = Stage::new(&case).play();
        assert!(case.hsdo.iter().all(|seen| seen.slots.len() <= 2 * SLOTS));
        text.push_str(&serde_json::to_string(&case).unwrap());
        text.push('\n');
    }
    std::fs::create_dir_all(file().parent().unwrap()).unwrap();
    std::fs::write(file(), text).unwrap();
}
