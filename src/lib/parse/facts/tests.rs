//! Replies of real HAProxy, and others.

use super::*;
use crate::haproxy::questions::QUESTIONS;
use proptest::prelude::*;

fn question(suffix: &str) -> &'static Question {
    QUESTIONS.iter().find(|question| question.suffix == suffix).unwrap()
}

/// `thing first second figure value`, in order; what was not understood last.
fn read(suffix: &str, text: &str) -> Vec<String> {
    let mut facts = Facts::default();
    facts.read(question(suffix), text, 1_796_025_652);
    lines(&facts)
}

fn lines(facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    for (Named { thing, first, second }, figures) in facts.combined() {
        for (fact, value) in figures {
            lines.push(format!("{thing:?} {first} {second} {} {}", fact.name, value.as_f64()));
        }
    }
    lines.extend(facts.unknown_names.iter().map(|name| format!("? {name}")));
    lines
}

#[test]
fn tables_have_a_size_and_a_fill() {
    let text = "# table: a.b, type: ip, size:1024, used:512\n# table: s, type: string, len:32, size:100, used:0, new:7\n\
                # table: none, type: ip, size:0, used:0\nnonsense\n\n";
    assert_eq!(
        read("_tables", text),
        [
            "Table a.b  size 1024",
            "Table a.b  used 512",
            "Table a.b  fill_pct 50",
            "Table none  size 0",
            "Table none  used 0",
            "Table s  size 100",
            "Table s  used 0",
            "Table s  fill_pct 0",
            "? new",
            "? nonsense"
        ]
    );
}

#[test]
fn name_servers_are_told_by_section() {
    let text = "# id,pid,sent,nx,later,\nns1,dns,18,2,5,\nns2,dns,x,0,,\nns3,dns\n\n";
    assert_eq!(
        read("_resolvers", text),
        [
            "NameServer dns ns1 sent 18",
            "NameServer dns ns1 nx 2",
            "NameServer dns ns2 nx 0",
            "? later",
            "? ns3,dns",
            "? sent"
        ]
    );
}

#[test]
fn certificates_expire() {
    let sni = "# Frontend/Bind\tSNI\tNegative Filter\tType\tFilename\tNotAfter\tNotBefore\n\
               tls/a.cfg:33\tex.test\t-\trsa\t/etc/a.pem\tDec  1 08:00:52 2026 GMT\tNov 30 08:00:52 2026 GMT\n\
               tls/a.cfg:33\t*\t-\trsa\t/etc/a.pem\tDec  1 08:00:52 2026 GMT\tNov 30 08:00:52 2026 GMT\n\
               tls/a.cfg:33\told\t-\trsa\t/etc/old.pem\tNov 30 08:00:51 2026 GMT\tNov 30 08:00:52 2026 GMT\n\
               tls/a.cfg:33\tnone\t-\trsa\t/etc/none.pem\t-\t-\n\n";
    let expected = [
        "Certificate etc/a.pem  expires_in 86400",
        "Certificate etc/old.pem  expires_in -1",
        "Certificates   expires_in -1",
        "Certificates   expired 1",
        "Certificates   count 2",
    ];
    assert_eq!(read("_sni", sni), [&expected[..], &["? /etc/none.pem"]].concat());
    let single = "Filename: /etc/a.pem\nStatus: Used\nnotBefore: Nov 30 08:00:52 2026 GMT\n\
                  notAfter: Dec  1 08:00:52 2026 GMT\n\nFilename: /etc/old.pem\nnotAfter: Nov 30 08:00:51 2026 GMT\n\n\
                  Filename: /etc/key.pem\n\n";
    assert_eq!(read("_certificates", single), expected);
}

#[test]
fn threads_are_told_one_by_one_and_together() {
    let text = "thread_id: 2 (1..2)\ndate_now: 1796025665.010411\nloops: 210 [ 76 134 ]\navg_loop_us: 31 [ 22 39 ]\n\
                next_year: 3 [ 1 2 ]\n\n";
    assert_eq!(
        read("_activity", text),
        [
            "Thread 1  loops 76",
            "Thread 1  avg_loop_us 22",
            "Thread 2  loops 134",
            "Thread 2  avg_loop_us 39",
            "Threads   count 2",
            "Threads   loops 210",
            "Threads   avg_loop_us 31",
            "? next_year"
        ]
    );
    assert_eq!(read("_activity", "thread_id: 1 (1..1)\nloops: 7\n\n").first().unwrap(), "Thread 1  loops 7");
}

#[test]
fn pools_of_one_name_are_one() {
    let text = "Dumping pools usage. Use SIGQUIT to flush them.\n\
                \u{20} - Pool stream (1056 bytes/8) : 3 allocated (3168 bytes), 2 used (~1 by thread caches), needed_avg 0, 1 failures, 1 users, @0x7f\n\
                \u{20} - Pool stream (10 bytes) : 1 allocated (10 bytes), 1 used, needed_avg 0, 0 failures, 1 users, @0x7f [SHARED]\n\
                \u{20} - Pool empty (24 bytes) : 0 allocated (0 bytes), 0 used (~0 by thread caches), needed_avg 0, 0 failures, 5 users, @0x56\n\
                \u{20} - Pool odd\nTotal: 3 pools, 3178 bytes allocated, 2122 used (~351344 by thread caches).\n\n";
    assert_eq!(
        read("_pools", text),
        [
            "Pool stream  allocated_bytes 3178",
            "Pool stream  used_bytes 2122",
            "Pool stream  failures 1",
            "Pools   allocated_bytes 3178",
            "Pools   used_bytes 2122",
            "Pools   count 3",
            "?   - Pool odd".replacen("  ", "", 1).as_str()
        ]
    );
}

const PEERS: &str = "0x7f: [19/Feb/1970:17:02:26] id=mesh disabled=0 flags=0x300003 resync_timeout=<PAST> task_calls=5
  0x7f: id=there(remote,active) addr=127.0.0.1:13432 app_state=STOPPED learn_state=NOTASSIGNED last_status=ESTA last_hdshk=1m2s
        reconnect=2s heartbeat=<NEVER> confirm=0 tx_hbt=1 rx_hbt=2 no_hbt=0 new_conn=3 proto_err=4 coll=0
        flags=0x0 appctx:0x7f st0=6 st1=0 task_calls=2 state=TAR
        shared tables:
          0x7f local_id=1 remote_id=0 flags=0x0 remote_data=0x0
              last_acked=0 last_pushed=0 last_get=0 teaching_origin=0 update=0
              table:0x7f id=web update=9 localupdate=8 commitupdate=0 refcnt=1
        Dictionary cache not dumped (use \"show peers dict\")
  0x7f: id=here(local,inactive) addr=127.0.0.1:13431 last_status=NONE last_hdshk=<NEVER>
        reconnect=<NEVER> heartbeat=<NEVER> confirm=0 tx_hbt=0 rx_hbt=0 no_hbt=0 new_conn=0 proto_err=0 coll=0
        shared tables:
              table:0x7f id=web update=9 localupdate=8 commitupdate=0 refcnt=1

";

#[test]
fn peers_have_a_state_and_tables_their_updates() {
    assert_eq!(
        read("_peers", PEERS),
        [
            "Table web  update 9",
            "Table web  localupdate 8",
            "Peer mesh there connected 1",
            "Peer mesh there status 3",
            "Peer mesh there last_hdshk 62",
            "Peer mesh there tx_hbt 1",
            "Peer mesh there rx_hbt 2",
            "Peer mesh there no_hbt 0",
            "Peer mesh there new_conn 3",
            "Peer mesh there proto_err 4",
            "Peer mesh there coll 0",
            "Peers mesh  resync 1",
            "Peers mesh  disabled 0"
        ]
    );
}

#[test]
fn processes_are_combined_by_the_rule_of_each_figure() {
    let mut facts = Facts::default();
    for text in ["# table: a, type: ip, size:100, used:90\n\n", "# table: a, type: ip, size:100, used:10\n\n"] {
        facts.read(question("_tables"), text, 0);
    }
    facts.build("Version: 3.4.7\nnode: lb\ndescription: my lab\n");
    facts.build("Version: 3.4.7\nnode: lb\n");
    assert_eq!(
        lines(&facts),
        [
            "Table a  size 200",
            "Table a  used 100",
            "Table a  fill_pct 90",
            "Build 3.4.7  processes 2",
            "Node lb  processes 2",
            "Description my lab  processes 1"
        ]
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in "(?s).{0,300}", lines in prop::collection::vec("[ -~\t]{0,80}", 0..10)) {
        let text = format!("{text}\n{}", lines.join("\n"));
        for question in QUESTIONS {
            let mut facts = Facts::default();
            facts.read(question, &text, u64::MAX);
            facts.read(question, &format!("{}{text}", question.begins), 0);
            prop_assert!(facts.combined().count() < 1000);
        }
    }
}
