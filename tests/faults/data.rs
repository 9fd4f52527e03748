//! The files of snapshots: a HAProxy whose every number depends on the snapshot and the row.

use std::fmt::Write;
use std::os::unix::fs::lchown;
use std::path::Path;

/// Servers in the one backend of [`stat`], which makes about a thousand points of a snapshot.
pub const SERVERS: usize = 20;

const HEADER: &str = "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,\
    weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,\
    rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,\
    req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,\
    qtime,ctime,rtime,ttime,";

/// Numbers without order that are the same for the same snapshot and position.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % 10_000_000
    }
}

/// What `show info` answered.
pub fn info(epoch: u64) -> String {
    let mut numbers = Numbers(epoch);
    let mut text = String::from("Name: HAProxy\nVersion: 2.6.12\nNbproc: 1\nProcess_num: 1\nPid: 17\n");
    let names = [
        "Uptime_sec",
        "CurrConns",
        "CumConns",
        "CumReq",
        "Maxconn",
        "ConnRate",
        "MaxConnRate",
        "SessRate",
        "Tasks",
        "Run_queue",
    ];
    for name in names {
        let _ = writeln!(text, "{name}: {}", numbers.next());
    }
    let _ = writeln!(text, "Idle_pct: {}\nnode: lb-01\n", numbers.next() % 101);
    text
}

/// What `show stat` answered.
pub fn stat(epoch: u64, servers: usize) -> String {
    let mut numbers = Numbers(epoch ^ 0x5eed);
    let mut text = HEADER.replace(' ', "").replacen('#', "# ", 1);
    text.push('\n');
    let server = |number| format!("web-{number:03}");
    let rows = [("www".to_owned(), "FRONTEND".to_owned(), 0), ("shop".to_owned(), "BACKEND".to_owned(), 1)];
    let rows = rows.into_iter().chain((0..servers).map(|number| ("shop".to_owned(), server(number), 2)));
    let columns: Vec<&str> = HEADER.trim_start_matches("# ").split(',').map(str::trim).collect();
    for (proxy, name, kind) in rows {
        for column in &columns {
            match *column {
                "" => {}
                "pxname" => text.push_str(&proxy),
                "svname" => text.push_str(&name),
                "status" => text.push_str("UP"),
                "check_status" => text.push_str("L7OK"),
                "last_chk" | "last_agt" | "tracked" | "throttle" => {}
                "type" => drop(write!(text, "{kind}")),
                "pid" | "iid" | "sid" | "act" => text.push('1'),
                _ => drop(write!(text, "{}", numbers.next())),
            }
            if !column.is_empty() {
                text.push(',');
            }
        }
        text.push('\n');
    }
    text.push('\n');
    text
}

/// Fills a directory as haproxystats-pull would.
pub fn fill(directory: &Path, epoch: u64) -> std::io::Result<()> {
    std::fs::write(directory.join("lb.sock_info"), info(epoch))?;
    std::fs::write(directory.join("lb.sock_stat"), stat(epoch, SERVERS))
}

/// The same with so many servers, in a directory that has the name of the snapshot.
pub fn fill_with(directory: &Path, servers: usize) -> std::io::Result<()> {
    let epoch = directory.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()).unwrap_or(0);
    std::fs::write(directory.join("lb.sock_info"), info(epoch))?;
    std::fs::write(directory.join("lb.sock_stat"), stat(epoch, servers))
}

/// Gives a directory, and all that is in it, to a user.
pub fn own(directory: &Path, user: u32) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            own(&entry.path(), user)?;
        } else {
            lchown(entry.path(), Some(user), Some(user))?;
        }
    }
    lchown(directory, Some(user), Some(user))
}
