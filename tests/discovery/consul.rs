//! Consul as the source.

use super::consul_double::{Consul, entry};
use super::program::{Site, slots, wait_for};
use super::store::{config, local};
use haproxystats::discovery::hint::Hint;
use haproxystats::discovery::source::{Life, Listing, Source, SourceError, open};
use std::time::{Duration, Instant};

const PLAIN: &str = r#""Address":"","Port":80,"Weights":{"Passing":1,"Warning":1}"#;

fn source(consul: &Consul, more: &str) -> Box<dyn Source> {
    let text = format!(
        "[discovery-server]\nmode = consul\nconsul-api-url = {}\nconsul-service-name = web, api\n{more}",
        consul.url()
    );
    local(open(&config(&text))).unwrap().unwrap()
}

fn list(source: &mut dyn Source) -> Result<Listing, SourceError> {
    local(source.list(None))
}

#[test]
fn health_address_port_and_weights_are_those_of_the_service() {
    let consul = Consul::start();
    consul.register(
        "web",
        &[
            entry(
                "n1",
                "10.0.0.1",
                r#""Address":"10.1.0.1","Port":8080,"Weights":{"Passing":2,"Warning":1}"#,
                &["passing", "x=passing"],
            ),
            entry("n2", "10.0.0.2", PLAIN, &["passing", "x=critical"]),
            entry("n3", "10.0.0.3", r#""Address":"","Port":0,"Weights":{"Passing":3,"Warning":1}"#, &["warning"]),
            entry("n4", "10.0.0.4", PLAIN, &["_service_maintenance:web=critical"]),
            entry("n5", "localhost", PLAIN, &["passing"]),
            entry("n6", "no.such.host.invalid", PLAIN, &["passing"]),
            entry("n7", "", PLAIN, &["passing"]),
            entry("n8", "10.1", PLAIN, &["passing"]),
            entry("n9", "", PLAIN, &["critical"]),
        ],
    );
    consul.register("api", &[entry("n1", "10.0.0.1", r#""Address":"2001:db8::1","Port":81"#, &["passing"])]);
    let listing = list(&mut *source(&consul, "")).unwrap();
    let shown: Vec<String> = listing
        .instances
        .iter()
        .map(|one| {
            let address = one.addresses.first().map_or_else(|| "-".to_owned(), ToString::to_string);
            format!(
                "{} {} {address} {:?} {} {:?} {} {}",
                one.id, one.group, one.port, one.healthy, one.life, one.hint, one.zone
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "n1/web web 10.1.0.1 Some(8080) true InService 100 dc1",
            "n2/web web 10.0.0.2 Some(80) false InService 50 dc1",
            "n3/web web 10.0.0.3 None true InService 50 dc1",
            "n4/web web 10.0.0.4 Some(80) false Leaving 50 dc1",
            "n5/web web 127.0.0.1 Some(80) true InService 50 dc1",
            "n1/web api 2001:db8::1 Some(81) true InService 100 dc1",
        ]
    );
    let unusable: Vec<_> =
        listing.unusable.iter().map(|one| (one.instance.as_str(), one.group.as_str(), one.unsure)).collect();
    assert_eq!(unusable, [("n6/web", "web", true), ("n7/web", "web", false), ("n8/web", "web", false)]);
    assert!(listing.unusable[0].reason.starts_with("no.such.host.invalid cannot be resolved: "), "{listing:?}");
    assert_eq!(listing.unusable[1].reason, "neither it nor its node has an address");
    assert_eq!(listing.unusable[2].reason, "\"10.1\" is neither an address nor a host name");
    let strict = list(&mut *source(&consul, "consul-warning = no\n")).unwrap();
    assert!(!strict.instances[2].healthy && strict.instances[0].life == Life::InService);
}

#[test]
fn tags_datacenter_and_token_are_sent() {
    let consul = Consul::start();
    consul.change(|state| state.token = Some("geheim".to_owned()));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "falsch\n").unwrap();
    let more = format!(
        "consul-tags = a b, c\nconsul-datacenter = dc2\nallow-empty = true\nconsul-token-file = {}\n",
        path.display()
    );
    let mut source = source(&consul, &more);
    let error = list(&mut *source).unwrap_err();
    assert!(matches!(&error, SourceError::Refused(refused) if refused.status == 403), "{error:?}");
    // A token that is exchanged is used from then on.
    std::fs::write(&path, "geheim\n").unwrap();
    list(&mut *source).unwrap();
    let requests = consul.requests();
    assert!(requests.contains(&"GET /v1/health/service/web?&tag=a%20b&tag=c&dc=dc2".to_owned()), "{requests:?}");
}

#[test]
fn what_may_lack_servers_is_an_error_and_no_empty_list() {
    let consul = Consul::start();
    consul.register("web", &[entry("n1", "10.0.0.1", PLAIN, &["passing"])]);
    consul.register("api", &[entry("n1", "10.0.0.1", PLAIN, &["passing"])]);
    let mut source = source(&consul, "");
    assert_eq!(list(&mut *source).unwrap().instances.len(), 2);
    consul.change(|state| state.filtered = true);
    assert!(list(&mut *source).unwrap_err().to_string().contains("token"));
    consul.change(|state| (state.filtered, state.leaderless) = (false, true));
    assert!(list(&mut *source).unwrap_err().to_string().contains("500: No cluster leader"));
    consul.change(|state| (state.leaderless, state.stale) = (false, true));
    assert!(list(&mut *source).unwrap_err().to_string().contains("no leader"));
    consul.change(|state| {
        state.stale = false;
        state.services.insert("web".to_owned(), "[{".to_owned());
    });
    // One service's fault is that service's.
    let listing = list(&mut *source).unwrap();
    assert_eq!((listing.instances.len(), listing.failed[0].group.as_str()), (1, "web"));
    assert!(listing.failed[0].reason.contains("cannot parse"), "{listing:?}");
}

#[test]
fn a_service_that_consul_does_not_know_has_failed_unless_it_may_be_empty() {
    let consul = Consul::start();
    let critical = entry("n1", "10.0.0.1", PLAIN, &["critical"]);
    consul.register("web", std::slice::from_ref(&critical));
    let mut plain = source(&consul, "");
    let listing = list(&mut *plain).unwrap();
    assert_eq!((listing.instances.len(), listing.failed.len()), (1, 1), "who is critical is listed: {listing:?}");
    assert_eq!(listing.failed[0].group, "api");
    assert_eq!(listing.failed[0].reason, "api has no servers: Consul has no such service");
    // The last one was deregistered, and Consul forgets the name.
    consul.change(|state| state.services.clear());
    let error = list(&mut *plain).unwrap_err().to_string();
    assert_eq!(error, "web has no servers: Consul has no such service");
    assert!(list(&mut *plain).is_err(), "the second time, too");
    let error = list(&mut *source(&consul, "consul-tags = live\n")).unwrap_err().to_string();
    assert_eq!(error, "web has no servers: Consul has no instance with these tags, or no such service at all");
    let mut allowed = source(&consul, "allow-empty = true\n");
    let listing = list(&mut *allowed).unwrap();
    assert_eq!((listing.instances.as_slice(), listing.failed.as_slice()), ([].as_slice(), [].as_slice()));
}

#[test]
fn while_a_service_is_unknown_changes_of_the_others_are_waited_for() {
    let consul = Consul::start();
    consul.register("web", &[entry("n1", "10.0.0.1", PLAIN, &["passing"])]);
    let mut source = source(&consul, "");
    let wait = |source: &mut dyn Source, ms| local(source.list(Some(Duration::from_millis(ms)))).unwrap();
    wait(&mut *source, 5000);
    let started = Instant::now();
    let listing = wait(&mut *source, 300);
    assert!(started.elapsed() >= Duration::from_millis(290), "it waits although the service is unknown");
    assert_eq!((listing.instances.len(), listing.failed.len()), (1, 1));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            consul.register("api", &[entry("n2", "10.0.0.2", PLAIN, &["passing"])]);
        });
        let found = (0..3).any(|_| wait(&mut *source, 10_000).failed.is_empty());
        assert!(found, "{:?}", consul.requests());
    });
}

#[test]
fn a_query_waits_for_a_change_and_begins_anew_when_the_index_goes_backwards() {
    let consul = Consul::start();
    consul.register("web", &[entry("n1", "10.0.0.1", PLAIN, &["passing"])]);
    let mut source = source(&consul, "allow-empty = true\n");
    let wait = |source: &mut dyn Source, ms| local(source.list(Some(Duration::from_millis(ms))));
    let started = Instant::now();
    wait(&mut *source, 5000).unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "the first answer comes at once");
    let started = Instant::now();
    assert_eq!(wait(&mut *source, 300).unwrap().instances.len(), 1);
    assert!(started.elapsed() >= Duration::from_millis(290));
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            consul.register("web", &[entry("n2", "10.0.0.2", PLAIN, &["passing"])]);
        });
        // Consul may answer early, with nothing changed; but not again and again.
        let found = (0..3).any(|_| wait(&mut *source, 10_000).unwrap().instances[0].name == "n2");
        assert!(found, "{:?}", consul.requests());
    });
    assert!(started.elapsed() < Duration::from_secs(10), "the change ends the query");
    // A restored snapshot: the index is lower than before.
    consul.change(|state| state.index = 3);
    wait(&mut *source, 5000).unwrap();
    consul.change(|state| state.index = 0);
    wait(&mut *source, 5000).unwrap();
    wait(&mut *source, 100).unwrap();
    assert!(!consul.requests().iter().any(|request| request.contains("index=0&")), "{:?}", consul.requests());
}

#[test]
fn consul_alone_is_source_and_store_and_an_outage_changes_nothing() {
    let consul = Consul::start();
    let node = |n: u8| entry(&format!("n{n}"), &format!("10.0.0.{n}"), PLAIN, &["passing"]);
    consul.register("web", &[node(1), node(2)]);
    let site = Site::new(&format!(
        "[discovery]\nstore = consul\nstore-url = {0}\n[discovery-server]\nmode = consul\nconsul-api-url = {0}\n\
         consul-service-name = web\nremoval-confirmations = 2\nhold-obsolete = 0\nhaproxy-backend-server-increase-weight-interval = 0\n",
        consul.url()
    ));
    let server = site.start("log", &["--server"]);
    let config = config(&format!("[discovery]\nstore = consul\nstore-url = {}\n", consul.url()));
    let read = || {
        local(async {
            let store = haproxystats::discovery::store::open(&config).await.unwrap();
            store.load().await.ok().and_then(|stored| stored.document).map_or_else(String::new, |list| slots(&list))
        })
    };
    wait_for("the list is there", || read().starts_with("n1/web n2/web -"));
    wait_for("nothing is asked while nothing changes", || {
        let before = consul.requests().len();
        std::thread::sleep(Duration::from_millis(1000));
        consul.requests().len() - before < 4
    });
    consul.register("web", &[node(1), node(2), node(3)]);
    wait_for("a new server has a slot", || read().starts_with("n1/web n2/web n3/web"));
    consul.change(|state| state.leaderless = true);
    wait_for("it tells of the outage", || server.log().contains("No cluster leader"));
    consul.change(|state| state.leaderless = false);
    wait_for("it goes on", || server.log().contains("answers again"));
    assert!(read().starts_with("n1/web n2/web n3/web"), "{}", read());
    consul.register("web", &[node(1), node(3)]);
    wait_for("a server that is gone is drained", || read().starts_with("n1/web ~n2/web n3/web"));
    server.stop();
}

#[test]
fn the_weights_of_a_service_are_parts_of_the_largest() {
    let consul = Consul::start();
    let node = |n: u8, weight: u32| {
        let service = format!(r#""Address":"","Port":80,"Weights":{{"Passing":{weight},"Warning":1}}"#);
        entry(&format!("n{n}"), &format!("10.0.0.{n}"), &service, &["passing"])
    };
    consul.register("web", &[node(1, 100), node(2, 50), node(3, 1)]);
    let hints: Vec<Hint> =
        list(&mut *source(&consul, "")).unwrap().instances.into_iter().map(|instance| instance.hint).collect();
    assert_eq!(hints.iter().map(|hint| hint.of(10)).collect::<Vec<_>>(), [10, 5, 1]);
    assert_eq!(hints.iter().map(|hint| hint.of(256)).collect::<Vec<_>>(), [256, 128, 3]);
}

/// The whole way, with all defaults but the times: nobody leaves, however long the source says that there is nobody.
#[test]
fn a_service_that_vanishes_from_consul_takes_no_server_away() {
    let consul = Consul::start();
    let node = |n: u8| entry(&format!("n{n}"), &format!("10.0.0.{n}"), PLAIN, &["passing"]);
    for (service, numbers) in [("web", [1, 2]), ("api", [3, 4])] {
        consul.register(service, &numbers.map(node));
    }
    let start = |more: &str| {
        let site = Site::new(&format!(
            "[discovery-server]\nmode = consul\nconsul-api-url = {}\nconsul-service-name = web, api\n{more}\
             removal-confirmations = 2\nhold-obsolete = 0.2\nremoval-hold = 1\nremoval-floor = 0\ndrain-time = 0.2\n\
             haproxy-backend-server-increase-weight-interval = 0\n",
            consul.url()
        ));
        let server = site.start("log", &["--server"]);
        wait_for("the list is there", || site.slots().starts_with("n1/web n2/web n3/web n4/web -"));
        (site, server)
    };
    let (guarded, server) = start("");
    let (believing, other) = start("allow-empty = true\n");
    consul.change(|state| drop(state.services.remove("web")));
    wait_for("it is told", || {
        server.log().contains("group web could not be listed: web has no servers: Consul has no such service")
    });
    // That is how long removal-hold keeps those who are believed to be gone.
    wait_for("where it is believed, they leave", || believing.slots().starts_with("- - n3/web n4/web"));
    assert!(guarded.slots().starts_with("n1/web n2/web n3/web n4/web -"), "{}", guarded.slots());
    consul.register("web", &[node(2)]);
    wait_for("it is over", || server.log().contains("no longer: group web"));
    wait_for("who is gone leaves", || guarded.slots().starts_with("- n2/web n3/web n4/web"));
    server.stop();
    other.stop();
}

#[test]
fn a_service_that_cannot_be_listed_loses_no_server_and_holds_up_no_other() {
    let consul = Consul::start();
    let node = |n: u8| entry(&format!("n{n}"), &format!("10.0.0.{n}"), PLAIN, &["passing"]);
    consul.register("web", &[node(1), node(2)]);
    consul.register("api", &[node(3)]);
    let site = Site::new(&format!(
        "[discovery-server]\nmode = consul\nconsul-api-url = {}\nconsul-service-name = web, api\n\
         removal-confirmations = 1\nhold-obsolete = 0\nremoval-ratio = 1\nremoval-floor = 0\n\
         haproxy-backend-server-increase-weight-interval = 0\n",
        consul.url()
    ));
    let server = site.start("log", &["--server"]);
    let read = || site.slots();
    wait_for("the list is there", || read().starts_with("n1/web n2/web n3/web -"));
    consul.change(|state| drop(state.services.insert("web".to_owned(), "[{".to_owned())));
    wait_for("it is told", || server.log().contains("group web could not be listed"));
    consul.register("api", &[node(3), node(4)]);
    wait_for("the other service goes on", || read().starts_with("n1/web n2/web n3/web n4/web"));
    consul.register("web", &[node(2)]);
    wait_for("it is over", || server.log().contains("no longer: group web"));
    wait_for("who is gone leaves", || read().starts_with("~n1/web n2/web n3/web n4/web"));
    server.stop();
}
