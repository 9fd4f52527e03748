//! What `--help` prints; docopt matches command lines against it.

use crate::config::Program;

const PULL: &str = "Pulls statistics from HAProxy daemon over UNIX/TCP socket(s).

Usage:
    haproxystats-pull [-f <file>] [-d <dir>] [-p | -P | --check | --status [--json]]
    haproxystats-pull --nagios <check> [<option>...]

Options:
    -f, --file <file>  configuration file with settings
                       [default: /etc/haproxystats.conf]
    -d, --dir <dir>    directory with additional configuration files
    -p, --print        show default settings
    -P, --print-conf   show configuration
    --check            check configuration and directories, start nothing
    --status           say what can be seen of the running program
    --json             the same for programs
    --nagios <check>   be a plug-in of Nagios; see contrib/nagios
    -h, --help         show this screen
    -v, --version      show version";

const PROCESS: &str = "Processes statistics from HAProxy and pushes them to Graphite.

Usage:
    haproxystats-process [-f <file>] [-d <dir>] [-p | -P | --check | --once <snapshot> | --status [--json]]
    haproxystats-process --nagios <check> [<option>...]

Options:
    -f, --file <file>  configuration file with settings
                       [default: /etc/haproxystats.conf]
    -d, --dir <dir>    directory with additional configuration files
    -p, --print        show default settings
    -P, --print-conf   show configuration
    --check            check configuration and directories, start nothing
    --once <snapshot>  process one directory of statistics, print its metrics,
                       remove nothing, send nothing
    --status           say what can be seen of the running program
    --json             the same for programs
    --nagios <check>   be a plug-in of Nagios; see contrib/nagios
    -h, --help         show this screen
    -v, --version      show version";

const AGENT: &str = "Answers the agent checks of HAProxy: state and weight of the services of this host.

Usage:
    haproxystats-agent [-f <file>] [-d <dir>] [--skip-config] [-b <addr>] [--port <port>] [-p | -P | --check | --status [--json]]
    haproxystats-agent --nagios <check> [<option>...]
    haproxystats-agent --explain <line>
    haproxystats-agent --import-datawave <path>

Options:
    -f, --file <file>  configuration file with settings
                       [default: /etc/haproxystats.conf]
    -d, --dir <dir>    directory with additional configuration files
    --skip-config      read no configuration file, take the defaults
    -b, --bind <addr>  address to listen on, over that of [agent]
    --port <port>      port to listen on, over that of [agent]
    -p, --print        show default settings
    -P, --print-conf   show configuration
    --check            check configuration, start nothing
    --explain <line>   say what HAProxy does with an answer, start nothing
    --import-datawave <path>  print a config.yml of datawave_haproxy_agent as the
                       section [agent], start nothing
    --status           say what can be seen of the running program
    --json             the same for programs
    --nagios <check>   be a plug-in of Nagios; see contrib/nagios
    -h, --help         show this screen
    -v, --version      show version";

const DISCOVERY: &str = "Puts servers and their weights into HAProxy, without a reload.

Usage:
    haproxystats-discovery [-f <file>] [-d <dir>] [-s] [-c] [--debug] [--once | --dry-run]
    haproxystats-discovery [-f <file>] [-d <dir>] [-s] [-c] [--debug] [-p | -P | --check | --status [--json]]
    haproxystats-discovery --nagios <check> [<option>...]

Options:
    -s, --server       keep the list of servers: source to store
    -c, --client       keep HAProxy as the list says: store to HAProxy's sockets
    -f, --file <file>  configuration file with settings
                       [default: /etc/haproxystats.conf]
    -d, --dir <dir>    directory with additional configuration files
    --debug            print messages of every level
    --once             one round, then end
    --dry-run          print what one round would do and why, change nothing
    -p, --print        show default settings
    -P, --print-conf   show configuration
    --check            check configuration, start nothing
    --status           say what can be seen of the running program
    --json             the same for programs
    --nagios <check>   be a plug-in of Nagios; see contrib/nagios
    -h, --help         show this screen
    -v, --version      show version";

/// The whole help.
#[must_use]
pub fn usage(program: Program) -> &'static str {
    match program {
        Program::Pull => PULL,
        Program::Process => PROCESS,
        Program::Agent => AGENT,
        Program::Discovery => DISCOVERY,
    }
}

/// The lines of the help that say how to call the program.
pub(super) fn short_usage(program: Program) -> &'static str {
    let text = usage(program);
    text.split("\n\n").find(|part| part.starts_with("Usage:")).unwrap_or(text)
}
