use super::*;
use crate::config::load::{Loaded, Refused, from_text};
use crate::config::{NameStyle, Program};

fn load(text: &str) -> Result<Loaded, Refused> {
    from_text(Program::Process, text, "test.conf")
}

/// What is wrong with a section of these lines.
fn errors(section: &str, lines: &str) -> Vec<String> {
    let text = format!("[{section}]\nurl = https://a/x\n{lines}\n");
    load(&text).map_or_else(|refused| refused.report.errors.iter().map(ToString::to_string).collect(), |_| Vec::new())
}

#[test]
fn a_url_switches_a_destination_on() {
    let config = load("").unwrap().config;
    assert!(config.otlp.is_none() && config.remote_write.is_none());
    let loaded =
        load("[otlp]\ncompression = none\n[remote-write]\nurl = http://localhost:9090/api/v1/write\n").unwrap();
    assert!(loaded.config.otlp.is_none(), "it has no url");
    assert!(loaded.warnings.iter().any(|warning| warning.to_string().contains("[otlp] url")), "{:?}", loaded.warnings);
    let remote = loaded.config.remote_write.unwrap();
    assert_eq!((remote.timeout, remote.delay), (Duration::from_secs(30), Duration::from_secs(1)));
    assert_eq!((remote.max_samples.get(), remote.parallel.get(), remote.naming.style), (2000, 4, NameStyle::Promex));
    assert!(remote.compress && remote.naming.labels.is_empty() && remote.authentication.is_none());
}

#[test]
fn every_option_is_read() {
    let text = "[otlp]\nurl = https://otel.example:4318/v1/metrics\nheaders = X-A: 1\n  X-B: two: 2\nheaders-file = /h\n\
                user = u\npassword-file = /p\ntls-ca-file = /ca\ntls-verify = false\ntls-certificate-file = /c\n\
                tls-key-file = /k\nrequest-timeout = 5\ndelay = 0.5\nparallel-requests = 2\nmax-samples-per-request = 100\n\
                queue-size = 7\nnames = haproxystats\nresource-attributes = a.b=1, c=d\n  e=f\ncompression = none\n";
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let wanted = Remote {
        url: "https://otel.example:4318/v1/metrics".to_owned(),
        headers: vec![pair("X-A", "1"), pair("X-B", "two: 2")],
        headers_file: Some("/h".into()),
        authentication: Some(Authentication::Basic { user: "u".to_owned(), password_file: "/p".into() }),
        tls: Tls { ca_file: Some("/ca".into()), verify: false, identity: Some(("/c".into(), "/k".into())) },
        timeout: Duration::from_secs(5),
        delay: Duration::from_millis(500),
        parallel: NonZeroUsize::new(2).unwrap(),
        max_samples: NonZeroUsize::new(100).unwrap(),
        queue_size: NonZeroUsize::new(7).unwrap(),
        naming: Naming {
            style: NameStyle::Haproxystats,
            labels: vec![pair("a.b", "1"), pair("c", "d"), pair("e", "f")],
        },
        compress: false,
    };
    let loaded = load(text).unwrap();
    assert_eq!(loaded.config.otlp, Some(wanted));
    // As workers get it.
    let again = load(&loaded.ini.to_text()).unwrap();
    assert_eq!(again.config.otlp, loaded.config.otlp);
}

#[test]
fn what_cannot_be_right_is_refused() {
    for (lines, wanted) in [
        ("user = u", "needs password-file"),
        ("password-file = /p", "needs user"),
        ("user = a:b\npassword-file = /p", "a colon"),
        ("headers = Authorization: Bearer geheim", "contains a secret"),
        ("headers = Content-Type: x", "is set by haproxystats"),
        ("headers = X-A: 1\n  x-a: 2", "is listed twice"),
        ("headers = nonsense", "not a header"),
        ("labels = 1a=b", "not a valid label name"),
        ("labels = __name__=b", "not a valid label name"),
        ("labels = a", "not name=value"),
        ("labels = a=1,a=2", "is listed twice"),
        ("parallel-requests = 65", "more than 64"),
        ("max-samples-per-request = 50001", "more than 50000"),
        ("tls-key-file = /k", "needs tls-certificate-file"),
        ("names = other", "write promex or haproxystats"),
    ] {
        let found = errors("remote-write", lines);
        assert!(found.len() == 1 && found.iter().all(|error| error.contains(wanted)), "{lines}: {found:?}");
    }
    for bad in ["ftp://a/x", "a/x", "http://", "http://u:geheim@a/x", "http://a b/", "http://a/#x", "https:///x"] {
        assert!(url::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_seldom_meant_is_a_warning() {
    for (url, lines, wanted) in [
        ("http://a:4318", "", Some("most receivers expect /v1/metrics")),
        ("http://a:4318/", "", Some("most receivers expect /v1/metrics")),
        ("http://a/v1/metrics", "bearer-token-file = /t", Some("unencrypted")),
        ("http://localhost:1/v1/metrics", "bearer-token-file = /t", None),
        ("http://a/v1/metrics", "tls-verify = false", Some("has no effect without https://")),
        ("https://a/v1/metrics", "headers = X-Api-Key: 1", Some("looks like a secret")),
        ("https://a/v1/metrics", "headers = X-Scope-OrgID: 1", None),
        ("https://a/v1/metrics", "bearer-token-file = /t\nuser = u", Some("user and password-file have no effect")),
    ] {
        let loaded = load(&format!("[otlp]\nurl = {url}\n{lines}\n")).unwrap();
        let warnings: Vec<String> =
            loaded.warnings.iter().map(ToString::to_string).filter(|warning| warning.contains("[otlp]")).collect();
        match wanted {
            Some(wanted) => assert!(warnings.len() == 1 && warnings[0].contains(wanted), "{url} {lines}: {warnings:?}"),
            None => assert!(warnings.is_empty(), "{warnings:?}"),
        }
    }
}
