//! What every store promises, held against each of them; and HSDO's table.

use super::consul_double::Consul;
use super::etcd::Etcd;
use super::moto::Moto;
use super::program::{Site, slots, wait_for};
use crate::harness::test_name;
use haproxystats::config::{Discovery, Program, load};
use haproxystats::discovery::document::Document;
use haproxystats::discovery::store::{Lease, Store, StoreError, Stored, open};
use std::rc::Rc;
use std::time::{Duration, Instant};

pub fn config(text: &str) -> Discovery {
    load::from_text(Program::Discovery, text, "test").unwrap().config.discovery
}

/// Runs on one thread, as the program does.
pub fn local<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

fn document(by: &str, version: u64) -> Document {
    let ramp = config("").server.plan.ramp;
    Document { by: by.to_owned(), version, ..Document::empty(3, ramp) }
}

/// What every store promises to two servers. `least` is the shortest lease that it gives, in seconds; `real` says
/// whether it ends leases by itself, so that the test can wait for it.
pub async fn contract(a: Rc<dyn Store>, b: Rc<dyn Store>, least: u64, expires: bool) {
    // The document.
    let Stored { document: none, revision: nothing } = a.load().await.unwrap();
    assert!(none.is_none());
    let first = document("a", 1);
    let one = a.compare_and_set(&first, &nothing).await.unwrap();
    assert!(matches!(b.compare_and_set(&document("b", 1), &nothing).await, Err(StoreError::Conflict)), "it exists");
    let read = b.load().await.unwrap();
    assert_eq!((read.document.as_ref(), &read.revision), (Some(&first), &one));
    let two = b.compare_and_set(&document("b", 2), &one).await.unwrap();
    assert!(matches!(a.compare_and_set(&document("a", 2), &one).await, Err(StoreError::Conflict)), "it is old");
    assert_eq!(a.load().await.unwrap().revision, two);

    // A watch ends soon after a change, and with its time without one.
    let started = Instant::now();
    a.watch(&two, Duration::from_millis(300)).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(20));
    let (watched, written) = tokio::join!(a.watch(&two, Duration::from_secs(3)), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        b.compare_and_set(&document("b", 3), &two).await
    });
    watched.unwrap();
    let mut revision = written.unwrap();
    assert_eq!(a.load().await.unwrap().revision, revision);

    // Two that read, count up and write lose nothing.
    let count = |store: Rc<dyn Store>, name: &'static str| async move {
        let mut written = 0;
        while written < 10 {
            let Stored { document: present, revision } = store.load().await.unwrap();
            let version = present.unwrap().version + 1;
            match store.compare_and_set(&document(name, version), &revision).await {
                Ok(_) => written += 1,
                Err(StoreError::Conflict) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    tokio::join!(count(Rc::clone(&a), "a"), count(Rc::clone(&b), "b"));
    let last = a.load().await.unwrap();
    assert_eq!(last.document.unwrap().version, 23);
    revision.clone_from(&last.revision);
    assert!(matches!(a.compare_and_set(&document("a", 9), &nothing).await, Err(StoreError::Conflict)));

    // The lease.
    let time = Duration::from_secs(least.max(60));
    assert_eq!(a.lease("a", time).await.unwrap(), Lease::Ours);
    assert_eq!(a.lease("a", time).await.unwrap(), Lease::Ours, "renewed");
    assert_eq!(b.lease("b", time).await.unwrap(), Lease::Theirs("a".to_owned()));
    b.release("b").await.unwrap();
    assert_eq!(b.lease("b", time).await.unwrap(), Lease::Theirs("a".to_owned()), "nobody gives back what is another's");
    a.release("a").await.unwrap();
    let started = Instant::now();
    assert_eq!(b.lease("b", Duration::from_secs(least)).await.unwrap(), Lease::Ours);
    if expires {
        while a.lease("a", time).await.unwrap() != Lease::Ours {
            assert!(started.elapsed() < Duration::from_secs(60), "the lease of a server that is gone ends");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(started.elapsed() >= Duration::from_millis(500), "it does not end at once");
        assert_eq!(b.lease("b", time).await.unwrap(), Lease::Theirs("a".to_owned()));
    }
}

#[test]
fn a_file_keeps_the_list() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&format!("[discovery]\nstate-dir = {}/a/b\n", directory.path().display()));
    local(async {
        let (a, b) = (open(&config).await.unwrap(), open(&config).await.unwrap());
        contract(a, b, 1, true).await;
    });
    let names: Vec<_> =
        std::fs::read_dir(directory.path().join("a/b")).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{names:?}");
}

#[test]
fn etcd_keeps_the_list() {
    let Some(etcd) = Etcd::start() else { return };
    let config = config(&format!("[discovery]\nstore = etcd\nstore-url = http://127.0.0.1:1,{}\n", etcd.url()));
    local(async {
        let (a, b) = (open(&config).await.unwrap(), open(&config).await.unwrap());
        contract(a, b, 2, true).await;
    });
}

#[test]
fn a_consul_without_transactions_is_told_as_such() {
    let consul = Consul::start();
    consul.change(|state| state.no_transactions = true);
    let config = config(&format!("[discovery]\nstore = consul\nstore-url = {}\n", consul.url()));
    local(async {
        let store = open(&config).await.unwrap();
        let Stored { revision, .. } = store.load().await.unwrap();
        let error = store.compare_and_set(&document("a", 1), &revision).await.unwrap_err();
        assert_eq!(error.to_string(), "PUT /v1/txn was answered with 404: no such page");
    });
}

#[test]
fn consul_keeps_the_list() {
    let consul = Consul::start();
    let config = config(&format!("[discovery]\nstore = consul\nstore-url = {}\n", consul.url()));
    local(async {
        let (a, b) = (open(&config).await.unwrap(), open(&config).await.unwrap());
        contract(a, b, 10, false).await;
    });
    // Its session ends: the next that asks is given the lease.
    local(async {
        let b = open(&config).await.unwrap();
        assert_eq!(b.lease("c", Duration::from_secs(10)).await.unwrap(), Lease::Theirs("b".to_owned()));
        consul.end_sessions();
        assert_eq!(b.lease("c", Duration::from_secs(10)).await.unwrap(), Lease::Ours);
    });
}

const TABLE: &str = "
def table(name):
    db.create_table(TableName=name, BillingMode='PAY_PER_REQUEST', KeySchema=[dict(AttributeName='BackendServerID', KeyType='HASH')],
        AttributeDefinitions=[dict(AttributeName='BackendServerID', AttributeType='N')])
    return boto3.resource('dynamodb').Table(name)
";

#[test]
fn dynamodb_keeps_the_list() {
    let Some(moto) = Moto::get() else { return };
    moto.python(&format!("{TABLE}\ntable('contract')"));
    // The credentials are in the environment: of a process of its own, since other tests read theirs meanwhile.
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", &test_name(module_path!(), "dynamodb_as_a_child"), "--ignored"]).envs(moto.environment());
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "a part of dynamodb_keeps_the_list"]
fn dynamodb_as_a_child() {
    let config = config("[discovery]\ndynamodb-table-name = contract\n");
    local(async {
        let (a, b) = (open(&config).await.unwrap(), open(&config).await.unwrap());
        contract(a, b, 1, true).await;
    });
}

/// HSDO 's way to write its rows, in the words of the table's layout.
const ROWS: &str = "
def row(t, id, ip='none', name='none', asg='none', weight=0, status='disabled', at='0-0-0 00:00:00.000000'):
    t.put_item(Item={'BackendServerID': id, 'IPAddress': ip, 'ASG': asg, 'ServerName': name, 'Weight': weight,
        'BackendServerStatus': status, 'LastWeightUpdate': at})
def enabled(t, id, n, weight):
    row(t, id, '10.0.0.%d' % n, 'i-%d' % n, 'asg-a', weight, 'enabled', '2023-06-01 12:00:00.123456')
";

fn takes_over(name: &str, servers: &str) -> Option<(&'static Moto, Site)> {
    let moto = Moto::get()?;
    let mut site = Site::new(&format!(
        "[discovery]\ndynamodb-table-name = {name}\nhaproxy-backend-servers-list-size = 5\n\
         [discovery-server]\nmode = file\nsource-file = @/servers\nremoval-confirmations = 1\nhold-obsolete = 0\ndrain-time = 0\n"
    ));
    site.environment = moto.environment();
    site.write("servers", servers);
    Some((moto, site))
}

#[test]
fn the_table_of_the_seed_is_taken_over_and_still_serves_its_clients() {
    let servers = "10.0.0.1 id=i-1 group=asg-a\n10.0.0.2 id=i-2 group=asg-a\n10.0.0.3 id=i-3 group=asg-b\n";
    let Some((moto, site)) = takes_over("seed", servers) else { return };
    moto.python(&format!(
        "{TABLE}{ROWS}\nt = table('seed')\nfor i in (1, 3, 4, 5): row(t, i)\nenabled(t, 2, 1, 10)\nenabled(t, 4, 2, 4)"
    ));
    // Before anything is written: slots and weights are those of the rows.
    let plan = site.good(&["--server", "--dry-run"]);
    assert!(plan.contains("  2 i-1 10.0.0.1 group asg-a weight 10 active"), "{plan}");
    assert!(plan.contains("  4 i-2 10.0.0.2 group asg-a weight 4 active"), "{plan}");
    assert!(plan.contains("slot 1: i-3 added"), "{plan}");
    let rows = "import json\nt = boto3.resource('dynamodb').Table('seed')\n\
        print(' '.join('%d:%s:%s:%s:%d:%s' % (i['BackendServerID'], i['IPAddress'], i['ServerName'], i['ASG'], i['Weight'], i['BackendServerStatus'])\n\
        for i in sorted(t.scan()['Items'], key=lambda i: i['BackendServerID'])))";
    assert!(moto.python(rows).starts_with("1:none:none:none:0:disabled 2:10.0.0.1:"), "a dry run writes nothing");

    site.good(&["--server", "--once"]);
    assert_eq!(
        moto.python(rows),
        "0:none:none:none:0:disabled 1:10.0.0.3:i-3:asg-b:1:enabled 2:10.0.0.1:i-1:asg-a:10:enabled \
         3:none:none:none:0:disabled 4:10.0.0.2:i-2:asg-a:4:enabled 5:none:none:none:0:disabled",
        "each row has all columns that clients of the seed read"
    );
    // The list goes on, and the rows follow it.
    site.write("servers", "10.0.0.1 id=i-1 group=asg-a\n10.0.0.3 id=i-3 group=asg-b\n");
    site.good(&["--server", "--once"]);
    site.good(&["--server", "--once"]);
    assert!(moto.python(rows).contains(" 4:none:none:none:0:disabled "), "{}", moto.python(rows));
}

#[test]
fn a_table_of_more_than_one_page_is_read_to_its_end() {
    let Some((moto, mut_site)) = takes_over("pages", "10.0.0.1 id=i-1\n") else { return };
    let mut site = mut_site;
    // A page has a megabyte: rows of HSDO with a long column beside.
    moto.python(&format!(
        "{TABLE}{ROWS}\nt = table('pages')\nwith t.batch_writer() as b:\n    for i in range(1, 41):\n        \
         b.put_item(Item={{'BackendServerID': i, 'IPAddress': 'none', 'ServerName': 'none', 'ASG': 'none', 'Weight': 0, \
         'BackendServerStatus': 'disabled', 'LastWeightUpdate': 'x' * 50000}})\nenabled(t, 40, 1, 7)\n\
         assert 'LastEvaluatedKey' in t.scan()"
    ));
    site.environment.push(("HAPROXY_BACKEND_SERVERS_LIST_SIZE".to_owned(), "40".to_owned()));
    let plan = site.good(&["--server", "--dry-run"]);
    assert!(plan.contains("  40 i-1 10.0.0.1 group - weight 7 active"), "{plan}");
}

#[test]
fn a_table_with_holes_and_too_many_rows_is_put_in_order() {
    let servers = "10.0.0.1 id=i-1 group=asg-a\n10.0.0.2 id=i-2 group=asg-a\n";
    let Some((moto, site)) = takes_over("holes", servers) else { return };
    // Rows 2 and 3 are missing, and row 8 is beyond the list.
    moto.python(&format!(
        "{TABLE}{ROWS}\nt = table('holes')\nenabled(t, 1, 1, 10)\nrow(t, 4)\nrow(t, 5)\nenabled(t, 8, 2, 10)\nrow(t, 9)"
    ));
    site.good(&["--server", "--once"]);
    let ids = "print(sorted(int(i['BackendServerID']['N']) for i in db.scan(TableName='holes')['Items']))";
    assert_eq!(moto.python(ids), "[0, 1, 2, 3, 4, 5]");
    let where_is =
        "print(db.get_item(TableName='holes', Key={'BackendServerID': {'N': '2'}})['Item']['ServerName']['S'])";
    assert_eq!(moto.python(where_is), "i-2");
}

#[test]
fn a_missing_table_is_an_error_that_says_so() {
    let Some((_, site)) = takes_over("nowhere", "10.0.0.1\n") else { return };
    let output = site.run(&["--server", "--once"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && text.contains("ResourceNotFoundException"), "{text}");
    let server = site.start("log", &["--server"]);
    wait_for("it tells of the table", || server.log().contains("ResourceNotFoundException"));
    server.stop();
}

#[test]
fn what_is_no_list_or_of_a_later_version_is_not_overwritten() {
    let site = Site::new("[discovery-server]\nmode = file\nsource-file = @/servers\n");
    site.write("servers", "10.0.0.1\n");
    std::fs::create_dir(site.path("state")).unwrap();
    for (text, words) in [
        ("{\"format\": 99}", "format 99"),
        ("rubbish", "does not contain a valid list of servers"),
        ("", "does not contain a valid list of servers"),
    ] {
        site.write("state/list.json", text);
        let output = site.run(&["--server", "--once"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success() && said.contains(words), "{said}");
        assert_eq!(std::fs::read_to_string(site.path("state/list.json")).unwrap(), text);
    }
}

#[test]
fn etcd_serves_two_servers_and_a_client_reads_what_they_wrote() {
    let Some(etcd) = Etcd::start() else { return };
    let text = format!(
        "[discovery]\nstore = etcd\nstore-url = {}\n[discovery-server]\nmode = file\nsource-file = @/servers\n",
        etcd.url()
    );
    let site = Site::new(&text);
    site.write("servers", "10.0.0.1\n10.0.0.2\n");
    let servers = [site.start("one", &["--server"]), site.start("two", &["--server"])];
    let config = config(&format!("[discovery]\nstore = etcd\nstore-url = {}\n", etcd.url()));
    let read = || local(async { open(&config).await.unwrap().load().await.unwrap().document });
    wait_for("the list is there", || read().is_some_and(|list| slots(&list).starts_with("10.0.0.1 10.0.0.2 -")));
    let leads = servers.iter().filter(|server| server.log().contains("this server holds the lease")).count();
    assert_eq!(leads, 1);
}
