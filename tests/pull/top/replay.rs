//! `--replay`: snapshots in a directory and in an archive.

use super::{configuration, documents, item, run};
use haproxystats::archive::{pack, place};
use haproxystats::snapshot::Epoch;
use haproxystats::snapshot::origin::Origin;
use std::fs::{self, File};
use std::path::Path;

/// 2026-11-30T08:00:00Z
const FIRST: u64 = 1_796_025_600;

/// A snapshot of one process ten seconds after the one before: so many requests so far, and the state of a server.
pub fn snapshot(directory: &Path, number: u64, state: &str) {
    let path = directory.join((FIRST + 10 * number).to_string());
    fs::create_dir_all(&path).unwrap();
    let requests = 100 * number * number;
    let info = format!(
        "Name: HAProxy\nVersion: 3.0.1\nPid: 7\nProcess_num: 1\nUptime_sec: {}\nStart_time_sec: 1796000000\nCurrConns: 5\n\
         Maxconn: 100\nIdle_pct: 80\nnode: lb\n\n",
        number * 10
    );
    let stat = format!(
        "# pxname,svname,scur,stot,status,weight,act,bck,lastchg,check_status,type,mode,hrsp_5xx,req_tot,rtime,\n\
         www,FRONTEND,5,{requests},OPEN,,,,,,0,http,{number},{requests},,\n\
         shop,s1,2,{requests},UP,1,1,0,500,L7OK,2,http,{number},{requests},12,\n\
         shop,s2,0,0,{state},1,1,0,3,L4CON,2,http,0,0,0,\n\
         shop,BACKEND,5,{requests},UP,2,2,0,500,,1,http,{number},{requests},12,\n\n"
    );
    fs::write(path.join("a.sock_info"), info).unwrap();
    fs::write(path.join("a.sock_stat"), stat).unwrap();
}

#[test]
fn stored_snapshots_have_exact_rates() {
    let directory = tempfile::tempdir().unwrap();
    let (stored, packed) = (directory.path().join("in"), directory.path().join("packed"));
    for (number, state) in [(1, "UP"), (2, "UP"), (3, "DOWN"), (4, "DOWN")] {
        snapshot(&stored, number, state);
        let epoch = Epoch(FIRST + 10 * number);
        let file = place(&packed, epoch);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let origin = Origin { host: "lb-77".to_owned() };
        pack(&stored.join(epoch.to_string()), epoch, &origin, File::create(file).unwrap()).unwrap();
    }
    let file = configuration(directory.path(), "socket-dir = /nowhere");
    let all = documents(&file, &["--replay", stored.to_str().unwrap()]);
    let rates: Vec<_> = all.iter().map(|document| document["totals"]["requests_per_second"].as_f64()).collect();
    assert_eq!(rates, [None, Some(30.0), Some(50.0), Some(70.0)]);
    let changes: Vec<&str> = all
        .iter()
        .flat_map(|document| document["changes"].as_array().unwrap())
        .filter_map(|c| c["text"].as_str())
        .collect();
    assert_eq!(changes, ["shop/s2 is down (for 3 s): L4CON"]);
    assert_eq!(all[2]["time"], "2026-11-30T08:00:30Z");
    assert_eq!(item(&all[3], "servers", "shop", Some("s1"))["request_share"], 1);

    let from = ["--from", "2026-11-30T08:00:30Z", "--replay", packed.to_str().unwrap()];
    let archived = documents(&file, &from);
    assert_eq!((archived.len(), archived[1]["hosts"][0]["name"].as_str()), (2, Some("lb-77")));
    assert_eq!(archived[1]["servers"], all[3]["servers"]);
    let (code, table) = run(&file, &["--once", "--replay", packed.to_str().unwrap()]);
    assert!(
        code == Some(0) && table.starts_with("2026-11-30T08:00:40Z  lb-77, 1 process: req/s 70  err/s 0.1"),
        "{table}"
    );

    let damaged = place(&packed, Epoch(FIRST + 20));
    fs::write(&damaged, "not an archive").unwrap();
    let (code, output) = run(&file, &["--json", "--replay", packed.to_str().unwrap()]);
    assert!(code == Some(66) && output.contains("1796025620"), "{output}");
}
