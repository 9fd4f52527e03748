use super::*;
use crate::top::read::field::Field;
use crate::top::testing::{RowText, info, one, stat, tick};

fn server(name: &str, state: &str, requests: u64) -> RowText {
    RowText::server("web", name, state).set("req_tot", requests).set("rtime", 10).set("lastchg", 12)
}

fn find<'a>(objects: &'a [Object], name: &str) -> &'a Object {
    objects.iter().find(|object| super::name(&object.key) == name).unwrap()
}

fn texts(model: &Model) -> Vec<&str> {
    model.changes.iter().map(|change| change.text.as_str()).collect()
}

#[test]
fn rates_are_between_two_ticks_and_figures_of_now() {
    let at = |requests: u64, failed: u64| {
        let row = server("s1", "UP", requests).set("hrsp_5xx", failed).set("econ", failed).set("scur", requests);
        [RowText::frontend("www").set("req_tot", requests), row]
    };
    let model = Model::of(Some(&one(100, &at(50, 1))), &one(105, &at(70, 3)), None);
    let server = find(&model.servers, "web/s1");
    assert_eq!((server.requests(), server.errors()), (Some(4.0), Some(0.8)));
    assert_eq!((server.get(Field::Sessions), server.latency(), server.known), (Some(70.0), Some(10.0), Known::All));
    assert_eq!((model.totals.requests, model.totals.sessions, model.interval), (Some(4.0), 3.0, Some(5.0)));
    let first = Model::of(None, &one(100, &at(50, 1)), None);
    let server = find(&first.servers, "web/s1");
    assert_eq!((server.requests(), server.latency(), server.known), (None, None, Known::Nothing));
    assert!(first.changes.is_empty());
}

#[test]
fn processes_are_summed_by_the_nature_of_each_field() {
    let of = |requests: u64, time: u64, weight: u64| {
        stat(&[server("s1", "UP", requests).set("rtime", time).set("weight", weight).set("scur", 2)])
    };
    let both = |epoch, a: String, b: String| {
        tick(epoch, &[("a.sock_info", info(7, 3)), ("a.sock_stat", a), ("b.sock_info", info(8, 4)), ("b.sock_stat", b)])
    };
    let before = both(100, of(0, 10, 10), of(0, 40, 30));
    let now = both(110, of(300, 10, 10), of(100, 50, 30));
    let model = Model::of(Some(&before), &now, None);
    let server = find(&model.servers, "web/s1");
    assert_eq!((server.requests(), server.get(Field::Sessions)), (Some(40.0), Some(4.0)));
    assert_eq!((server.get(Field::ResponseTime), server.get(Field::Weight)), (Some(20.0), Some(20.0)));
    assert_eq!((model.hosts.len(), model.totals.sessions, server.agree), (2, 7.0, (2, 2)));
    let scoped = Model::of(Some(&before), &now, Some("lb-02"));
    assert_eq!(find(&scoped.servers, "web/s1").requests(), Some(10.0));
    let key = server.key.clone();
    let parts = parts(Some(&before), &now, &key, None);
    let each: Vec<_> = parts.iter().map(|part| (part.socket.as_str(), &*part.host, part.object.requests())).collect();
    assert_eq!(each, [("a.sock", "lb-01", Some(30.0)), ("b.sock", "lb-02", Some(10.0))]);
}

#[test]
fn counters_that_step_back_give_no_rate() {
    let alone = Model::of(Some(&one(100, &[server("s1", "UP", 9)])), &one(110, &[server("s1", "UP", 3)]), None);
    assert_eq!(find(&alone.servers, "web/s1").known, Known::Nothing);
    let of = |a: u64, pid: u64, b: u64| {
        let row = |requests| stat(&[server("s1", "UP", requests).set("stot", requests)]);
        [("a.sock_info", info(pid, 0)), ("a.sock_stat", row(a)), ("c.sock_info", info(9, 0)), ("c.sock_stat", row(b))]
    };
    let before = tick(100, &of(500, 7, 10));
    let cleared = Model::of(Some(&before), &tick(110, &of(3, 7, 30)), None);
    let server = find(&cleared.servers, "web/s1");
    assert_eq!((server.requests(), server.known), (Some(2.0), Known::Part));
    assert_eq!(texts(&cleared), ["a.sock (lb-01): its counters were cleared"]);
    let replaced = Model::of(Some(&before), &tick(110, &of(900, 8, 30)), None);
    let server = find(&replaced.servers, "web/s1");
    assert_eq!((server.requests(), server.known), (Some(2.0), Known::Part));
    assert_eq!(
        texts(&replaced),
        ["a.sock (lb-01): now answered by process 8, started 100 s ago; its rates resume with the next tick"]
    );
}

#[test]
fn a_worker_that_leaves_adds_its_traffic_and_has_no_say_in_states() {
    let row = |state: &str, requests| stat(&[server("s1", state, requests).set("scur", 5)]);
    let before = tick(100, &[("a.sock_info", info(7, 9)), ("a.sock_stat", row("UP", 100))]);
    let now = tick(
        110,
        &[
            ("a.sock_info", info(8, 1)),
            ("a.sock_stat", row("UP", 20)),
            ("m.sock@7_oldinfo", info(7, 9)),
            ("m.sock@7_oldstat", row("DOWN", 150)),
        ],
    );
    let model = Model::of(Some(&before), &now, None);
    let server = find(&model.servers, "web/s1");
    assert_eq!((server.requests(), server.known), (Some(5.0), Known::Part));
    assert_eq!((server.state.word, server.agree, server.get(Field::Sessions)), ("UP", (1, 1), Some(10.0)));
    assert_eq!(model.leaving(), (1, 9.0));
    assert_eq!(texts(&model)[1], "worker 7 of lb-01 is leaving with 9 sessions");
    let gone = Model::of(Some(&now), &tick(120, &[("a.sock_info", info(8, 1)), ("a.sock_stat", row("UP", 30))]), None);
    assert_eq!(texts(&gone), ["worker 7 of lb-01 has exited"]);
    assert_eq!(find(&gone.servers, "web/s1").known, Known::All);
}

#[test]
fn shares_are_over_servers_that_take_traffic() {
    let rows = |requests: u64| {
        [
            server("s1", "UP", requests * 2).set("weight", 10),
            server("s2", "UP 2/3", requests * 8).set("weight", 30),
            server("s3", "DOWN", requests * 5).set("weight", 60),
            server("s4", "DRAIN", requests).set("weight", 0),
            server("b1", "UP", 0).set("weight", 10).set("act", 0).set("bck", 1),
        ]
    };
    let model = Model::of(Some(&one(100, &rows(0))), &one(110, &rows(100)), None);
    let share = |name: &str| find(&model.servers, name).share.map(|share| (share.requests, share.weight, share.off));
    assert_eq!(share("web/s1"), Some((Some(0.2), 0.25, false)));
    assert_eq!(share("web/s2"), Some((Some(0.8), 0.75, false)));
    assert_eq!((share("web/s3"), share("web/s4"), share("web/b1")), (None, None, None));
    let only_backup = |requests: u64| {
        [
            server("s1", "DOWN", 5),
            server("b1", "no check", requests).set("act", 0).set("bck", 1),
            server("b2", "UP", 0).set("act", 0).set("bck", 1),
        ]
    };
    let model = Model::of(Some(&one(100, &only_backup(0))), &one(110, &only_backup(50)), None);
    let shares: Vec<_> = model.servers.iter().map(|server| server.share.map(|share| share.weight)).collect();
    assert_eq!(shares, [None, Some(1.0), None]);
    let uneven = |requests: u64| [server("s1", "UP", requests), server("s2", "UP", requests * 9)];
    let model = Model::of(Some(&one(100, &uneven(0))), &one(110, &uneven(100)), None);
    assert!(model.servers.iter().all(|server| server.share.unwrap().off));
}

#[test]
fn the_worst_comes_first() {
    let rows = |more: u64| {
        [
            server("calm", "UP", 10 * more).set("rtime", 3),
            server("slow", "UP", 10 * more).set("rtime", 900),
            server("idle", "UP", 0).set("rtime", 5000),
            server("down", "DOWN", 0),
            server("fails", "UP", 10 * more).set("hrsp_5xx", 5 * more),
            server("fails-more", "UP", 10 * more).set("eresp", 9 * more),
            server("queued", "UP", 10 * more).set("rtime", 3).set("qcur", 4),
        ]
    };
    let model = Model::of(Some(&one(100, &rows(0))), &one(110, &rows(10)), None);
    let mut servers: Vec<&Object> = model.servers.iter().collect();
    servers.sort_by(|a, b| a.worse(b));
    let names: Vec<&str> = servers.iter().map(|server| &*server.key.name).collect();
    assert_eq!(names, ["fails-more", "fails", "slow", "queued", "calm", "down", "idle"]);
    let troubled: Vec<&str> = servers.iter().filter(|s| s.is_in_trouble()).map(|server| &*server.key.name).collect();
    assert_eq!(troubled, ["fails-more", "fails", "queued", "down"]);
}

#[test]
fn changes_are_sentences() {
    let check = |row: RowText, status: &str, code: &str, text: &str| {
        row.set("check_status", status).set("check_code", code).set("check_duration", 2001).set("last_chk", text)
    };
    let before = one(
        100,
        &[
            RowText::backend("web", "UP"),
            server("web1", "UP", 0).set("weight", 100),
            server("web2", "UP", 0).set("chkdown", 1),
            server("web3", "UP", 0),
            server("web4", "DOWN", 0),
            server("web5", "UP", 0),
            server("web6", "UP", 0),
            server("gone", "UP", 0),
        ],
    );
    let now = one(
        110,
        &[
            RowText::backend("web", "DOWN").set("lastchg", 3),
            server("web1", "UP", 0).set("weight", 50),
            server("web2", "UP", 0).set("chkdown", 2).set("lastchg", 4),
            check(server("web3", "DOWN", 0), "L4TOUT", "", ""),
            server("web4", "UP", 0),
            check(server("web5", "UP 1/3", 0), "* L7STS", "503", "\"Service Unavailable\""),
            server("web6", "MAINT (via web/web1)", 0),
            server("new", "no check", 0),
        ],
    );
    let model = Model::of(Some(&before), &now, None);
    assert_eq!(
        texts(&model),
        [
            "backend web is down (for 3 s): no server takes traffic",
            "web/web2 went down and came back 4 s ago",
            "web/web3 is down (for 12 s): L4TOUT in 2001ms",
            "web/web5 fails its check (UP 1/3) (for 12 s): L7STS/503 in 2001ms: Service Unavailable",
            "web/web1 has weight 50 instead of 100",
            "web/web6 is in maintenance (for 12 s): via web/web1",
            "server web/new is new: no check",
            "server web/gone is gone",
            "web/web4 is up (for 12 s)",
        ]
    );
    assert_eq!((model.counts.up, model.counts.down, model.counts.maint, model.counts.unchecked), (5, 1, 1, 1));
    assert!(Model::of(Some(&before), &one(110, &[]), Some("elsewhere")).changes.is_empty());
}

#[test]
fn processes_that_disagree_are_counted() {
    let of = |a: &str, b: &str| {
        let row = |state: &str| stat(&[server("s1", state, 0)]);
        [("a.sock_info", info(7, 0)), ("a.sock_stat", row(a)), ("c.sock_info", info(9, 0)), ("c.sock_stat", row(b))]
    };
    let model = Model::of(Some(&tick(100, &of("UP", "UP"))), &tick(110, &of("UP", "DOWN")), None);
    assert_eq!(texts(&model), ["web/s1 is down in 1 of 2 processes (for 12 s)"]);
    let server = find(&model.servers, "web/s1");
    assert_eq!(server.agree, (1, 2));
}

#[test]
fn silence_and_certificates_are_reported() {
    let sni = |date: &str| format!("# Certificate Name\tFilename\tNotAfter\nx\tx.pem\t{date} 08:00:00 2026 GMT\n");
    let at = |epoch, date: &str| {
        let mut tick = tick(epoch, &[("a.sock_certificates", sni(date)), ("a.sock_info", info(7, 0))]);
        tick.silent = Vec::new();
        tick
    };
    // 2026-11-30T08:00:00Z
    let now = 1_796_025_600;
    let mut before = at(now - 10, "Dec 30");
    let model = Model::of(Some(&before), &at(now + 10, "Dec 30"), None);
    assert_eq!(texts(&model), ["certificate x.pem on lb-01 expires in 29 days"]);
    assert_eq!(model.near_expiry().count(), 1);
    let renewed = Model::of(Some(&before), &at(now + 10, "Dec 31"), None);
    assert_eq!(texts(&renewed), ["certificate x.pem on lb-01 was renewed and expires in 30 days"]);
    let expired = Model::of(Some(&at(now - 10, "Nov 30")), &at(now + 10, "Nov 30"), None);
    assert_eq!(texts(&expired), ["certificate x.pem on lb-01 has expired"]);
    let silent = Silent { socket: "c.sock".to_owned(), reason: "no answer".to_owned() };
    let mut now = at(now + 10, "Dec 30");
    now.silent.push(silent.clone());
    assert_eq!(texts(&Model::of(Some(&before), &now, None))[0], "c.sock does not answer: no answer");
    before.silent.push(silent);
    assert_eq!(texts(&Model::of(Some(&before), &now, None)).len(), 1);
}
