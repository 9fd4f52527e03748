//! Ticks for tests, from replies in HAProxy's format.

use super::read::tick::Tick;
use super::read::{Draft, TickReader};
use crate::config::Program;
use crate::config::load;
use crate::snapshot::Epoch;

/// The columns of [`stat`].
const HEADER: &str = "# pxname,svname,qcur,scur,slim,stot,bin,bout,econ,eresp,status,weight,act,bck,chkdown,lastchg,\
                      check_status,check_code,check_duration,last_chk,type,mode,hrsp_2xx,hrsp_5xx,req_tot,qtime,ctime,rtime,ttime,";

/// A row of `show stat`, with its cells.
#[derive(Debug, Clone)]
pub(in crate::top) struct RowText(Vec<(&'static str, String)>);

impl RowText {
    fn of(proxy: &str, name: &str, kind: u8, state: &str) -> Self {
        let cells = [("pxname", proxy), ("svname", name), ("status", state), ("mode", "http"), ("type", "")];
        let row = Self(cells.map(|(column, cell)| (column, cell.to_owned())).to_vec());
        row.set("type", kind)
    }

    /// A frontend.
    pub(in crate::top) fn frontend(proxy: &str) -> Self {
        Self::of(proxy, "FRONTEND", 0, "OPEN")
    }

    /// A backend.
    pub(in crate::top) fn backend(proxy: &str, state: &str) -> Self {
        Self::of(proxy, "BACKEND", 1, state)
    }

    /// A server with weight 1.
    pub(in crate::top) fn server(proxy: &str, name: &str, state: &str) -> Self {
        Self::of(proxy, name, 2, state).set("weight", 1).set("act", 1).set("bck", 0)
    }

    /// Sets another cell.
    pub(in crate::top) fn set(mut self, column: &'static str, value: impl ToString) -> Self {
        self.0.retain(|(known, _)| *known != column);
        self.0.push((column, value.to_string()));
        self
    }

    fn text(&self) -> String {
        let cell =
            |column: &str| self.0.iter().find(|(known, _)| *known == column).map_or("", |(_, cell)| cell.as_str());
        HEADER
            .trim_start_matches("# ")
            .trim_end_matches(',')
            .split(',')
            .map(|column| format!("{},", cell(column)))
            .collect()
    }
}

/// A reply to `show stat`.
pub(in crate::top) fn stat(rows: &[RowText]) -> String {
    let rows: Vec<String> = rows.iter().map(RowText::text).collect();
    format!("{HEADER}\n{}\n\n", rows.join("\n"))
}

/// A reply to `show info` of a process.
pub(in crate::top) fn info(pid: u64, conns: u64) -> String {
    format!(
        "Name: HAProxy\nVersion: 3.0.1-deadbee\nPid: {pid}\nProcess_num: 1\nUptime_sec: 100\nStart_time_sec: {}\n\
         CurrConns: {conns}\nMaxconn: 100\nIdle_pct: 90\nnode: lb\n\n",
        1_796_000_000 + pid
    )
}

/// A tick from names and contents of files.
pub(in crate::top) fn tick(epoch: u64, files: &[(&str, String)]) -> Tick {
    let config = "[hosts]\nb.sock = lb-02\n";
    let hosts = load::from_text(Program::Top, config, "test").unwrap().config.hosts;
    let mut reader = TickReader::new(hosts, "lb-01".to_owned());
    let mut draft = Draft::default();
    for (name, text) in files {
        reader.file(&mut draft, name, &mut text.as_bytes(), Epoch(epoch)).unwrap();
    }
    reader.finish(draft, Epoch(epoch), epoch as f64)
}

/// A tick with one process on `a.sock`, with these rows.
pub(in crate::top) fn one(epoch: u64, rows: &[RowText]) -> Tick {
    tick(epoch, &[("a.sock_info", info(7, 3)), ("a.sock_stat", stat(rows))])
}
