//! Whether what is configured here fits to what is configured there.

use super::{Details, Rights};
use std::collections::BTreeMap;

/// What a message has besides its payload: key, headers, the batch around it.
const AROUND: u64 = 1000;

/// What an answer to a request for messages has besides them.
const RESPONSE: u64 = 512;

/// Librdkafka's own values.
const BATCH_SIZE: u64 = 1_000_000;
const FETCH: u64 = 1_048_576;
const RECEIVE: u64 = 100_000_000;

/// `1 partition`, `2 partitions`
#[must_use]
pub fn partitions(count: usize) -> String {
    if count == 1 { "1 partition".to_owned() } else { format!("{count} partitions") }
}

fn property(properties: &BTreeMap<String, String>, names: &[&str], built_in: u64) -> u64 {
    names.iter().find_map(|name| properties.get(*name)?.parse().ok()).unwrap_or(built_in)
}

fn size(details: Details) -> String {
    match details.largest {
        Some(largest) => format!("messages may have {largest} bytes"),
        None => "how large messages may be is not known".to_owned(),
    }
}

/// A right in words, or why that is a fault.
fn right(details: Details, of: fn(Rights) -> bool, to: &str) -> Result<String, String> {
    match details.rights.map(of) {
        Some(true) => Ok(format!("may be {to}")),
        Some(false) => {
            Err(format!("this client may not {} it; allow it", if to == "read" { "read" } else { "write to" }))
        }
        None => Ok(format!("whether it may be {to} is not known")),
    }
}

/// What there is to say to one who writes messages of up to `most` bytes.
///
/// # Errors
/// What does not fit.
pub fn writing(details: Details, most: usize, properties: &BTreeMap<String, String>) -> Result<String, String> {
    let right = right(details, |rights| rights.write, "written");
    let mut faults: Vec<String> = right.as_ref().err().cloned().into_iter().collect();
    let mut words = vec![size(details)];
    words.extend(right.ok());
    if let Some(largest) = details.largest {
        if most as u64 + AROUND > largest {
            let fits = largest.saturating_sub(AROUND);
            faults.push(format!(
                "max-message-size of {most} does not fit into the topic's max.message.bytes of {largest}: set it to at most {fits}, or \
                 allow more there"
            ));
        } else if property(properties, &["batch.size"], BATCH_SIZE).min(limit(properties)) > largest {
            words.push(format!(
                "a batch of several may be refused, and is sent again one by one: set librdkafka.batch.size to at most {largest}"
            ));
        }
    }
    if faults.is_empty() { Ok(words.join("; ")) } else { Err(faults.join("; ")) }
}

/// The largest batch that librdkafka makes.
fn limit(properties: &BTreeMap<String, String>) -> u64 {
    property(properties, &["message.max.bytes"], BATCH_SIZE)
}

/// What there is to say to one who reads.
///
/// # Errors
/// What does not fit.
pub fn reading(details: Details, properties: &BTreeMap<String, String>) -> Result<String, String> {
    let right = right(details, |rights| rights.read, "read");
    let mut faults: Vec<String> = right.as_ref().err().cloned().into_iter().collect();
    let mut words = vec![size(details)];
    words.extend(right.ok());
    if let Some(largest) = details.largest {
        let receive = property(properties, &["receive.message.max.bytes"], RECEIVE);
        let fetch = property(properties, &["fetch.message.max.bytes", "max.partition.fetch.bytes"], FETCH);
        if largest.saturating_add(RESPONSE) > receive {
            faults.push(format!(
                "the topic's max.message.bytes of {largest} does not fit into librdkafka.receive.message.max.bytes of {receive}: its \
                 partition would be read no further; set that to at least {}",
                largest.saturating_add(RESPONSE)
            ));
        } else if largest > fetch {
            words.push(format!(
                "a batch of more than librdkafka.fetch.message.max.bytes ({fetch}) comes by itself, with brokers before 0.10.1 not at all"
            ));
        }
    }
    if faults.is_empty() { Ok(words.join("; ")) } else { Err(faults.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(largest: Option<u64>, rights: Option<(bool, bool)>) -> Details {
        Details { largest, rights: rights.map(|(read, write)| Rights { read, write }) }
    }

    fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_writer_hears_what_is_too_large_for_the_topic() {
        let ours = properties(&[("message.max.bytes", "1000000")]);
        let of = |largest, most| writing(details(Some(largest), Some((false, true))), most, &ours);
        assert_eq!(of(1_048_588, 500_000).unwrap(), "messages may have 1048588 bytes; may be written");
        assert!(of(501_000, 500_000).unwrap().contains("set librdkafka.batch.size to at most 501000"));
        let fault = of(500_999, 500_000).unwrap_err();
        assert!(fault.contains("max.message.bytes of 500999: set it to at most 499999"), "{fault}");
        let smaller = properties(&[("batch.size", "100000")]);
        assert!(!writing(details(Some(600_000), None), 500_000, &smaller).unwrap().contains("batch.size"));
    }

    #[test]
    fn a_reader_hears_what_it_could_not_receive() {
        let ours = properties(&[("receive.message.max.bytes", "67108864"), ("fetch.message.max.bytes", "2097152")]);
        let of = |largest| reading(details(Some(largest), Some((true, false))), &ours);
        assert_eq!(of(2_097_152).unwrap(), "messages may have 2097152 bytes; may be read");
        assert!(of(2_097_153).unwrap().contains("fetch.message.max.bytes (2097152)"));
        assert!(of(67_108_864 - 512).is_ok());
        let fault = of(67_108_864 - 511).unwrap_err();
        assert!(fault.contains("at least 67108865"), "{fault}");
    }

    #[test]
    fn a_right_that_is_missing_is_a_fault_and_what_is_not_known_is_none() {
        let none = properties(&[]);
        let may = Some((true, true));
        assert!(reading(details(None, may), &none).is_ok() && writing(details(None, may), 1000, &none).is_ok());
        assert!(reading(details(None, Some((false, true))), &none).unwrap_err().contains("may not read it"));
        assert!(writing(details(None, Some((true, false))), 1000, &none).unwrap_err().contains("may not write to it"));
        let words = "how large messages may be is not known; whether it may be read is not known";
        assert_eq!(reading(Details::default(), &none).unwrap(), words);
    }
}
