//! A real graphite-web (Debian: graphite-web) over the files of a [`Carbon`](super::carbon::Carbon).

use super::carbon::Carbon;
use super::{Daemon, SOON, debian, free_port, listens, run, wait_until, write};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// graphite-web with a database of its own. It ends when this value goes away.
pub struct GraphiteWeb {
    _directory: TempDir,
    port: u16,
    daemon: Daemon,
}

/// The WSGI application behind the server of Python's library, several requests at a time.
const SERVE: &str = "\
import sys, socketserver
from wsgiref.simple_server import make_server, WSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
class Server(socketserver.ThreadingMixIn, WSGIServer): daemon_threads = True
class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments): pass
make_server('127.0.0.1', int(sys.argv[1]), get_wsgi_application(), Server, Quiet).serve_forever()
";

impl GraphiteWeb {
    /// Starts it and waits until it listens.
    #[track_caller]
    pub fn start(carbon: &Carbon) -> Self {
        let directory = tempfile::tempdir().expect("a directory for graphite-web");
        let port = free_port();
        let root = directory.path();
        write_settings(root, carbon);
        write(root, "serve.py", SERVE);
        let (status, output) = run(python(root, &["-m", "django", "migrate", "--run-syncdb"]), SOON * 2);
        assert!(status.success(), "graphite-web cannot make its database:\n{output}");
        let mut daemon = Daemon::spawn(python(root, &["serve.py", &port.to_string()]));
        wait_until(SOON, "graphite-web listens", || {
            assert!(daemon.is_running(), "graphite-web ended:\n{}", daemon.output());
            listens(port)
        });
        Self { _directory: directory, port, daemon }
    }

    /// Where its pages begin, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// CPU time that it has taken since its start, in hundredths of a second.
    #[track_caller]
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.daemon.pid())).expect("it runs");
        let (_, fields) = stat.rsplit_once(") ").expect("the name of the program");
        let ticks: u64 = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 10)
    }

    /// The body of a page; `path` begins with a slash. Fails unless the status is 200.
    #[track_caller]
    pub fn get(&self, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("graphite-web accepts connections");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit for reading");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("the end of the head");
        let body = answer.split_off(end + 4);
        let head = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            head.split(' ').nth(1) == Some("200"),
            "{path}: {head}{}",
            String::from_utf8_lossy(&body[..body.len().min(2000)])
        );
        body
    }
}

/// Debian's Python, which graphite-web belongs to, whatever else the PATH has.
fn python(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(debian("python3"));
    command.args(arguments).current_dir(root).env("PYTHONPATH", root).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("GRAPHITE_SETTINGS_MODULE", "settings_of_test").env("DJANGO_SETTINGS_MODULE", "graphite.settings");
    command
}

fn write_settings(root: &Path, carbon: &Carbon) {
    let (root_name, whisper, query_port) = (root.display(), carbon.root(), carbon.query_port());
    let whisper = whisper.display();
    let settings = format!(
        "SECRET_KEY = 'test'; ALLOWED_HOSTS = ['*']; TIME_ZONE = 'UTC'; LOG_ROTATION = False\n\
         LOG_DIR = STORAGE_DIR = CONF_DIR = '{root_name}'\n\
         WHISPER_DIR = '{whisper}'; STANDARD_DIRS = [WHISPER_DIR]; INDEX_FILE = '{root_name}/index'\n\
         CARBONLINK_HOSTS = ['127.0.0.1:{query_port}']; FUNCTION_PLUGINS = []; FIND_CACHE_DURATION = 0; DEFAULT_CACHE_DURATION = 0; \
         FIND_TIMEOUT = FETCH_TIMEOUT = 60\n\
         GRAPHITE_ROOT = '/usr/share/graphite-web'; STATIC_ROOT = '/usr/share/graphite-web/static'\n\
         DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': '{root_name}/database', 'USER': '', \
         'PASSWORD': '', 'HOST': '', 'PORT': ''}}}}\n"
    );
    write(root, "settings_of_test.py", settings);
}
