//! docs/fields.md is made from the catalogue; `HAPROXYSTATS_ACCEPT=1 cargo test --test documents docs_fields` rewrites it.

use crate::harness::made::is_made;
use haproxystats::haproxy::columns::{self, COLUMNS, Column, Kind, Unit};
use haproxystats::haproxy::facts::{FACTS, PEER_STATES, Thing};
use haproxystats::haproxy::info;
use haproxystats::haproxy::status::{self, State};
use haproxystats::render::objects::SERVER_COUNTS;
use std::fmt::Write;

const HEAD: &str = "\
# Fields, paths and states

Made from the program's own catalogue; a test holds this page against it.

## Paths

`<base>` is `<namespace>.<host>.haproxy`, or `<namespace>.haproxy` with `prefix-hostname = false`. The host is the whole host
name with dots as underscores, or its first label with `fqdn = false`.

| path | what |
|---|---|
| `<base>.daemon.<field>` | `show info`, all processes together |
| `<base>.daemon.process.<number>.<field>` | the same for each process (`per-process-metrics`); where two processes have the same number, the name of the socket is used instead |
| `<base>.frontend.<frontend>.<field>` | a frontend |
| `<base>.backend.<backend>.<field>` | a backend; `TotalServers` counts its servers |
| `<base>.backend.<backend>.server.<server>.<field>` | a server in its backend |
| `<base>.server.<server>.<field>` | a server over all backends (`aggr-server-metrics`) |
| `<base>.frontend.<frontend>.listener.<listener>.<field>` | a listener ([families](families.md): `listeners`) |
| `<base>.table.<table>.<field>`, `<base>.certificate.<file>.<field>` and others | more of HAProxy's statistics: [families](families.md) |
| `<base>.haproxystats.<name>` | haproxystats about itself: [metrics.md](metrics.md) |

With `group-namespace`, `<base>` is followed by `.<group-namespace>.<group>` where a name matches a group. Servers in a backend follow
the backend's group.

Names are made safe for Graphite first, so that patterns and exclusions apply to the names in Graphite, and the metrics of two names
that become the same are added up:

| in the name | in the path | why |
|---|---|---|
| `.` | `_` | Graphite separates path elements by dots |
| white space, control characters | `_` | a line is split at blanks and ends at a newline |
| `;` | `_` | begins the tags of a tagged series |
| `/` | `_` | becomes a directory in whisper |
| bytes that are not UTF-8 | `_` each | carbon closes the connection over them |
| more than 200 bytes | cut, `-` and eight hexadecimal digits of a checksum | the limit of file names |

Everything else stays as HAProxy wrote it. Only finite numbers are sent.

## Frontends, backends, servers

The columns *frontend*, *backend* and *server* say how the values of several processes become one; a cell is empty where such
an object does not have the field. **Bold** fields are sent when nothing is selected. For these a blank cell counts as 0, and a sum is
sent as 0 even by a HAProxy that does not print the field; any other field is sent only where HAProxy prints a value. Of `qlimit` and
`src_ilim` a blank means that there is no limit: where one process has none, all together have none, and nothing is sent.

Some figures HAProxy prints in every row of their kind (those of HTTP in rows in HTTP mode), and has done so since 1.7, which says
the `mode` of a row. A blank there, as HAProxy 2.3.0 to 2.3.2 left some, says nothing: counted as 0 it would look as if the counter
had been reset. Such a cell does not count, and a sum of which it is a part (over processes, over backends, over the hosts of a
cluster) is left out.

### What cannot be read
A row that cannot be read (text where a number should be, too few fields) is left out, counted and logged. Where other processes
have rows of the same object, the object is left out as a whole: its sums would lack a part, which looks like a dip, and its
averages, maxima and states would be those of the others. So is what is made of it, in `server.<server>` and in clusters. All
other objects are as ever.

| what cannot be read | what is left out of this snapshot |
|---|---|
| a row | the object that it names |
| a row that does not tell what it is of, or the end of a file that was cut off | the objects that this process has no other row of; `TotalServers`, the numbers of servers by state, `server.<server>` |
| all rows of a process: an empty file, or one of other bytes | every frontend, backend and server of the host, and of its cluster |
| a figure of `show info` | that figure of all processes, and what is worked out of it |
| the whole reply to `show info` | all figures of `daemon` but those of each process |

Files of a socket that say something else in words, such as `Permission denied` or what a master process answers, are not those of a
process: without them nothing is missing. haproxystats-pull writes neither these nor parts of replies; it drops the whole pull, or
with `on-socket-failure = keep-rest` writes no file, and sums are then those of the other processes.

### Averages of times
`qtime`, `ctime`, `rtime` and `ttime` are averages over the last requests of a row in one process, which are
- `req_tot` where the row prints it: in HTTP mode; of servers since HAProxy 2.2;
- `stot` elsewhere: connections in TCP mode, and what a server of an older HAProxy was given;
- `lbtot` where there is neither.

A row has traffic when these or `lbtot` are above 0. Rows without traffic do not count, and where no process has any, no average is
sent. `lbtot` alone does not tell: it counts what load balancing decided, and not what follows a cookie, a stick table or
`use-server`.

Up to 512 requests HAProxy prints their mean. From then on each request counts for 511/512 of the one that follows it, which is worth as
much as the mean of 1,023 requests: what its manual calls the last 1,024. So 1,024 is the largest weight. Between 512 and 2,000 requests
it is above the worth of the average by at most 14 %. (HAProxy before 2.2 divides by 512 from the first request on: what it prints is too
small up to some 2,000 requests.)

In TCP mode HAProxy counts `lbtot` in place of its connections. As long as that is not above 512, it prints the sum of the times of
all connections since the start, divided by `lbtot`, or by 512 where that is 0. Where a stick table or `use-server` decides, the
figure is therefore wrong, too small at first and later too large. HAProxy 2.6 with connections of 51 ms (3.4 alike):

| connections | `lbtot` | `ttime` that HAProxy prints |
|---|---|---|
| 40 | 0 | 5 |
| 4,000 | 0 | 405 |
| 4,000 | 429 | 481 |
| 4,000 | 4,000 | 51 |

It is passed on as it is, weighted by the connections. What is right is `ttime × lbtot / stot`, with 512 for a `lbtot` of 0; above 512
what HAProxy prints is right.

| `time-averages` | over processes |
|---|---|
| `plain` | the mean of the rows with traffic, as in the Python program: a process that has had one request counts as much as one that has had thousands |
| `weighted` | the mean weighted by those requests: 1,024 where there were more, and at least 1 |

Plain means are for the metrics that the Python program sent of a proxy and of a server in its backend. Everything else is always
weighted: servers over all backends (`aggr-server-metrics`), clusters (`cluster-metrics`), JSON and influx messages. A host counts in
its cluster with the weights of all of its processes, so that it does not matter which host a process runs on.

### All fields
";

fn rule(column: &Column, kind: Kind) -> String {
    let Some(rule) = column.combine(kind) else { return String::new() };
    if columns::is_default(kind, column.name) { format!("**{}**", rule.word()) } else { rule.word().to_owned() }
}

fn states(table: &[State]) -> String {
    let mut text = String::from("| code | word | meaning | severity |\n|---|---|---|---|\n");
    for state in table {
        let State { word, code, severity, about } = state;
        let _ = writeln!(text, "| {code} | {word} | {about} | {severity} |");
    }
    text
}

fn page() -> String {
    let mut text = String::from(HEAD);
    text += "| field | frontend | backend | server | unit | nature | since | meaning |\n|---|---|---|---|---|---|---|---|\n";
    for column in COLUMNS.iter().filter(|column| column.is_numeric()) {
        let [frontend, backend, server] = Kind::ALL.map(|kind| rule(column, kind));
        let Column { name, nature, unit, since, about, .. } = column;
        let (unit, nature) = (unit.word(), format!("{nature:?}").to_lowercase());
        let _ =
            writeln!(text, "| `{name}` | {frontend} | {backend} | {server} | {unit} | {nature} | {since} | {about} |");
    }
    let rest: Vec<_> = COLUMNS.iter().filter(|c| !c.is_numeric()).map(|c| format!("`{}`", c.name)).collect();
    let _ = writeln!(text, "\nNot sent, because they are texts, keys or always 0: {}.\n", rest.join(", "));
    text += "## The daemon\n\n`daemon-metrics` selects among these; a blank in a name is written `_` there and in the path. **Bold** fields \
             are sent when nothing is selected.\n\n";
    text += "| field | over processes | unit | nature | since | meaning |\n|---|---|---|---|---|---|\n";
    for field in info::FIELDS {
        let Some(combine) = field.combine else { continue };
        let default = info::DEFAULT_SUMS.contains(&field.name) || info::DEFAULT_MEANS.contains(&field.name);
        let word = info::weight_of(field.name).map(|weight| format!("mean weighted by `{weight}`"));
        let word = word.unwrap_or_else(|| combine.word().to_owned());
        let combine = if default { format!("**{word}**") } else { word };
        let unit = if field.unit == Unit::None { "" } else { field.unit.word() };
        let (name, nature) = (field.name, format!("{:?}", field.nature).to_lowercase());
        let _ = writeln!(text, "| `{name}` | {combine} | {unit} | {nature} | {} | {} |", field.since, field.about);
    }
    text += "\nBesides:\n\n| metric | when | meaning |\n|---|---|---|\n";
    text += "| `CpuUsagePct` | `per-process-metrics` | 100 - `Idle_pct` of the process |\n";
    text += "| `25PercentileCpuUsagePct` ... `99PercentileCpuUsagePct` | more than one process | the 25th, 50th, 75th, 95th and 99th \
             percentile of `CpuUsagePct` over the processes: the value at the nearest rank |\n";
    text += "| `StdCpuUsagePct` | more than one process | standard deviation of `CpuUsagePct` (of a sample: divided by n - 1) |\n";
    for p in info::PERCENTAGES {
        let info::Percentage { name, value, limit } = p;
        let _ = writeln!(
            text,
            "| `{name}` | `calculate-percentages` | `{value}` in percent of `{limit}`, rounded down to a whole number; 0 without a limit, none where some processes have one |"
        );
    }
    text += "\n## States\n\nWith `status-metrics = true`, or `states` among the `families`. Where processes disagree about a server, the state of the highest severity is sent. Codes \
             never change their meaning.\n\n`status_up` of servers and backends is 1 for UP (also `UP n/m`), `no check` and DRAIN, else 0.\n\n\
             `status` of servers:\n\n";
    text += &states(&status::STATUS);
    text += "\n`check_status` of servers that are checked:\n\n";
    text += &states(&status::CHECK_STATUS);
    text += "\nOf each backend, how many of its servers are in which state:\n\n| metric | states |\n|---|---|\n";
    for (metric, counted) in SERVER_COUNTS {
        let _ = writeln!(text, "| `{metric}` | {} |", counted.join(", "));
    }
    text += "\nWith `states` among the `families` alone: `status` of backends, by the table of servers; `agent_status` of servers, by \
             the table of `check_status`; and `status` of frontends, also of listeners with `listeners`:\n\n";
    text += &states(&status::OPEN_STATUS);
    text += "\n`status_up` of frontends and listeners is 1 for OPEN, FULL and WAITING, else 0.\n";
    text += &families();
    text
}

/// What families with a command of their own have.
fn families() -> String {
    let mut text = String::from("\n## Families\n\n[families.md](families.md) says how they are asked for.\n\n");
    text += "| of | path | field | over processes | unit | nature | meaning |\n|---|---|---|---|---|---|---|\n";
    let mut facts: Vec<_> = FACTS.iter().collect();
    facts.sort_by_key(|fact| fact.thing);
    for fact in facts {
        let (of, path) = thing(fact.thing);
        let (name, rule, unit) = (fact.name, fact.combine.word(), fact.unit.word());
        let nature = format!("{:?}", fact.nature).to_lowercase();
        let _ = writeln!(text, "| {of} | `{path}` | `{name}` | {rule} | {unit} | {nature} | {} |", fact.about);
    }
    text += "\n`status` of peers:\n\n| code | word | meaning |\n|---|---|---|\n";
    for (word, code, about) in PEER_STATES {
        let _ = writeln!(text, "| {code} | {word} | {about} |");
    }
    text
}

const fn thing(thing: Thing) -> (&'static str, &'static str) {
    match thing {
        Thing::Table => ("a stick table", "table.<table>"),
        Thing::NameServer => ("a name server", "nameserver.<section>.<name>"),
        Thing::Certificate => ("a certificate, by its file", "certificate.<file>"),
        Thing::Certificates => ("all certificates", "certificates"),
        Thing::Thread => ("a thread", "thread.<number>"),
        Thing::Threads => ("all threads", "threads"),
        Thing::Pool => ("a memory pool; the 20 largest of each process", "pool.<name>"),
        Thing::Pools => ("all memory pools", "pools"),
        Thing::Peer => ("a peer", "peer.<section>.<name>"),
        Thing::Peers => ("a section of peers", "peers.<section>"),
        Thing::Build => ("a version", "build.<version>"),
        Thing::Node => ("a node", "node.<node>"),
        Thing::Description => ("a description", "description.<text>"),
    }
}

#[test]
fn the_page_is_that_of_the_catalogue() {
    is_made("docs/fields.md", &page());
}
