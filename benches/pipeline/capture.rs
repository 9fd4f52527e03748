//! Makes snapshots as haproxystats-pull writes them: the same bytes for the same size on every machine.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// How large an installation is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub name: &'static str,
    pub processes: usize,
    /// As many frontends as backends.
    pub backends: usize,
    pub servers_each: usize,
}

pub(crate) const SIZES: [Size; 4] = [
    Size { name: "S", processes: 1, backends: 20, servers_each: 10 },
    Size { name: "M", processes: 4, backends: 100, servers_each: 20 },
    Size { name: "L", processes: 4, backends: 500, servers_each: 40 },
    Size { name: "XL", processes: 8, backends: 2000, servers_each: 50 },
];

/// The columns of HAProxy 2.6 up to those that are sent, and some of its modules' as ballast.
pub(crate) const HEADER: &str = "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,\
status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,\
rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,\
req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,\
ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,check_fall,check_health,\
agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,\
connect,reuse,cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur,\
safe_conn_cur,used_conn_cur,need_conn_est,uweight,agg_server_status,agg_server_check_status,agg_check_status,-,\
ssl_sess,ssl_reused_sess,ssl_failed_handshake,h2_headers_rcvd,h2_data_rcvd,h2_settings_rcvd,h2_rst_stream_rcvd,\
h2_goaway_rcvd,h1_open_connections,h1_open_streams,h1_total_connections,h1_total_streams,h1_bytes_in,h1_bytes_out,";

/// Which cells a kind of row leaves blank.
pub(crate) const BLANK: [&[&str]; 3] = [
    &["qcur", "qmax", "weight", "act", "bck", "lbtot", "qtime", "ctime", "rtime", "ttime", "wretr", "wredis"],
    &["throttle", "tracked", "check_code", "check_duration", "rate_lim", "qlimit", "sid"],
    &["req_rate", "req_rate_max", "req_tot", "comp_in", "comp_out", "comp_byp", "comp_rsp", "dcon", "dses", "slim"],
];

/// A generator of numbers (splitmix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Writes a snapshot of this size below `place`, and returns its directory.
pub(crate) fn write(place: &Path, size: Size) -> std::io::Result<PathBuf> {
    write_to(place.join(size.name).join("1500000000"), size)
}

/// Writes the replies of a snapshot into this directory, and returns it.
pub(crate) fn write_to(dir: PathBuf, size: Size) -> std::io::Result<PathBuf> {
    fs::create_dir_all(&dir)?;
    for process in 1..=size.processes {
        fs::write(dir.join(format!("admin{process}.sock_stat")), statistics(size, process))?;
        let info = format!(
            "Name: HAProxy\nProcess_num: {process}\nUptime_sec: 59277\nMaxconn: 2000\nCurrConns: 89\nCumConns: 61740035\n\
             CumReq: 755367096\nConnRate: 22\nSessRate: 40\nIdle_pct: 9{process}\nTasks: 396\nRun_queue: 4\n\n"
        );
        fs::write(dir.join(format!("admin{process}.sock_info")), info)?;
    }
    Ok(dir)
}

fn statistics(size: Size, process: usize) -> String {
    let mut numbers = Numbers(process as u64);
    let mut text = format!("{HEADER}\n");
    objects(size, |proxy, server, kind| row(&mut text, proxy, server, kind, &mut numbers));
    text + "\n"
}

/// Tells `take` proxy, server and type of each object, in the order of rows.
pub(crate) fn objects(size: Size, mut take: impl FnMut(&str, &str, usize)) {
    for proxy in 0..size.backends {
        take(&format!("fe_www_{proxy:04}"), "FRONTEND", 0);
    }
    for proxy in 0..size.backends {
        let name = format!("be_app_{proxy:04}.example.com");
        for server in 0..size.servers_each {
            let dotted = if server % 2 == 0 { ".example.com" } else { "" };
            take(&name, &format!("srv-{proxy:04}-{server:03}{dotted}"), 2);
        }
        take(&name, "BACKEND", 1);
    }
}

/// A number of as many digits as come: one most often, rarely seven.
pub(crate) fn digits(number: u64) -> u64 {
    (number >> 32) % 10_u64.pow((number % 7 * (number >> 8) % 7) as u32 + 1)
}

/// One row: three of ten servers see no traffic, one of fifty rows has a quoted field.
fn row(text: &mut String, proxy: &str, server: &str, kind: usize, numbers: &mut Numbers) {
    let idle = kind == 2 && numbers.next() % 10 < 3;
    let quoted = numbers.next().is_multiple_of(50);
    for field in HEADER[2..].trim_end_matches(',').split(',') {
        let number = numbers.next();
        let _ = match field {
            "pxname" => write!(text, "{proxy}"),
            "svname" => write!(text, "{server}"),
            "type" => write!(text, "{kind}"),
            "status" => write!(text, "{}", if kind == 0 { "OPEN" } else { "UP" }),
            "mode" => write!(text, "http"),
            "-" => write!(text, "-"),
            "check_status" if kind == 2 => write!(text, "L7OK"),
            "last_chk" if quoted => write!(text, "\"L7OK, \"\"fine\"\"\""),
            "addr" | "cookie" | "algo" | "check_desc" | "agent_desc" | "last_chk" | "last_agt" | "check_status"
            | "agent_status" => Ok(()),
            field if BLANK[kind].contains(&field) => Ok(()),
            "bin" | "bout" if !idle => write!(text, "{}", number % 10_000_000_000),
            "weight" | "act" => write!(text, "1"),
            _ if idle => write!(text, "0"),
            _ => write!(text, "{}", digits(number)),
        };
        text.push(',');
    }
    text.push('\n');
}
