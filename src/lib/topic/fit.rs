//! Whether the configuration of this program fits that of the topic.

use super::Details;
use std::collections::BTreeMap;

/// Bytes of a message in addition to its payload: key, headers, and the batch around it.
const AROUND: u64 = 1000;

/// Bytes of a response in addition to the messages in it.
const RESPONSE: u64 = 512;

/// librdkafka's defaults.
const BATCH_SIZE: u64 = 1_000_000;
const FETCH: u64 = 1_048_576;
const RECEIVE: u64 = 100_000_000;

/// The error for a topic that the brokers do not list.
#[must_use]
pub fn missing(topic: &str) -> String {
    format!("the brokers have no topic {topic}, or this client may not see it; create it, or grant access")
}

/// `1 partition`, `2 partitions`
#[must_use]
pub fn partitions(count: usize) -> String {
    if count == 1 { "1 partition".to_owned() } else { format!("{count} partitions") }
}

fn property(properties: &BTreeMap<String, String>, name: &str, default: u64) -> u64 {
    properties.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn size(details: Details) -> String {
    match details.largest {
        Some(largest) => format!("max.message.bytes is {largest}"),
        None => "max.message.bytes is not known".to_owned(),
    }
}

/// Describes a permission; an error if it is missing.
fn right(right: Option<bool>, to: &str) -> Result<String, String> {
    match right {
        Some(true) => Ok(format!("this client may {to} it")),
        Some(false) => Err(format!("this client may not {to} it; grant it that permission")),
        None => Ok(format!("whether this client may {to} it is not known")),
    }
}

/// Describes the topic to a program that writes messages of up to `most` bytes.
///
/// # Errors
/// A description of what does not fit.
pub fn writing(details: Details, most: usize, properties: &BTreeMap<String, String>) -> Result<String, String> {
    let right = right(details.rights.map(|rights| rights.write), "write to");
    let mut faults: Vec<String> = right.as_ref().err().cloned().into_iter().collect();
    let mut words = vec![size(details)];
    words.extend(right.ok());
    if let Some(largest) = details.largest {
        if most as u64 + AROUND > largest {
            let fits = largest.saturating_sub(AROUND);
            faults.push(format!(
                "max-message-size of {most} does not fit into the topic's max.message.bytes of {largest}: set it to at most \
                 {fits}, or increase max.message.bytes"
            ));
        } else if property(properties, "batch.size", BATCH_SIZE).min(limit(properties)) > largest {
            words.push(format!(
                "a batch of messages may be refused, and its messages are then sent one by one: set librdkafka.batch.size to \
                 at most {largest}"
            ));
        }
    }
    if faults.is_empty() { Ok(words.join("; ")) } else { Err(faults.join("; ")) }
}

/// The largest batch that librdkafka creates.
fn limit(properties: &BTreeMap<String, String>) -> u64 {
    property(properties, "message.max.bytes", BATCH_SIZE)
}

/// Describes the topic to a program that reads it.
///
/// # Errors
/// A description of what does not fit.
pub fn reading(details: Details, properties: &BTreeMap<String, String>) -> Result<String, String> {
    let right = right(details.rights.map(|rights| rights.read), "read");
    let mut faults: Vec<String> = right.as_ref().err().cloned().into_iter().collect();
    let mut words = vec![size(details)];
    words.extend(right.ok());
    if let Some(largest) = details.largest {
        let receive = property(properties, "receive.message.max.bytes", RECEIVE);
        let fetch = property(properties, "fetch.message.max.bytes", FETCH);
        if largest.saturating_add(RESPONSE) > receive {
            faults.push(format!(
                "the topic's max.message.bytes of {largest} does not fit into librdkafka.receive.message.max.bytes of {receive}: \
                 a larger message would stop its partition; set receive.message.max.bytes to at least {}",
                largest.saturating_add(RESPONSE)
            ));
        } else if largest > fetch {
            words.push(format!(
                "a batch larger than librdkafka.fetch.message.max.bytes ({fetch}) is fetched separately, and not at all from \
                 brokers before 0.10.1"
            ));
        }
    }
    if faults.is_empty() { Ok(words.join("; ")) } else { Err(faults.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::super::Rights;
    use super::*;

    fn details(largest: Option<u64>, rights: Option<(bool, bool)>) -> Details {
        Details { largest, rights: rights.map(|(read, write)| Rights { read, write }) }
    }

    fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_message_size_that_is_too_large_for_the_topic_is_an_error() {
        let ours = properties(&[("message.max.bytes", "1000000")]);
        let of = |largest, most| writing(details(Some(largest), Some((false, true))), most, &ours);
        assert_eq!(of(1_048_588, 500_000).unwrap(), "max.message.bytes is 1048588; this client may write to it");
        assert!(of(501_000, 500_000).unwrap().contains("set librdkafka.batch.size to at most 501000"));
        let fault = of(500_999, 500_000).unwrap_err();
        assert!(fault.contains("max.message.bytes of 500999: set it to at most 499999"), "{fault}");
        let smaller = properties(&[("batch.size", "100000")]);
        assert!(!writing(details(Some(600_000), None), 500_000, &smaller).unwrap().contains("batch.size"));
    }

    #[test]
    fn messages_that_could_not_be_received_are_an_error() {
        let ours = properties(&[("receive.message.max.bytes", "67108864"), ("fetch.message.max.bytes", "2097152")]);
        let of = |largest| reading(details(Some(largest), Some((true, false))), &ours);
        assert_eq!(of(2_097_152).unwrap(), "max.message.bytes is 2097152; this client may read it");
        assert!(of(2_097_153).unwrap().contains("fetch.message.max.bytes (2097152)"));
        assert!(of(67_108_864 - 512).is_ok());
        let fault = of(67_108_864 - 511).unwrap_err();
        assert!(fault.contains("at least 67108865"), "{fault}");
    }

    #[test]
    fn a_missing_permission_is_an_error_and_an_unknown_one_is_not() {
        let none = properties(&[]);
        let may = Some((true, true));
        assert!(reading(details(None, may), &none).is_ok() && writing(details(None, may), 1000, &none).is_ok());
        assert!(reading(details(None, Some((false, true))), &none).unwrap_err().contains("may not read it"));
        assert!(writing(details(None, Some((true, false))), 1000, &none).unwrap_err().contains("may not write to it"));
        let words = "max.message.bytes is not known; whether this client may read it is not known";
        assert_eq!(reading(Details::default(), &none).unwrap(), words);
    }
}
