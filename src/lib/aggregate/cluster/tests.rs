use super::*;
use crate::aggregate::group::group;
use crate::haproxy::per_kind::PerKind;
use crate::parse::stat::Stats;
use std::sync::Arc;

const HEADER: &str = "# pxname,svname,type,scur,stot,smax,rate,rtime,act,lastsess,downtime,\n";

fn cluster(header: &str, hosts: &[&str], names: &[&str]) -> (Cluster, Arc<PerKind<KindPlan>>) {
    let mut config = crate::testing::config().process;
    let names = crate::config::Selection::List(names.iter().map(ToString::to_string).collect());
    (config.backend_metrics, config.exact_selection) = (names, true);
    let plans = Arc::new(PerKind::new(|kind| KindPlan::new(kind, &config).and_beyond()));
    let mut cluster = Cluster::new(&plans);
    for host in hosts {
        let mut stats = Stats::new(Arc::clone(&plans), false);
        stats.read(format!("{header}{host}").as_bytes(), |_, _| {}).unwrap();
        for kind in Kind::ALL {
            let collected = &mut stats.collected;
            let groups = group(&plans[kind], &mut collected.tables[kind]).unwrap();
            cluster.add(kind, &groups, &collected.names, &collected.servers);
        }
    }
    (cluster, plans)
}

fn values(hosts: &[&str], names: &[&str]) -> Vec<Option<Value>> {
    values_of(HEADER, hosts, names)
}

fn values_of(header: &str, hosts: &[&str], names: &[&str]) -> Vec<Option<Value>> {
    let (cluster, plans) = cluster(header, hosts, names);
    let groups = cluster.groups(Kind::Backend);
    assert_eq!(groups.objects.keys.len(), 1);
    plans[Kind::Backend].send.iter().map(|index| groups.objects.values(*index).unwrap().get(0)).collect()
}

#[test]
fn each_nature_has_its_way() {
    let hosts = ["b.1,BACKEND,1,5,100,9,10,20,2,30,7,\n", "b.1,BACKEND,1,7,200,8,30,40,4,10,9,\n"];
    let found = values(&hosts, &["scur", "stot", "smax", "rtime", "act", "lastsess", "downtime"]);
    let expected = [
        Value::Int(12),
        Value::Int(300),
        Value::Int(9),
        Value::Float(5.0 / 3.0 * 20.0),
        Value::Float(3.0),
        Value::Int(10),
        Value::Int(16),
    ];
    assert_eq!(found, expected.map(Some));
}

#[test]
fn hosts_weigh_what_their_requests_do() {
    let hosts = ["b,BACKEND,1,0,10,1,9,20,2,,,\n", "b,BACKEND,1,0,5000,1,0,40,2,,,\n", "b,BACKEND,1,0,0,0,5,90,2,,,\n"];
    let weighted = (10.0 * 20.0 + 1024.0 * 40.0) / 1034.0;
    assert_eq!(values(&hosts, &["rtime"]), [Some(Value::Float(weighted))], "the rate of this second does not matter");
    assert_eq!(values(&hosts[2..], &["rtime"]), [None], "without any traffic there is no average");
}

#[test]
fn a_sum_of_which_a_part_is_not_known_is_not_sent() {
    const HEADER: &str = "# pxname,svname,type,mode,scur,stot,wrew,\n";
    let hosts = ["b,BACKEND,1,http,5,100,1,\n", "b,BACKEND,1,http,7,,,\n"];
    let found = values_of(HEADER, &hosts, &["scur", "stot", "wrew"]);
    assert_eq!(found, [Some(Value::Int(12)), None, None]);
}

#[test]
fn daemons_are_summed_their_maxima_not_and_percentages_are_means() {
    let (mut cluster, _) = cluster(HEADER, &[], &["scur"]);
    for (conns, most, idle) in [(5, 9, 80.0), (7, 4, 60.0)] {
        let figures = [
            ("CurrConns", Some(Value::Int(conns))),
            ("MaxConnRate", Some(Value::Int(most))),
            ("Idle_pct", Some(Value::Float(idle))),
            ("ConnPercentage", Some(Value::Int(conns))),
        ];
        cluster.add_daemon(&Overall { figures: figures.to_vec(), unknown: Vec::new() });
    }
    let found: Vec<_> = cluster.daemon().into_iter().map(|(name, value)| (name, value.unwrap())).collect();
    let expected = [
        ("CurrConns", Value::Int(12)),
        ("MaxConnRate", Value::Int(9)),
        ("Idle_pct", Value::Float(70.0)),
        ("ConnPercentage", Value::Float(6.0)),
    ];
    assert_eq!(found, expected);
}
