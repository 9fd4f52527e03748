//! docs/fields.md is made from the catalogue; `ACCEPT=1 cargo test --test docs_fields` writes it anew.

use haproxystats::haproxy::columns::{self, COLUMNS, Column, Kind, Unit};
use haproxystats::haproxy::info;
use haproxystats::haproxy::status::{self, State};
use haproxystats::render::objects::SERVER_COUNTS;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const HEAD: &str = "\
# Fields, paths and states

Made from the program's own catalogue; a test holds this page against it.

## Paths

`<base>` is `<namespace>.<host>.haproxy`, or `<namespace>.haproxy` with `prefix-hostname = false`. The host is the whole host
name with dots as underscores, or its first label with `fqdn = false`.

| path | what |
|---|---|
| `<base>.daemon.<field>` | `show info`, all processes together |
| `<base>.daemon.process.<number>.<field>` | the same for each process (`per-process-metrics`); where two processes have the same number, the name of the socket stands in its place |
| `<base>.frontend.<frontend>.<field>` | a frontend |
| `<base>.backend.<backend>.<field>` | a backend; `TotalServers` counts its servers |
| `<base>.backend.<backend>.server.<server>.<field>` | a server in its backend |
| `<base>.server.<server>.<field>` | a server over all backends (`aggr-server-metrics`) |
| `<base>.haproxystats.<name>` | haproxystats about itself: [metrics.md](metrics.md) |

With `group-namespace`, `<base>` is followed by `.<group-namespace>.<group>` where a name matches a group. Servers in a backend follow
the backend's group.

Names are made safe for Graphite before anything else, so that patterns and exclusions see what Graphite sees, and two names
that become the same are summed together:

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
sent as 0 even by a HAProxy that does not print the field; any other field is sent only where HAProxy prints a value.

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
        let combine = if default { format!("**{}**", combine.word()) } else { combine.word().to_owned() };
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
            "| `{name}` | `calculate-percentages` | `{value}` in percent of `{limit}`, cut to a whole number; 0 without a limit |"
        );
    }
    text += "\n## States\n\nWith `status-metrics = true`. Where processes disagree about a server, the state of the highest severity is sent. Codes \
             never change their meaning.\n\n`status_up` of servers and backends is 1 for UP (also `UP n/m`), `no check` and DRAIN, else 0.\n\n\
             `status` of servers:\n\n";
    text += &states(&status::STATUS);
    text += "\n`check_status` of servers that are checked:\n\n";
    text += &states(&status::CHECK_STATUS);
    text += "\nOf each backend, how many of its servers are in which state:\n\n| metric | states |\n|---|---|\n";
    for (metric, counted) in SERVER_COUNTS {
        let _ = writeln!(text, "| `{metric}` | {} |", counted.join(", "));
    }
    text
}

#[test]
fn the_page_is_that_of_the_catalogue() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fields.md");
    let page = page();
    if std::env::var_os("ACCEPT").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == page,
        "docs/fields.md differs from the catalogue: ACCEPT=1 cargo test --test docs_fields writes it"
    );
}
