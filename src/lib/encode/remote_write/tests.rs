use super::*;
use crate::config::NameStyle;
use crate::encode::encoder::Encoder;
use crate::encode::object::ObjectKind;
use crate::latency::histogram::Histogram;
use crate::prometheus::compression::Compression;
use crate::prometheus::request::{Protocol, halves, samples, text};
use proptest::prelude::*;

const STAMP: Epoch = Epoch(1_457_298_067);

fn encoder(style: NameStyle, labels: &[(&str, &str)], max_samples: usize) -> Series<RemoteWrite> {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut encoder = RemoteWrite::encoder(&Naming { style, labels }, NonZeroUsize::new(max_samples).unwrap());
    encoder.begin();
    encoder
}

fn host(cluster: Option<&str>) -> Host {
    Host { name: "lb-01".to_owned(), cluster: cluster.map(str::to_owned) }
}

fn bodies(encoder: &mut Series<RemoteWrite>) -> (Vec<Vec<u8>>, usize) {
    let mut taken = encoder.take(&Batch::default());
    let (output, batch) = taken.pop().unwrap();
    assert_eq!((output, taken.len()), (Output::RemoteWrite, 0));
    assert_eq!(batch.messages.iter().map(|message| message.samples).sum::<usize>(), batch.lines);
    let plain = batch.messages.iter().map(|message| Compression::Snappy.decompress(message.payload).unwrap());
    (plain.collect(), batch.lines)
}

fn lines(encoder: &mut Series<RemoteWrite>) -> Vec<String> {
    let (bodies, count) = bodies(encoder);
    let text: String = bodies.iter().map(|body| text(Protocol::RemoteWrite, body)).collect();
    assert_eq!(text.lines().count(), count);
    text.lines().map(str::to_owned).collect()
}

const SERVER: Object<'static> = Object { kind: ObjectKind::Server, proxy: "shop", name: "web-1" };

#[test]
fn series_have_the_exporters_names_and_labels_in_order() {
    let mut encoder = encoder(NameStyle::Promex, &[("env", "prod"), ("instance", "mine"), ("Zone", "a")], 100);
    encoder.object(&SERVER, &host(Some("ams")), STAMP);
    encoder.field(b"hrsp_2xx", Value::Int(7));
    encoder.field(b"rtime", Value::Float(1500.0));
    encoder.field(b"qtime", Value::Float(f64::NAN));
    encoder.field(b"status", Value::Int(1));
    encoder.states("status", &[("UP", 1), ("DOWN", 0)]);
    let wanted = [
        r#"haproxy_server_http_responses_total{Zone="a",cluster="ams",code="2xx",env="prod",instance="lb-01",proxy="shop",server="web-1"} 7 1457298067000"#,
        r#"haproxy_server_response_time_average_seconds{Zone="a",cluster="ams",env="prod",instance="lb-01",proxy="shop",server="web-1"} 1.5 1457298067000"#,
        r#"haproxy_server_status{Zone="a",cluster="ams",env="prod",instance="lb-01",proxy="shop",server="web-1",state="UP"} 1 1457298067000"#,
        r#"haproxy_server_status{Zone="a",cluster="ams",env="prod",instance="lb-01",proxy="shop",server="web-1",state="DOWN"} 0 1457298067000"#,
    ];
    assert_eq!(lines(&mut encoder), wanted);
    assert_eq!(bodies(&mut encoder), (vec![], 0), "nothing is told twice");
}

#[test]
fn our_own_names_are_haproxys_and_states_are_numbers() {
    let mut encoder = encoder(NameStyle::Haproxystats, &[], 100);
    encoder.object(&Object { kind: ObjectKind::Backend, proxy: "www", name: "" }, &host(None), STAMP);
    encoder.field(b"rtime", Value::Float(1500.0));
    encoder.field(b"status", Value::Int(3));
    encoder.states("status", &[("UP", 1)]);
    // A cluster as a whole.
    let cluster = Host { name: String::new(), cluster: Some("ams".to_owned()) };
    encoder.object(&Object::unnamed(ObjectKind::Daemon), &cluster, STAMP);
    encoder.field(b"CumReq", Value::Int(9));
    let wanted = [
        r#"haproxy_backend_rtime{backend="www",instance="lb-01"} 1500 1457298067000"#,
        r#"haproxy_backend_status{backend="www",instance="lb-01"} 3 1457298067000"#,
        r#"haproxy_cluster_daemon_CumReq{cluster="ams"} 9 1457298067000"#,
    ];
    assert_eq!(lines(&mut encoder), wanted);
}

#[test]
fn what_has_ended_is_marked_where_it_had_a_value() {
    let mut encoder = encoder(NameStyle::Promex, &[], 100);
    encoder.ended(true);
    encoder.object(&SERVER, &host(None), STAMP);
    encoder.field(b"scur", Value::Int(3));
    encoder.field(b"rtime", Value::Float(f64::NAN));
    encoder.ended(false);
    encoder.field(b"scur", Value::Int(4));
    let lines = lines(&mut encoder);
    assert!(lines.len() == 2 && lines[0].ends_with(" NaN 1457298067000 stale"), "{lines:?}");
    assert!(lines[1].ends_with(" 4 1457298067000"), "{lines:?}");
}

#[test]
fn a_histogram_is_classic_buckets_in_seconds() {
    let mut encoder = encoder(NameStyle::Promex, &[], 100);
    encoder.object(&Object { kind: ObjectKind::Backend, proxy: "www", name: "" }, &host(None), STAMP);
    encoder.histogram(b"response", &Histogram::new(&[5, 1000], &[3, 4, 6, 2500]), Epoch(1));
    let name = "haproxy_backend_response_time_seconds";
    let wanted = [
        format!("{name}_bucket{{instance=\"lb-01\",le=\"0.005\",proxy=\"www\"}} 3 1457298067000"),
        format!("{name}_bucket{{instance=\"lb-01\",le=\"1\",proxy=\"www\"}} 4 1457298067000"),
        format!("{name}_bucket{{instance=\"lb-01\",le=\"+Inf\",proxy=\"www\"}} 6 1457298067000"),
        format!("{name}_sum{{instance=\"lb-01\",proxy=\"www\"}} 2.5 1457298067000"),
        format!("{name}_count{{instance=\"lb-01\",proxy=\"www\"}} 6 1457298067000"),
    ];
    assert_eq!(lines(&mut encoder), wanted);
}

proptest! {
    #[test]
    fn requests_are_bounded_and_their_halves_say_the_same(
        labels in proptest::collection::btree_map("[A-Za-z_][a-z_]{0,6}", "[^,\"]{1,8}", 0..4),
        values in proptest::collection::vec((0..4_usize, any::<i32>()), 0..40), max_samples in 1_usize..12,
    ) {
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        let mut encoder = encoder(NameStyle::Promex, &labels, max_samples);
        for (field, value) in &values {
            encoder.object(&SERVER, &host(None), STAMP);
            encoder.field([&b"scur"[..], b"hrsp_2xx", b"ssl_sess", b"stot"][*field], Value::Int((*value).into()));
        }
        let (bodies, count) = bodies(&mut encoder);
        prop_assert_eq!(count, values.len());
        prop_assert_eq!(bodies.len(), values.len().div_ceil(max_samples));
        let mut told = String::new();
        for body in &bodies {
            let all = text(Protocol::RemoteWrite, body);
            prop_assert_eq!(samples(Protocol::RemoteWrite, body), all.lines().count());
            match halves(Protocol::RemoteWrite, body) {
                Some((one, other)) => {
                    let [one, other] = [one, other].map(|half| text(Protocol::RemoteWrite, &half));
                    prop_assert!(!one.is_empty() && !other.is_empty());
                    prop_assert_eq!(one + &other, all.clone());
                }
                None => prop_assert_eq!(all.lines().count(), 1),
            }
            told += &all;
        }
        for (line, (_, value)) in told.lines().zip(&values) {
            let end = format!("}} {value} 1457298067000");
            prop_assert!(line.ends_with(&end), "{}", line);
            let inner = line.split_once('{').unwrap().1;
            let names: Vec<&str> = inner.split("\",").map(|pair| pair.split('=').next().unwrap()).collect();
            let mut sorted = names.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(names, sorted);
        }
    }

    #[test]
    fn copies_stand_for_what_each_series_is_by_itself(
        objects in proptest::collection::vec((
            0..3_usize, "[a-z]{0,9}|[a-z]{70}", 0..4_u64,
            proptest::collection::vec((0..6_usize, 0..3_i64), 0..12),
        ), 0..12),
        before in any::<bool>(),
    ) {
        const FIELDS: [&[u8]; 5] = [b"scur", b"hrsp_2xx", b"ssl_sess", b"stot", b"hrsp_5xx"];
        const KINDS: [ObjectKind; 3] = [ObjectKind::Server, ObjectKind::Backend, ObjectKind::Daemon];
        let labels: &[(&str, &str)] = if before { &[("A", "b"), ("dc", "x"), ("zone", "z")] } else { &[] };
        let told = |max_samples| {
            let mut encoder = encoder(NameStyle::Promex, labels, max_samples);
            for (kind, name, second, values) in &objects {
                let object = Object { kind: KINDS[*kind], proxy: "shop", name };
                encoder.object(&object, &host(None), Epoch(STAMP.0 + second / 3));
                for (field, value) in values {
                    match FIELDS.get(*field) {
                        Some(field) => encoder.field(field, Value::Int(*value)),
                        None => encoder.states("status", &[("UP", *value), ("DOWN", 1)]),
                    }
                }
            }
            bodies(&mut encoder).0
        };
        let (together, apart) = (told(7), told(1));
        prop_assert_eq!(together.concat(), apart.concat());
        prop_assert_eq!(told(10_000).concat(), apart.concat());
    }
}
