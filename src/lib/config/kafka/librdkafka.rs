//! `librdkafka.<name>`: properties that are passed on unchanged.

use crate::config::section::Section;
use crate::config::value;
use std::collections::BTreeMap;

/// Prefix of options that are passed to librdkafka unchanged.
pub(crate) const LIBRDKAFKA: &str = "librdkafka.";

/// Properties with an option here.
const OURS: [(&str, &str); 14] = [
    ("bootstrap.servers", "brokers"),
    ("client.id", "client-id"),
    ("compression.codec", "compression"),
    ("compression.type", "compression"),
    ("metadata.broker.list", "brokers"),
    ("sasl.mechanism", "sasl-mechanism"),
    ("sasl.mechanisms", "sasl-mechanism"),
    ("sasl.username", "sasl-username"),
    ("security.protocol", "tls"),
    ("ssl.ca.location", "tls-ca-file"),
    ("ssl.certificate.location", "tls-certificate-file"),
    ("ssl.key.location", "tls-key-file"),
    ("group.id", "group of [kafka-source]"),
    ("auto.offset.reset", "start of [kafka-source]"),
];

/// Properties that must not change, and why.
const FIXED: [(&str, &str); 3] = [
    ("enable.auto.commit", "offsets are committed when everything before them is delivered"),
    ("enable.auto.offset.store", "offsets are committed when everything before them is delivered"),
    ("message.timeout.ms", "messages are retried until they are delivered"),
];

/// Other names of properties that are set here. With both names, the value that librdkafka takes would depend on their order.
const ALIASES: [(&str, &str); 6] = [
    ("auto.commit.enable", "enable.auto.commit"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("request.required.acks", "acks"),
];

/// Properties that are secrets, and belong in a file that only the program can read.
const SECRETS: [(&str, &str); 7] = [
    ("sasl.password", "sasl-password-file"),
    ("ssl.key.password", "properties-file"),
    ("ssl.key.pem", "properties-file"),
    ("ssl.keystore.password", "properties-file"),
    ("sasl.oauthbearer.client.credentials.client.secret", "properties-file"),
    ("sasl.oauthbearer.client.secret", "properties-file"),
    ("sasl.oauthbearer.config", "properties-file"),
];

/// The name under which a property is set here.
pub(super) fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name)
}

/// `librdkafka.<name>` options; `None` if one is invalid.
pub(super) fn read(section: &mut Section<'_>) -> Option<BTreeMap<String, String>> {
    let ini = section.ini;
    let (mut properties, mut good) = (BTreeMap::new(), true);
    for option in ini.own_options(section.name).filter(|option| option.starts_with(LIBRDKAFKA)) {
        let Some(name) = option.strip_prefix(LIBRDKAFKA).map(canonical) else { continue };
        if let Some((_, ours)) = OURS.iter().find(|(property, _)| *property == name) {
            section.error(option, format!("is set by this program; write {ours} instead"));
            good = false;
        } else if let Some((_, reason)) = FIXED.iter().find(|(property, _)| *property == name) {
            section.error(option, format!("cannot be set: {reason}"));
            good = false;
        } else if let Some((_, file)) = SECRETS.iter().find(|(property, _)| *property == name) {
            section.error(option, format!("is a secret; write it to a file, and set {file} to its path"));
            good = false;
        } else if let Some(Some(value)) = section.optional_named(option, value::text) {
            match refused(name, &value) {
                None => drop(properties.insert(name.to_owned(), value)),
                Some(reason) => {
                    section.error(option, reason);
                    good = false;
                }
            }
        } else {
            good = false;
        }
    }
    good.then_some(properties)
}

/// Why librdkafka refuses a property.
#[cfg(feature = "kafka")]
fn refused(name: &str, value: &str) -> Option<String> {
    let mut config = rdkafka::ClientConfig::new();
    config.set(name, value);
    // This only looks the property up, without a thread or a connection.
    match config.create_native_config() {
        Ok(_) => None,
        Err(rdkafka::error::KafkaError::ClientConfig(_, reason, ..)) => {
            Some(format!("{reason}; librdkafka's CONFIGURATION.md lists the properties"))
        }
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(not(feature = "kafka"))]
fn refused(_: &str, _: &str) -> Option<String> {
    None
}

/// Checks for combinations of values that librdkafka would refuse, or that weaken the guarantees.
pub(super) fn check(section: &mut Section<'_>, properties: &BTreeMap<String, String>) -> bool {
    let property = |name: &str| properties.get(name).map(String::as_str).unwrap_or_default();
    let written = |section: &Section<'_>, name: &str| {
        let option = format!("{LIBRDKAFKA}{name}");
        section.ini.has_own(section.name, &option).then_some(option)
    };
    let mut good = true;
    let idempotent = property("enable.idempotence") == "true";
    let all = matches!(property("acks"), "all" | "-1");
    for name in ["acks", "request.required.acks"] {
        let Some(option) = written(section, name) else { continue };
        if !all && idempotent {
            section.error(&option, "is incompatible with idempotence; also set librdkafka.enable.idempotence = false");
            good = false;
        } else if !all {
            section.warn(&option, "messages count as delivered before every in-sync replica has them");
        }
    }
    for name in ["max.in.flight.requests.per.connection", "max.in.flight"] {
        if let Some(option) = written(section, name).filter(|_| idempotent)
            && property(canonical(name)).parse().is_ok_and(|count: u32| count > 5)
        {
            section.error(&option, "is incompatible with idempotence; write 5 or less");
            good = false;
        }
    }
    if let Some(option) = written(section, "enable.idempotence").filter(|_| !idempotent && all) {
        section.warn(&option, "messages may arrive twice, and out of order, when a connection fails");
    }
    good
}
