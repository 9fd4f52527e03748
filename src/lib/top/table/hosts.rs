//! Tables of hosts, and of processes.

use super::{Cell, Column, Tone, descending, errors, number, rate};
use crate::parse::part::Part;
use crate::top::model::{HostLine, ProcessLine, Totals};
use crate::top::text::{percent, short_time};

trait Summed {
    fn totals(&self) -> &Totals;
}

impl Summed for HostLine {
    fn totals(&self) -> &Totals {
        &self.totals
    }
}

impl Summed for ProcessLine {
    fn totals(&self) -> &Totals {
        &self.totals
    }
}

/// The columns that hosts and processes have in common.
struct Sums<T>(std::marker::PhantomData<T>);

impl<T: Summed> Sums<T> {
    const REQUESTS: Column<T> = Column::figures(
        "REQ/S",
        "client requests per second; sessions in TCP mode",
        6,
        1,
        |line| rate(line.totals().requests, line.totals().known),
        |a, b| descending(a.totals().requests, b.totals().requests),
    );
    const ERRORS: Column<T> = Column::figures(
        "ERR/S",
        "5xx responses per second",
        6,
        0,
        |line| errors(line.totals().errors, line.totals().known),
        |a, b| descending(a.totals().errors, b.totals().errors),
    );
    const QUEUE: Column<T> = Column::figures(
        "QUEUE",
        "queued requests",
        5,
        4,
        |line| number(Some(line.totals().queued), Tone::Warning),
        |a, b| descending(Some(a.totals().queued), Some(b.totals().queued)),
    );
    const CONNECTIONS: Column<T> = Column::figures(
        "CONN",
        "open connections",
        6,
        3,
        |line| number(Some(line.totals().sessions), Tone::Plain),
        |a, b| descending(Some(a.totals().sessions), Some(b.totals().sessions)),
    );
    const USED: Column<T> = Column::figures(
        "USED",
        "connections as a share of the limit",
        5,
        5,
        |line| {
            used(line.totals()).map_or_else(Cell::none, |part| {
                Cell::toned(percent(part), if part > 0.8 { Tone::Warning } else { Tone::Plain })
            })
        },
        |a, b| descending(used(a.totals()), used(b.totals())),
    );
    const IN: Column<T> = Column::figures(
        "IN/S",
        "bytes received from clients per second",
        6,
        8,
        |line| rate(line.totals().bytes_in, line.totals().known),
        |a, b| descending(a.totals().bytes_in, b.totals().bytes_in),
    );
    const OUT: Column<T> = Column::figures(
        "OUT/S",
        "bytes sent to clients per second",
        6,
        7,
        |line| rate(line.totals().bytes_out, line.totals().known),
        |a, b| descending(a.totals().bytes_out, b.totals().bytes_out),
    );
    const IDLE: Column<T> = Column::figures(
        "IDLE",
        "idle time of the busiest process",
        4,
        5,
        |line| {
            line.totals().idle.map_or_else(Cell::none, |idle| {
                Cell::toned(percent(idle / 100.0), if idle < 20.0 { Tone::Warning } else { Tone::Plain })
            })
        },
        // The busiest first.
        |a, b| descending(b.totals().idle, a.totals().idle),
    );
    const DOWN: Column<T> = Column::figures(
        "DOWN",
        "servers that are down",
        4,
        2,
        |line| number(Some(down(line.totals())), Tone::Bad),
        |a, b| descending(Some(down(a.totals())), Some(down(b.totals()))),
    );
}

fn used(totals: &Totals) -> Option<f64> {
    totals.limit.filter(|limit| *limit > 0.0).map(|limit| totals.sessions / limit)
}

#[expect(clippy::cast_precision_loss, reason = "it is looked at")]
fn down(totals: &Totals) -> f64 {
    totals.down as f64
}

type OfHost = Sums<HostLine>;
type OfProcess = Sums<ProcessLine>;

/// Columns of hosts.
pub(in crate::top) static HOSTS: &[Column<HostLine>] = &[
    Column::text(
        "HOST",
        "name of the host, from [hosts]",
        14,
        0,
        |host| Cell::plain(&*host.name),
        |a, b| a.name.cmp(&b.name),
    ),
    Column::figures(
        "PROC",
        "processes that take connections",
        4,
        6,
        |host| Cell::plain(host.processes.to_string()),
        |a, b| b.processes.cmp(&a.processes),
    ),
    Column::figures(
        "OLD",
        "leaving workers",
        3,
        6,
        |host| if host.leaving == 0 { Cell::faint("0") } else { Cell::toned(host.leaving.to_string(), Tone::Warning) },
        |a, b| b.leaving.cmp(&a.leaving),
    ),
    OfHost::REQUESTS,
    OfHost::ERRORS,
    OfHost::QUEUE,
    OfHost::CONNECTIONS,
    OfHost::USED,
    OfHost::IN,
    OfHost::OUT,
    OfHost::IDLE,
    OfHost::DOWN,
];

/// Columns of processes.
pub(in crate::top) static PROCESSES: &[Column<ProcessLine>] = &[
    Column::text(
        "SOCKET",
        "queried socket; for a leaving worker, the socket of its master, and its PID",
        14,
        0,
        |process| Cell::plain(&*process.socket),
        |a, b| a.socket.cmp(&b.socket),
    ),
    Column::text(
        "HOST",
        "host of the process",
        8,
        6,
        |process| Cell::plain(&*process.host),
        |a, b| a.host.cmp(&b.host),
    ),
    Column::words(
        "STATE",
        "whether it accepts connections",
        7,
        3,
        |process| match process.part {
            Part::Leaving => Cell::toned("leaving", Tone::Warning),
            Part::Live | Part::Carried => Cell::toned("live", Tone::Good),
        },
        |a, b| (b.part == Part::Leaving).cmp(&(a.part == Part::Leaving)),
    ),
    Column::figures(
        "UPTIME",
        "time since it started",
        6,
        4,
        |process| process.uptime.map_or_else(Cell::none, |uptime| Cell::plain(short_time(uptime.cast_signed()))),
        |a, b| a.uptime.cmp(&b.uptime),
    ),
    Column::figures(
        "PID",
        "process ID",
        7,
        9,
        |process| process.pid.map_or_else(Cell::none, |pid| Cell::plain(pid.to_string())),
        |a, b| a.pid.cmp(&b.pid),
    ),
    OfProcess::REQUESTS,
    OfProcess::ERRORS,
    OfProcess::QUEUE,
    OfProcess::CONNECTIONS,
    OfProcess::USED,
    OfProcess::IDLE,
    OfProcess::OUT,
    Column::words(
        "VERSION",
        "version of HAProxy",
        8,
        9,
        |process| Cell::faint(process.version.split('-').next().unwrap_or_default()),
        |a, b| a.version.cmp(&b.version),
    ),
];
