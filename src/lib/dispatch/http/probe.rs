//! Sends a request without metrics to each receiver, to check the address, TLS, the path, and the permission to write.

use super::body::Format;
use super::client::Client;
use super::name::name;
use super::verdict::{Answer, Verdict, judge};
use crate::config::{Config, Remote};
use crate::dispatch::probe::Probed;
use crate::logging::Chain;
use crate::prometheus::request::Protocol;
use std::time::SystemTime;

pub(crate) async fn probe(config: &Config) -> Vec<Probed> {
    let mut probed = Vec::new();
    for (protocol, remote) in [(Protocol::Otlp, &config.otlp), (Protocol::RemoteWrite, &config.remote_write)] {
        if let Some(remote) = remote {
            let (section, place, tried) = (name(protocol), remote.url.clone(), "send an empty request");
            probed.push(Probed { section, place, tried, answer: one(protocol, remote).await });
        }
    }
    probed
}

async fn one(protocol: Protocol, remote: &Remote) -> Result<String, String> {
    let format = Format { protocol, compress: remote.compress };
    let client = Client::open(format, remote).map_err(|error| Chain(&error).to_string())?;
    let reply = client.send(format.body(&[]).bytes).await.map_err(|error| Chain(&error).to_string())?;
    let answer = Answer { status: reply.status, headers: &reply.headers, body: &reply.body };
    match judge(protocol, &answer, SystemTime::now()) {
        Verdict::Accepted { .. } => Ok("accepted".to_owned()),
        // Some receivers refuse a request without samples; but they have read it, so the client may write.
        Verdict::Refused { words } => Ok(format!("answers an empty request with {words}")),
        Verdict::Again { words, advice: "", .. } | Verdict::TooLarge { words } => Err(words),
        Verdict::Again { words, advice, .. } => Err(format!("{words}: {advice}")),
    }
}
