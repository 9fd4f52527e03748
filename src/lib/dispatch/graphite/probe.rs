//! One connection to each server, with TLS where that is configured; nothing is written.

use super::connect::{Connector, Target};
use super::error::TlsError;
use super::name::NAME;
use crate::config::Config;
use crate::dispatch::probe::Probed;
use crate::logging::Chain;
use crate::tls::Tls;

pub(crate) async fn probe(config: &Config) -> Vec<Probed> {
    let graphite = &config.graphite;
    if !graphite.enabled {
        return Vec::new();
    }
    let tls = graphite.tls.as_ref().map(Tls::open).transpose().map_err(|error| Chain(&TlsError(error)).to_string());
    let mut probed = Vec::new();
    for endpoint in &graphite.servers {
        let answer = match &tls {
            Ok(tls) => {
                let target = Target { endpoint: endpoint.clone(), tls: tls.clone() };
                let connected = Connector::new(target, graphite.connect_timeout).connect().await;
                connected.map(drop).map_err(|error| Chain(&error).to_string())
            }
            Err(error) => Err(error.clone()),
        };
        let (tried, works) = match graphite.tls {
            Some(_) => ("connect, TLS", "its certificate is accepted"),
            None => ("connect", "connected"),
        };
        probed.push(Probed {
            section: NAME,
            place: endpoint.to_string(),
            tried,
            answer: answer.map(|()| works.to_owned()),
        });
    }
    probed
}
