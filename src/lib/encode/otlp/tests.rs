use super::*;
use crate::config::NameStyle;
use crate::encode::encoder::Encoder;
use crate::encode::object::Object;
use crate::encode::object::ObjectKind;
use crate::prometheus::request::{halves, samples, text};
use proptest::prelude::*;

const STAMP: Epoch = Epoch(1_457_298_067);

fn encoder(attributes: &[(&str, &str)], max_samples: usize) -> Series<Otlp> {
    let labels = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let naming = Naming { style: NameStyle::Promex, labels };
    let mut encoder = Otlp::encoder(&naming, NonZeroUsize::new(max_samples).unwrap(), true);
    encoder.begin();
    encoder
}

fn host(name: &str) -> Host {
    Host { name: name.to_owned(), cluster: None }
}

fn bodies(encoder: &mut Series<Otlp>) -> Vec<Vec<u8>> {
    let (_, batch) = encoder.take(&Batch::default()).pop().unwrap();
    assert_eq!(batch.messages.iter().map(|message| message.samples).sum::<usize>(), batch.lines);
    let plain = batch.messages.iter().map(|message| Compression::Gzip.decompress(message.payload).unwrap());
    let bodies: Vec<Vec<u8>> = plain.collect();
    assert_eq!(bodies.iter().map(|body| samples(Protocol::Otlp, body)).sum::<usize>(), batch.lines);
    bodies
}

fn lines(bodies: &[Vec<u8>]) -> Vec<String> {
    bodies.iter().flat_map(|body| text(Protocol::Otlp, body).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

const SERVER: Object<'static> = Object { kind: ObjectKind::Server, proxy: "shop", name: "web-1" };

#[test]
fn points_of_a_metric_stand_together_and_the_metrics_of_a_host() {
    let mut encoder = encoder(&[("service.name", "edge")], 100);
    encoder.object(&SERVER, &host("a"), STAMP);
    encoder.field(b"hrsp_2xx", Value::Int(7));
    encoder.field(b"scur", Value::Int(3));
    encoder.field(b"hrsp_3xx", Value::Int(8));
    encoder.object(&SERVER, &host("b"), STAMP);
    encoder.field(b"rtime", Value::Float(1500.0));
    let bodies = bodies(&mut encoder);
    let of = |host: &str| {
        format!(
            r#"service.name="edge",service.instance.id="{host}",host.name="{host}",instance="{host}",proxy="shop",server="web-1""#
        )
    };
    let (a, b) = (of("a"), of("b"));
    let wanted = [
        format!("haproxy_server_http_responses_total{{{a},code=\"2xx\"}} 7 1457298067000"),
        format!("haproxy_server_http_responses_total{{{a},code=\"3xx\"}} 8 1457298067000"),
        format!("haproxy_server_current_sessions{{{a}}} 3 1457298067000"),
        format!("haproxy_server_response_time_average_seconds{{{b}}} 1.5 1457298067000"),
    ];
    assert_eq!((lines(&bodies), bodies.len()), (wanted.to_vec(), 1));
}

/// The numbers in the fields of a message at the end of this path, in the order of the message.
fn numbers(message: &[u8], path: &[u64]) -> Vec<u64> {
    let Some((field, rest)) = path.split_first() else { return Vec::new() };
    let each = Fields::new(message).flatten().filter(|(number, _)| number == field);
    each.flat_map(|(_, wire)| match wire {
        Wire::Bytes(inner) => numbers(inner, rest),
        Wire::Varint(number) | Wire::Fixed64(number) => vec![number],
        Wire::Fixed32(number) => vec![number.into()],
    })
    .collect()
}

#[test]
fn counters_are_cumulative_sums_with_their_start_and_gauges_have_none() {
    let mut encoder = encoder(&[], 100);
    encoder.since(Some(Epoch(1_457_000_000)));
    encoder.object(&SERVER, &host("a"), STAMP);
    encoder.field(b"stot", Value::Int(7));
    encoder.field(b"scur", Value::Int(3));
    encoder.since(None);
    encoder.object(&SERVER, &host("a"), STAMP);
    encoder.field(b"stot", Value::Int(8));
    let body = bodies(&mut encoder).concat();
    let of_sum = |rest: &[u64]| numbers(&body, &[&[1, 2, 2, 7], rest].concat());
    assert_eq!((of_sum(&[2]), of_sum(&[3])), (vec![2], vec![1]), "cumulative, monotonic");
    assert_eq!(of_sum(&[1, 2]), [1_457_000_000_000_000_000], "where the start is known");
    assert_eq!(of_sum(&[1, 3]), [1_457_298_067_000_000_000; 2]);
    assert_eq!(numbers(&body, &[1, 2, 2, 5, 1, 2]), [0; 0]);
    assert_eq!(numbers(&body, &[1, 2, 2, 5, 1, 4]), [3.0_f64.to_bits()]);
}

#[test]
fn a_histogram_has_its_bounds_in_seconds_and_buckets_by_themselves() {
    let mut encoder = encoder(&[], 100);
    encoder.object(&SERVER, &host("a"), STAMP);
    encoder.histogram(b"response", &Histogram::new(&[5, 1000], &[3, 4, 6, 2500]), Epoch(7));
    let body = bodies(&mut encoder).concat();
    let of_histogram = |rest: &[u64]| numbers(&body, &[&[1, 2, 2, 9], rest].concat());
    assert_eq!((of_histogram(&[2]), of_histogram(&[3])), (vec![2], vec![]), "cumulative");
    assert_eq!((of_histogram(&[1, 2]), of_histogram(&[1, 4])), (vec![7 * NANOSECONDS], vec![6]));
    assert_eq!(of_histogram(&[1, 5]), [2.5_f64.to_bits()]);
    let packed = |numbers: &[u64]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let counts = [&[6 << 3 | 2, 24][..], &packed(&[3, 1, 2])].concat();
    let bounds = [&[7 << 3 | 2, 16][..], &packed(&[0.005_f64.to_bits(), 1.0_f64.to_bits()])].concat();
    assert!([counts, bounds].iter().all(|part| body.windows(part.len()).any(|window| window == part)));
    let line = lines(&[body]).concat();
    assert!(line.starts_with("haproxy_server_response_time_seconds{") && line.contains("proxy=\"shop\""), "{line}");
}

#[test]
fn what_has_ended_has_no_value_and_says_so() {
    let mut encoder = encoder(&[], 100);
    encoder.ended(true);
    encoder.object(&SERVER, &host("a"), STAMP);
    encoder.field(b"scur", Value::Int(3));
    encoder.field(b"rtime", Value::Float(f64::NAN));
    let body = bodies(&mut encoder).concat();
    assert_eq!(numbers(&body, &[1, 2, 2, 5, 1, 8]), [1]);
    assert_eq!(numbers(&body, &[1, 2, 2, 5, 1, 4]), [0; 0]);
    assert!(lines(&[body]).concat().ends_with("NaN 1457298067000 stale"));
}

proptest! {
    #[test]
    fn requests_are_bounded_and_their_halves_say_the_same(
        values in proptest::collection::vec((0..3_usize, 0..5_usize, any::<i32>()), 0..40), max_samples in 1_usize..12,
    ) {
        let mut encoder = encoder(&[], max_samples);
        let mut wanted = Vec::new();
        for (of, field, value) in &values {
            encoder.object(&SERVER, &host(["a", "b", "c"][*of]), STAMP);
            encoder.field([&b"scur"[..], b"hrsp_2xx", b"ssl_sess", b"stot", b"hrsp_3xx"][*field], Value::Int((*value).into()));
            wanted.push(value.to_string());
        }
        let bodies = bodies(&mut encoder);
        prop_assert_eq!(lines(&bodies).len(), values.len());
        for body in &bodies {
            let all = lines(std::slice::from_ref(body));
            prop_assert!(all.len() <= max_samples);
            match halves(Protocol::Otlp, body) {
                Some((one, other)) => {
                    let (one, other) = (lines(&[one]), lines(&[other]));
                    prop_assert!(!one.is_empty() && !other.is_empty());
                    prop_assert_eq!([one, other].concat(), all);
                }
                None => prop_assert_eq!(all.len(), 1),
            }
        }
        let mut told: Vec<String> = lines(&bodies).iter().map(|line| line.rsplit(' ').nth(1).unwrap().to_owned()).collect();
        told.sort_unstable();
        wanted.sort_unstable();
        prop_assert_eq!(told, wanted);
    }

    #[test]
    fn compression_changes_nothing(
        objects in proptest::collection::vec((0..3_usize, "[a-z]{0,9}", proptest::collection::vec((0..5_usize, 0..3_i64), 0..12)), 0..12),
        max_samples in 1_usize..40,
    ) {
        let told = |compression: Compression| {
            let naming = Naming { style: NameStyle::Promex, labels: Vec::new() };
            let samples = NonZeroUsize::new(max_samples).unwrap();
            let mut encoder = Otlp::encoder(&naming, samples, compression == Compression::Gzip);
            encoder.begin();
            for (of, name, values) in &objects {
                let object = Object { kind: ObjectKind::Server, proxy: "shop", name };
                encoder.object(&object, &host(["a", "b", "c"][*of]), STAMP);
                for (field, value) in values {
                    encoder.field([&b"scur"[..], b"hrsp_2xx", b"ssl_sess", b"stot", b"hrsp_3xx"][*field], Value::Int(*value));
                }
            }
            let (_, batch) = encoder.take(&Batch::default()).pop().unwrap();
            batch.messages.iter().map(|message| compression.decompress(message.payload).unwrap()).collect::<Vec<_>>()
        };
        prop_assert_eq!(told(Compression::Gzip), told(Compression::None));
    }
}
