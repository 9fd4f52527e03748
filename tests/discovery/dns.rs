//! DNS as the source, with a name server that says what the test wants.

use super::dns_double::{Answer, serve, serve_as};
use super::store::{config, local};
use haproxystats::discovery::hint::Hint;
use haproxystats::discovery::source::{FailedGroup, Listing, Source, SourceError, Unusable, open};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn source(port: u16, names: &str, kind: &str, timeout: u32) -> Box<dyn Source> {
    let text = format!(
        "[discovery-server]\nmode = dns\ndns-names = {names}\ndns-type = {kind}\ndns-servers = 127.0.0.1:{port}\n\
         source-timeout = {timeout}\n"
    );
    local(open(&config(&text))).unwrap().unwrap()
}

fn list(port: u16, names: &str, kind: &str) -> Result<Listing, SourceError> {
    let mut source = source(port, names, kind, 4);
    local(source.list(None))
}

fn a(last: u8) -> RData {
    RData::A(A::new(10, 0, 0, last))
}

fn shown(listing: &Listing) -> Vec<String> {
    let one = |i: &haproxystats::discovery::source::Instance| {
        format!("{} {} {:?} {} {}", i.id, i.addresses[0], i.port, i.group, i.hint)
    };
    listing.instances.iter().map(one).collect()
}

#[test]
fn addresses_of_both_families_are_servers() {
    let port = serve(vec![
        ("web.example.", a(2)),
        ("web.example.", a(1)),
        ("api.example.", a(3)),
        ("web.example.", RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
    ]);
    let listing = list(port, "web.example, api.example", "a").unwrap();
    assert_eq!(
        shown(&listing),
        [
            "10.0.0.1 10.0.0.1 None web.example 100",
            "10.0.0.2 10.0.0.2 None web.example 100",
            "10.0.0.3 10.0.0.3 None api.example 100",
        ]
    );
    assert_eq!(shown(&list(port, "web.example", "aaaa").unwrap()), ["2001:db8::1 2001:db8::1 None web.example 100"]);
}

#[test]
fn services_have_ports_and_weights_and_only_the_best_priority_counts() {
    let port = serve(vec![
        ("_http._tcp.example.", service(1, 10, 8080, "n1.example.")),
        ("_http._tcp.example.", service(1, 5, 8081, "n2.example.")),
        ("_http._tcp.example.", service(2, 10, 80, "n3.example.")),
        ("n1.example.", a(1)),
        ("n2.example.", a(2)),
        ("n3.example.", a(3)),
    ]);
    let mut services = shown(&list(port, "_http._tcp.example", "srv").unwrap());
    services.sort();
    assert_eq!(
        services,
        [
            "n1.example 10.0.0.1 Some(8080) _http._tcp.example 100",
            "n2.example 10.0.0.2 Some(8081) _http._tcp.example 50",
        ]
    );
}

fn service(priority: u16, weight: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, weight, port, Name::from_ascii(target).unwrap()))
}

const SERVICE: &str = "_web._tcp.svc.test.";

/// Two servers on one host, and one on another.
fn svc_test() -> Vec<(&'static str, RData)> {
    vec![
        (SERVICE, service(1, 10, 21011, "n1.svc.test.")),
        (SERVICE, service(1, 10, 21012, "n1.svc.test.")),
        (SERVICE, service(1, 10, 21013, "n2.svc.test.")),
        ("n1.svc.test.", a(1)),
        ("n2.svc.test.", a(2)),
    ]
}

fn places(listing: &Listing) -> Vec<String> {
    let mut places: Vec<String> =
        listing.instances.iter().map(|one| format!("{}:{}", one.addresses[0], one.port.unwrap_or(0))).collect();
    places.sort();
    places
}

#[test]
fn one_family_of_addresses_is_enough_whatever_becomes_of_the_other() {
    for (word, refused) in [
        ("no data", Answer::Records as fn(Vec<RData>) -> Answer),
        ("NXDOMAIN", |_| Answer::Code(ResponseCode::NXDomain)),
        ("SERVFAIL", |_| Answer::Code(ResponseCode::ServFail)),
        ("NOTIMP", |_| Answer::Code(ResponseCode::NotImp)),
        ("REFUSED", |_| Answer::Code(ResponseCode::Refused)),
        ("nothing", |_| Answer::Nothing),
    ] {
        let port = serve_as(svc_test(), move |_, kind| (kind == RecordType::AAAA).then(|| refused(Vec::new())));
        let listing = list(port, SERVICE, "srv").unwrap();
        assert_eq!(places(&listing), ["10.0.0.1:21011", "10.0.0.1:21012", "10.0.0.2:21013"], "AAAA gives {word}");
        // The other way round: hosts of IPv6 alone.
        let mut zone = svc_test();
        for (name, data) in &mut zone {
            if let RData::A(address) = data {
                let last = u16::from(address.0.octets()[3]);
                *data = RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
                assert!(name.starts_with('n'));
            }
        }
        let port = serve_as(zone, move |_, kind| (kind == RecordType::A).then(|| refused(Vec::new())));
        let listing = list(port, SERVICE, "srv").unwrap();
        assert_eq!(places(&listing), ["2001:db8::1:21011", "2001:db8::1:21012", "2001:db8::2:21013"], "A gives {word}");
        assert_eq!((listing.unusable, listing.failed), (vec![], vec![]));
    }
}

#[test]
fn one_targets_fault_is_that_targets() {
    for (refused, unsure) in [
        (Some(ResponseCode::NXDomain), false),
        (Some(ResponseCode::ServFail), true),
        (Some(ResponseCode::Refused), true),
        (None, true),
    ] {
        let port = serve_as(svc_test(), move |name, _| {
            (name == "n2.svc.test.").then(|| refused.map_or(Answer::Nothing, Answer::Code))
        });
        let listing = list(port, SERVICE, "srv").unwrap();
        assert_eq!(places(&listing), ["10.0.0.1:21011", "10.0.0.1:21012"]);
        let [Unusable { instance, unsure: told, .. }] = listing.unusable.as_slice() else { panic!("{listing:?}") };
        assert_eq!((instance.as_str(), *told), ("n2.svc.test", unsure), "{listing:?}");
        assert_eq!(listing.is_silent_about("n2.svc.test", SERVICE), unsure);
    }
    // All of them at once is the name server's.
    let port = serve_as(svc_test(), |name, _| name.starts_with('n').then_some(Answer::Code(ResponseCode::NXDomain)));
    let error = list(port, SERVICE, "srv").unwrap_err();
    assert!(error.to_string().contains("none of its 3 targets has an address"), "{error}");
}

#[test]
fn a_target_keeps_its_address_while_nobody_says_that_it_has_another() {
    let (now, seen) = (Arc::new(Mutex::new("both")), Arc::new(AtomicUsize::new(0)));
    let (state, asked) = (Arc::clone(&now), Arc::clone(&seen));
    let mut zone = svc_test();
    zone.push(("n2.svc.test.", RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2))));
    let port = serve_as(zone, move |name, kind| {
        asked.fetch_add(1, Ordering::SeqCst);
        let n2 = name == "n2.svc.test.";
        match *state.lock().unwrap() {
            "no IPv4" if n2 && kind == RecordType::A => Some(Answer::Code(ResponseCode::ServFail)),
            "silence" if n2 => Some(Answer::Nothing),
            "another first" if n2 && kind == RecordType::A => Some(Answer::Records(vec![a(1), a(2)])),
            "another" if n2 && kind == RecordType::A => Some(Answer::Records(vec![a(3)])),
            _ => None,
        }
    });
    let mut source = source(port, SERVICE, "srv", 4);
    for (word, address) in [
        ("both", "10.0.0.2"),
        ("no IPv4", "10.0.0.2"),
        ("silence", "10.0.0.2"),
        ("another first", "10.0.0.2"),
        ("another", "10.0.0.3"),
        ("both", "10.0.0.2"),
    ] {
        *now.lock().unwrap() = word;
        let listing = local(source.list(None)).unwrap();
        assert_eq!(places(&listing)[2], format!("{address}:21013"), "{word}");
    }
    assert!(seen.load(Ordering::SeqCst) > 0);
}

#[test]
fn targets_that_nobody_answers_for_cost_no_more_than_the_time_of_a_listing() {
    let hosts: Vec<String> = (0..12).map(|number| format!("n{number}.svc.test.")).collect();
    let records: Vec<RData> = hosts.iter().map(|host| service(1, 1, 80, host)).collect();
    let port = serve_as(Vec::new(), move |name, kind| match kind {
        RecordType::SRV => Some(Answer::Records(records.clone())),
        _ if name == "n7.svc.test." => Some(Answer::Records(vec![a(7)])),
        _ => Some(Answer::Nothing),
    });
    let mut source = source(port, SERVICE, "srv", 3);
    let started = Instant::now();
    let listing = local(source.list(None)).unwrap();
    // One after the other, they would take eleven times as long.
    assert!(started.elapsed() < 3 * Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(places(&listing), ["10.0.0.7:80"]);
    assert_eq!(listing.unusable.len(), 11);
}

#[test]
fn the_weights_of_services_are_parts_of_the_largest_and_never_none() {
    let weights = |list: [u16; 3]| {
        let mut zone = svc_test();
        for ((_, data), weight) in zone.iter_mut().zip(list) {
            let RData::SRV(service) = data else { panic!() };
            service.weight = weight;
        }
        let listing = self::list(serve(zone), SERVICE, "srv").unwrap();
        let mut hints: Vec<(Option<u16>, Hint)> = listing.instances.iter().map(|one| (one.port, one.hint)).collect();
        hints.sort();
        [256, 10].map(|full| hints.iter().map(|(_, hint)| hint.of(full)).collect::<Vec<_>>())
    };
    assert_eq!(weights([1, 300, 65535]), [[1, 1, 256], [1, 1, 10]]);
    assert_eq!(weights([0, 50, 100]), [[1, 128, 256], [1, 5, 10]]);
    assert_eq!(weights([0, 0, 0]), [[256, 256, 256], [10, 10, 10]]);
}

#[test]
fn the_port_0_is_that_of_the_backend() {
    let mut zone = svc_test();
    zone[0].1 = service(1, 10, 0, "n1.svc.test.");
    let listing = list(serve(zone), SERVICE, "srv").unwrap();
    assert_eq!(places(&listing), ["10.0.0.1:0", "10.0.0.1:21012", "10.0.0.2:21013"]);
    assert!(listing.instances.iter().any(|one| one.port.is_none()), "{listing:?}");
}

#[test]
fn a_name_that_cannot_be_listed_fails_alone() {
    let port = serve(vec![("web.example.", a(1))]);
    let listing = list(port, "web.example, wbe.example", "a").unwrap();
    assert_eq!(shown(&listing), ["10.0.0.1 10.0.0.1 None web.example 100"]);
    let failed = FailedGroup { group: "wbe.example".to_owned(), reason: "the name does not exist".to_owned() };
    assert_eq!(listing.failed, [failed]);
    assert!(listing.is_silent_about("10.0.0.9", "wbe.example") && !listing.is_silent_about("10.0.0.9", "web.example"));
    // Where there is none that can be listed, the source has failed.
    let error = list(port, "wbe.example", "a").unwrap_err();
    assert!(error.to_string().contains("wbe.example cannot be resolved: the name does not exist"), "{error}");
    let error = list(port, "web.example", "aaaa").unwrap_err();
    assert!(error.to_string().contains("it has no records of the type AAAA"), "{error}");
    // That there are no records may be believed; that there is no such name may not.
    let allowed = |port, name: &str| {
        let text = format!(
            "[discovery-server]\nmode = dns\ndns-names = {name}\ndns-type = aaaa\ndns-servers = 127.0.0.1:{port}\n\
             allow-empty = true\n"
        );
        local(async { open(&config(&text)).await.unwrap().unwrap().list(None).await })
    };
    let listing = allowed(port, "web.example").unwrap();
    assert_eq!((listing.instances.as_slice(), listing.failed.as_slice()), ([].as_slice(), [].as_slice()));
    assert!(allowed(port, "wbe.example").is_err());
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(matches!(list(nobody.local_addr().unwrap().port(), "web.example", "a"), Err(SourceError::Dns { .. })));
}
