//! A name server that says what a test wants.

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinEncodable};
use std::net::UdpSocket;
use std::time::Duration;

/// What the name server does with a question.
pub enum Answer {
    Records(Vec<RData>),
    Code(ResponseCode),
    Nothing,
}

/// Serves these names; others do not exist.
pub fn serve(zone: Vec<(&'static str, RData)>) -> u16 {
    serve_as(zone, |_, _| None)
}

/// The same; what `other` says about a name and a type goes before.
pub fn serve_as(
    zone: Vec<(&'static str, RData)>,
    other: impl Fn(&str, RecordType) -> Option<Answer> + Send + 'static,
) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    socket.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut bytes) {
            let Ok(question) = Message::from_bytes(&bytes[..length]) else { continue };
            let Some(query) = question.queries.first().cloned() else { continue };
            let mut answer = question.clone();
            answer.metadata.message_type = MessageType::Response;
            answer.metadata.recursion_available = true;
            let of_name = |name: &str| Name::from_ascii(name).unwrap() == *query.name();
            let in_zone = || {
                let all = zone.iter().filter(|(name, data)| of_name(name) && data.record_type() == query.query_type());
                all.map(|(_, data)| data.clone()).collect()
            };
            let of_zone = match zone.iter().any(|(name, _)| of_name(name)) {
                true => Answer::Records(in_zone()),
                false => Answer::Code(ResponseCode::NXDomain),
            };
            match other(&query.name().to_ascii(), query.query_type()).unwrap_or(of_zone) {
                Answer::Records(records) => {
                    for data in records {
                        answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
                    }
                }
                Answer::Code(code) => answer.metadata.response_code = code,
                Answer::Nothing => continue,
            }
            let _ = socket.send_to(&answer.to_bytes().unwrap(), peer);
        }
    });
    port
}
