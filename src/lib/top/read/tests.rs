use super::*;
use crate::top::testing::{RowText, info, stat, tick};

#[test]
fn files_of_a_snapshot_become_processes() {
    let rows = stat(&[RowText::frontend("www").set("stot", 5), RowText::server("web", "s1", "UP").set("rtime", 12)]);
    let sni = "# Certificate Name\tFilename\tNotAfter\nx\t/etc/x.pem\tNov 30 08:00:52 2026 GMT\n";
    let tick = tick(
        1_796_025_600,
        &[
            ("a.sock_info", info(7, 3)),
            ("a.sock_stat", rows.clone()),
            ("b.sock_info", info(8, 1)),
            ("b.sock_stat", rows.clone()),
            ("b.sock_tables", "no matter\n".to_owned()),
            ("m.sock@9_oldinfo", info(9, 2)),
            ("m.sock@9_oldstat", rows),
            ("a.sock_certificates", sni.to_owned()),
            (".pull", "Ticks 3\n".to_owned()),
        ],
    );
    let of = |process: &Process| (process.socket.clone(), process.host.to_string(), process.part, process.rows.len());
    let expected = [
        ("a.sock".to_owned(), "lb-01".to_owned(), Part::Live, 2),
        ("b.sock".to_owned(), "lb-02".to_owned(), Part::Live, 2),
        ("m.sock@9".to_owned(), "lb-01".to_owned(), Part::Leaving, 2),
    ];
    assert_eq!(tick.processes.iter().map(of).collect::<Vec<_>>(), expected);
    assert_eq!((tick.sockets, tick.refused), (2, 0));
    assert_eq!((tick.processes[0].pid, tick.processes[0].figure("CurrConns")), (Some(7), Some(3.0)));
    let known: Vec<_> = tick.certificates.iter().map(|one| (&*one.host, one.file.as_str(), one.end)).collect();
    assert_eq!(known, [("lb-01", "etc/x.pem", 1_796_025_652)]);
}

#[test]
fn an_archived_snapshot_is_of_the_host_that_it_names() {
    let files =
        [(".origin", "host lb-77\n".to_owned()), ("a.sock_info", info(7, 3)), ("a.sock_stat", "broken".to_owned())];
    let tick = tick(1, &files);
    assert_eq!((&*tick.processes[0].host, tick.refused), ("lb-77", 1));
}

#[test]
fn a_process_is_known_again() {
    let of = |pid, started: Option<u64>, uptime| {
        let mut tick = tick(1, &[("a.sock_info", info(pid, 0))]);
        let mut process = tick.processes.remove(0);
        (process.started, process.uptime) = (started, Some(uptime));
        process
    };
    assert!(of(7, Some(5), 20).is_later_of(&of(7, Some(5), 10)));
    assert!(!of(7, Some(6), 20).is_later_of(&of(7, Some(5), 10)));
    assert!(!of(8, Some(5), 20).is_later_of(&of(7, Some(5), 10)));
    assert!(of(7, None, 20).is_later_of(&of(7, None, 10)) && !of(7, None, 3).is_later_of(&of(7, None, 10)));
}
