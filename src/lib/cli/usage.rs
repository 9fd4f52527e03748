//! What `--help` prints; docopt matches command lines against it.

use crate::config::Program;

const PULL: &str = "Pulls statistics from HAProxy daemon over UNIX/TCP socket(s).

Usage:
    haproxystats-pull [-f <file>] [-d <dir>] [-p | -P | --check [--ask | --strict] | --status [--json]]
    haproxystats-pull --setup [<path>...]
    haproxystats-pull --latency-rules [--buckets <ms>] [--timers <names>] [--table <name>] [--base <name>] [--peers <address>]
    haproxystats-pull --nagios <check> [<option>...]

Options:
    -f, --file <file>  configuration file with settings
                       [default: /etc/haproxystats.conf]
    -d, --dir <dir>    directory with additional configuration files
    -p, --print        show default settings
    -P, --print-conf   show configuration
    --check            check configuration and directories, then exit
    --ask              with --check: query every socket for every family, and
                       print what each lacks
    --strict           with --check: fail if there is a warning
    --setup            print a configuration for the running HAProxy, or for the
                       given HAProxy configuration files or directories, and
                       what those lack
    --latency-rules    print HAProxy rules that count response times, then exit
    --buckets <ms>     bounds of the buckets of --latency-rules, in milliseconds
                       [default: 1,2,5,10,25,50,100,250,500,1000,2500,10000]
    --timers <names>   what --latency-rules counts: response, connect, queue
                       [default: response]
    --table <name>     stick table of --latency-rules [default: latency]
    --base <name>      defaults section on which --latency-rules is based
                       [default: base]
    --peers <address>  address over which HAProxy passes that table to its next
                       worker at a reload
    --status           show the status of the running program
    --json             print the status as JSON
    --nagios <check>   run as a Nagios plug-in; see contrib/nagios
    -h, --help         show this screen
    -v, --version      show version";

const PROCESS: &str = "Processes statistics from HAProxy and pushes them to Graphite.

Usage:
    haproxystats-process [-f <file>] [-d <dir>] [-p | -P | --check [--ask | --strict] | --status [--json]]
    haproxystats-process [-f <file>] [-d <dir>] --once <snapshot> [--count]
    haproxystats-process [-f <file>] [-d <dir>] --explain <metric> [<snapshot>]
    haproxystats-process [-f <file>] [-d <dir>] --replay <place> [--from <time>] [--to <time>] [--rate <metrics>] [--resume <state>] [--to-graphite <server>] [--hostname <name>]
    haproxystats-process --nagios <check> [<option>...]

Options:
    -f, --file <file>  configuration file with settings
                       [default: /etc/haproxystats.conf]
    -d, --dir <dir>    directory with additional configuration files
    -p, --print        show default settings
    -P, --print-conf   show configuration
    --check            check configuration and directories, then exit
    --ask              reach every destination, and print what it answers; no
                       metric is sent
    --strict           with --check: fail if there is a warning
    --once <snapshot>  process one snapshot, a directory or an archive, and print
                       its metrics as they would be sent; send and remove nothing
    --count            print the number of series by family instead
    --explain <metric>  show how a metric is calculated, or why it is not sent, from
                       this snapshot or the newest one waiting
    --replay <place>   send stored snapshots again: an archive, a directory of
                       snapshots, a single one, or a topic, as in kafka:TOPIC
    --from <time>      with --replay: snapshots from this time on, in seconds since
                       the epoch or as in 2026-11-30T08:00:00Z or 2026-11-30
    --to <time>        with --replay: snapshots before this time
    --rate <metrics>   with --replay: maximum metrics per second [default: 50000]
    --resume <state>   with --replay: file that records the progress; an
                       interrupted replay continues there
    --to-graphite <server>  with --replay: send to this Graphite server, as in
                       graphite.example.com:2003, and nowhere else
    --hostname <name>  with --replay: host name for snapshots that contain none
    --status           show the status of the running program
    --json             print the status as JSON
    --nagios <check>   run as a Nagios plug-in; see contrib/nagios
    -h, --help         show this screen
    -v, --version      show version";

const AGENT: &str = "Answers HAProxy's agent checks with the state and weight of this host's services.

Usage:
    haproxystats-agent [-f <file>] [-d <dir>] [--skip-config] [-b <addr>] [--port <port>] [-p | -P | --check [--strict] | --status [--json]]
    haproxystats-agent --nagios <check> [<option>...]
    haproxystats-agent --explain <line>
    haproxystats-agent --import-datawave <path>

Options:
    -f, --file <file>  configuration file with settings
                       [default: /etc/haproxystats.conf]
    -d, --dir <dir>    directory with additional configuration files
    --skip-config      use the defaults, read no configuration file
    -b, --bind <addr>  address to listen on, instead of that in [agent]
    --port <port>      port to listen on, instead of that in [agent]
    -p, --print        show default settings
    -P, --print-conf   show configuration
    --check            check configuration, then exit
    --strict           with --check: fail if there is a warning
    --explain <line>   explain what HAProxy does with an answer, then exit
    --import-datawave <path>  print a config.yml of datawave_haproxy_agent as an
                       [agent] section, then exit
    --status           show the status of the running program
    --json             print the status as JSON
    --nagios <check>   run as a Nagios plug-in; see contrib/nagios
    -h, --help         show this screen
    -v, --version      show version";

const DISCOVERY: &str = "Keeps HAProxy's servers and their weights in sync with a source, without reloads.

Usage:
    haproxystats-discovery [-f <file>] [-d <dir>] [-s] [-c] [--debug] [--once | --dry-run]
    haproxystats-discovery [-f <file>] [-d <dir>] [-s] [-c] [--debug] [-p | -P | --check [--strict] | --status [--json]]
    haproxystats-discovery --nagios <check> [<option>...]

Options:
    -s, --server       maintain the list of servers: source to store
    -c, --client       apply the list to HAProxy: store to HAProxy's sockets
    -f, --file <file>  configuration file with settings
                       [default: /etc/haproxystats.conf]
    -d, --dir <dir>    directory with additional configuration files
    --debug            log messages of every level
    --once             do one round, then exit
    --dry-run          print what one round would do and why; change nothing
    -p, --print        show default settings
    -P, --print-conf   show configuration
    --check            check configuration, then exit
    --strict           with --check: fail if there is a warning
    --status           show the status of the running program
    --json             print the status as JSON
    --nagios <check>   run as a Nagios plug-in; see contrib/nagios
    -h, --help         show this screen
    -v, --version      show version";

const TOP: &str = "Shows what HAProxy does now, or did, on one screen.

Usage:
    haproxystats-top [-f <file>] [-d <dir>] [-p | -P | --check [--strict]]
    haproxystats-top [-f <file>] [-d <dir>] [-i <seconds>] [--host <name>] [--once] [--json]
    haproxystats-top [-f <file>] [-d <dir>] --replay <place> [--from <time>] [--to <time>] [--host <name>] [--once] [--json]

Options:
    -f, --file <file>  configuration file with settings
                       [default: /etc/haproxystats.conf]
    -d, --dir <dir>    directory with additional configuration files
    -i, --interval <seconds>  time from one look at the sockets to the next
                       [default: 2]
    --host <name>      show this host of [hosts] alone
    --once             print one table instead of the screen, with rates over one
                       interval; with --replay: of the last snapshot
    --json             print JSON instead, one document per interval or snapshot
    --replay <place>   show stored snapshots: an archive, a directory of snapshots,
                       or a single one
    --from <time>      with --replay: snapshots from this time on, in seconds since
                       the epoch or as in 2026-11-30T08:00:00Z or 2026-11-30
    --to <time>        with --replay: snapshots before this time
    -p, --print        show default settings
    -P, --print-conf   show configuration
    --check            check configuration, then exit
    --strict           with --check: fail if there is a warning
    -h, --help         show this screen
    -v, --version      show version";

/// The whole help.
pub(crate) fn usage(program: Program) -> &'static str {
    match program {
        Program::Pull => PULL,
        Program::Process => PROCESS,
        Program::Agent => AGENT,
        Program::Discovery => DISCOVERY,
        Program::Top => TOP,
    }
}

/// The lines of the help that say how to call the program.
pub(super) fn short_usage(program: Program) -> &'static str {
    let text = usage(program);
    text.split("\n\n").find(|part| part.starts_with("Usage:")).unwrap_or(text)
}
