//! DNS as the source, with a name server that says what the test wants.

use super::store::{config, local};
use haproxystats::discovery::source::{Listing, SourceError, open};
use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record};
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinEncodable};
use std::net::UdpSocket;
use std::time::Duration;

/// Serves these names; others do not exist.
fn serve(zone: Vec<(&'static str, RData)>) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut bytes) {
            let Ok(question) = Message::from_bytes(&bytes[..length]) else { continue };
            let Some(query) = question.queries.first().cloned() else { continue };
            let mut answer = question.clone();
            answer.metadata.message_type = MessageType::Response;
            answer.metadata.recursion_available = true;
            let of_name = |name: &str| Name::from_ascii(name).unwrap() == *query.name();
            if !zone.iter().any(|(name, _)| of_name(name)) {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            for (_, data) in
                zone.iter().filter(|(name, data)| of_name(name) && data.record_type() == query.query_type())
            {
                answer.add_answer(Record::from_rdata(query.name().clone(), 60, data.clone()));
            }
            let _ = socket.send_to(&answer.to_bytes().unwrap(), peer);
        }
    });
    port
}

fn list(port: u16, names: &str, kind: &str) -> Result<Listing, SourceError> {
    let text = format!(
        "[discovery-server]\nmode = dns\ndns-names = {names}\ndns-type = {kind}\ndns-servers = 127.0.0.1:{port}\nsource-timeout = 4\n"
    );
    local(async {
        let mut source = open(&config(&text)).await.unwrap().unwrap();
        source.list(None).await
    })
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
    let service = |priority, weight, port, target: &str| {
        RData::SRV(SRV::new(priority, weight, port, Name::from_ascii(target).unwrap()))
    };
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

#[test]
fn a_name_that_does_not_exist_is_an_error_and_one_without_records_is_empty() {
    let port = serve(vec![("web.example.", a(1))]);
    let error = list(port, "web.example, wbe.example", "a").unwrap_err();
    assert!(error.to_string().contains("wbe.example cannot be resolved: the name does not exist"), "{error}");
    assert_eq!(list(port, "web.example", "aaaa").unwrap().instances, []);
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(matches!(list(nobody.local_addr().unwrap().port(), "web.example", "a"), Err(SourceError::Dns { .. })));
}
