use super::*;
use crate::haproxy::columns::Kind;
use crate::haproxy::per_kind::PerKind;
use proptest::prelude::*;

/// Names, type and mode stand where they may: a row is split as far as its kind needs.
const HEADERS: [&str; 4] = [
    "pxname,svname,type,scur,stot,lbtot,req_tot,hrsp_2xx,rtime,throttle,mode,dses,comp_in,addr,eint,",
    "pxname,svname,scur,stot,lbtot,mode,req_tot,hrsp_2xx,rtime,throttle,eint,dses,comp_in,addr,type,",
    "mode,type,svname,pxname,scur,stot,lbtot,req_tot,hrsp_2xx,rtime,throttle,dses,comp_in,addr,",
    "pxname,svname,scur,stot,lbtot,req_tot,hrsp_2xx,rtime,throttle,dses,comp_in,addr,",
];

/// A row of a file with this header: its kind and mode, and whether each figure is blank.
fn row(header: &str, kind: usize, mode: usize, blank: u32, quote: &str) -> String {
    let cells = header.trim_end_matches(',').split(',').enumerate().map(|(place, field)| match field {
        "pxname" => format!("{quote}be{quote}"),
        "svname" => ["FRONTEND", "BACKEND", "s1", "sock-1", "s2", ""][kind].to_owned(),
        "type" => ["0", "1", "2", "3", "7", "2"][kind].to_owned(),
        "mode" => ["http", "tcp", "", "health"][mode].to_owned(),
        "addr" => "10.0.0.1:80".to_owned(),
        _ if blank >> (place % 32) & 1 == 1 => String::new(),
        _ => (place * 7).to_string(),
    });
    cells.map(|cell| cell + ",").collect::<String>() + "\n"
}

/// All that was read of these rows, in words.
fn read(header: &str, rows: &str) -> String {
    let process = crate::testing::config().process;
    let mut stats = Stats::new(Arc::new(PerKind::new(|kind| KindPlan::new(kind, &process))), true);
    stats.clear();
    let mut refused = Vec::new();
    let report = stats.read(format!("# {header}\n{rows}").as_bytes(), |line, reason| refused.push((line, reason)));
    stats.collected.tables.iter_mut().for_each(Table::finish);
    let tables = stats.collected.tables.each(|table| (&table.keys, &table.columns, &table.weights, &table.states));
    format!("{report:?} {refused:?} {tables:?}").replace("), (", "),\n(")
}

proptest! {
    /// A row with a quoted name goes through the reference reader, which finds all cells of all rows.
    #[test]
    fn rows_are_read_as_by_the_reference_reader(
        header in 0..HEADERS.len(),
        rows in proptest::collection::vec((0..6_usize, 0..4_usize, prop_oneof![Just(0), any::<u32>()]), 1..6),
        long in any::<bool>(),
    ) {
        let more = if long { "rate_max,".repeat(40) } else { String::new() };
        let header = format!("{}{more}", HEADERS[header]);
        let all = |quote| {
            rows.iter().map(|(kind, mode, blank)| row(&header, *kind, *mode, *blank, quote)).collect::<String>()
        };
        prop_assert_eq!(read(&header, &all("")), read(&header, &all("\"")));
    }
}

#[test]
fn a_blank_cell_is_a_defect_in_the_mode_that_always_has_it() {
    let header = "pxname,svname,type,stot,hrsp_2xx,scur,addr,mode,";
    for (mode, unknown) in [("http", vec![0]), ("tcp", vec![]), ("", vec![])] {
        let process = crate::testing::config().process;
        let plans = Arc::new(PerKind::new(|kind| KindPlan::new(kind, &process)));
        let place = plans[Kind::Server].fields.iter().position(|field| field.column.name == "hrsp_2xx").unwrap();
        let mut stats = Stats::new(plans, false);
        stats.clear();
        let rows = format!("# {header}\nbe,s1,2,5,,3,10.0.0.1:80,{mode},\nbe,s2,2,5,4,3,,{mode},\n");
        stats.read(rows.as_bytes(), |line, reason| panic!("{line}: {reason}")).unwrap();
        let table = &mut stats.collected.tables[Kind::Server];
        table.finish();
        assert_eq!((table.rows(), &table.columns[place].unknown), (2, &unknown), "{mode:?}");
    }
}

/// Reads a snapshot of this many servers, and takes the columns away as aggregation does.
fn snapshot(stats: &mut Stats, first: usize, servers: usize) {
    stats.clear();
    let mut text = String::from("# pxname,svname,type,scur,\n");
    for server in first..first + servers {
        text.push_str(&format!("be,server-{server},2,1,\n"));
    }
    stats.read(text.as_bytes(), |line, reason| panic!("{line}: {reason}")).unwrap();
    for table in &mut stats.collected.tables {
        table.finish();
        drop(std::mem::take(&mut table.keys));
    }
}

#[test]
fn names_are_kept_while_they_live_and_forgotten_when_most_are_gone() {
    let process = crate::testing::config().process;
    let mut stats = Stats::new(Arc::new(PerKind::new(|kind| KindPlan::new(kind, &process))), false);
    for _ in 0..3 {
        snapshot(&mut stats, 0, 10_000);
    }
    assert_eq!((stats.generation(), stats.collected.servers.len()), (0, 10_000));
    snapshot(&mut stats, 20_000, 10);
    snapshot(&mut stats, 20_000, 10);
    assert_eq!((stats.generation(), stats.collected.servers.len()), (1, 10));
}
