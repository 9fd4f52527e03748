//! TLS, tokens and passwords for stores and sources, and what `--check` says about their files.

use super::consul_double::{Consul, entry};
use super::etcd::Etcd;
use super::program::{Site, slots};
use super::store::{config, contract, local};
use crate::harness::peer;
use haproxystats::config::Tls;
use haproxystats::discovery::http::Http;
use haproxystats::discovery::store::open;
use hyper::Method;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

/// A certificate for 127.0.0.1 that is its own authority, and its key. It has no common name: where users have passwords,
/// etcd takes no client with one through its JSON gateway. `None` where openssl is missing.
#[track_caller]
fn certificate(directory: &Path, name: &str) -> Option<(PathBuf, PathBuf)> {
    let openssl = peer("openssl")?;
    Some(crate::harness::certificate::certificate(&openssl, directory, name, "/O=haproxystats", "IP:127.0.0.1"))
}

/// Passes on what it gets over TLS; returns its port. It ends with the test.
fn tls_before(port: u16, certificate: &Path, key: &Path) -> u16 {
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let settings = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(settings));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        local(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::task::spawn_local(async move {
                    let mut stream = acceptor.accept(stream).await?;
                    let mut plain = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
                    tokio::io::copy_bidirectional(&mut stream, &mut plain).await
                });
            }
        });
    });
    own
}

#[test]
fn etcd_asks_for_a_certificate_and_a_password() {
    let place = tempfile::tempdir().unwrap();
    let Some((certificate, key)) = self::certificate(place.path(), "own") else { return };
    let (foreign, _) = self::certificate(place.path(), "foreign").unwrap();
    let path = |path: &Path| path.display().to_string();
    let options = [
        "--cert-file".to_owned(),
        path(&certificate),
        "--key-file".to_owned(),
        path(&key),
        "--client-cert-auth".to_owned(),
        "--trusted-ca-file".to_owned(),
        path(&certificate),
    ];
    let Some(etcd) = Etcd::start_with("https", &options) else { return };
    let url = format!("https://127.0.0.1:{}", etcd.port);
    // A user who may read and write what begins with h/, and nothing else.
    let tls = Tls {
        ca_file: Some(certificate.clone()),
        identity: Some((certificate.clone(), key.clone())),
        ..Tls::default()
    };
    local(async {
        let http = Http::open(std::slice::from_ref(&url), &tls).unwrap();
        let range = r#""key": "aC8=", "range_end": "aDA=""#;
        for (request, body) in [
            ("role/add", r#"{"name": "root"}"#.to_owned()),
            ("user/add", r#"{"name": "root", "password": "strong"}"#.to_owned()),
            ("user/grant", r#"{"user": "root", "role": "root"}"#.to_owned()),
            ("role/add", r#"{"name": "list"}"#.to_owned()),
            ("role/grant", format!(r#"{{"name": "list", "perm": {{"permType": "READWRITE", {range}}}}}"#)),
            ("user/add", r#"{"name": "lister", "password": "a:b"}"#.to_owned()),
            ("user/grant", r#"{"user": "lister", "role": "list"}"#.to_owned()),
            ("enable", "{}".to_owned()),
        ] {
            let path = format!("/v3/auth/{request}");
            let reply = http.send(Method::POST, &path, &[], body, Duration::from_secs(10)).await.unwrap();
            assert_eq!(reply.status, 200, "{path}: {}", reply.excerpt());
        }
    });
    let credentials = place.path().join("credentials");
    std::fs::write(&credentials, "lister:wrong\n").unwrap();
    let text = |ca: &Path, identity: bool, credentials_file: bool| {
        let mut text =
            format!("[discovery]\nstore = etcd\nstore-key = h\nstore-url = {url}\ntls-ca-file = {}\n", path(ca));
        if identity {
            text += &format!("tls-certificate-file = {}\ntls-key-file = {}\n", path(&certificate), path(&key));
        }
        if credentials_file {
            text += &format!("store-credentials-file = {}\n", path(&credentials));
        }
        text
    };
    let failure = |text: String| {
        let config = config(&text);
        let error = local(async { open(&config).await.unwrap().load().await.unwrap_err() });
        haproxystats::logging::Chain(&error).to_string()
    };
    for (text, words) in [
        (text(&foreign, true, true), "TLS"),
        (text(&certificate, false, true), "127.0.0.1:"),
        (text(&certificate, true, false), "permission denied"),
        (text(&certificate, true, true), "invalid user ID or password"),
    ] {
        let said = failure(text);
        assert!(said.contains(words) && !said.contains("wrong"), "{words}: {said}");
    }
    std::fs::write(&credentials, "lister:a:b\n").unwrap();
    let config = config(&text(&certificate, true, true));
    local(async {
        let (a, b) = (open(&config).await.unwrap(), open(&config).await.unwrap());
        contract(a, b, 2, true).await;
    });
}

#[test]
fn consul_behind_tls_asks_for_tokens() {
    let consul = Consul::start();
    let place = tempfile::tempdir().unwrap();
    let Some((certificate, key)) = self::certificate(place.path(), "own") else { return };
    let (foreign, _) = self::certificate(place.path(), "foreign").unwrap();
    let plain: u16 = consul.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let url = format!("https://127.0.0.1:{}", tls_before(plain, &certificate, &key));
    consul.change(|state| state.token = Some("geheim".to_owned()));
    consul.register("web", &[entry("n1", "10.0.0.1", r#""Address":"","Port":80"#, &["passing"])]);
    let site = |ca: &Path| {
        let site = Site::new(&format!(
            "[discovery]\nstore = consul\nstore-url = {url}\nstore-token-file = @/token\ntls-ca-file = {}\n\
             [discovery-server]\nmode = consul\nconsul-api-url = {url}\nconsul-service-name = web\n\
             consul-token-file = @/token\n",
            ca.display()
        ));
        site.write("token", "geheim\n");
        site
    };
    let stranger = site(&foreign).run(&["--server", "--once"]);
    let log = String::from_utf8_lossy(&stranger.stdout).into_owned() + &String::from_utf8_lossy(&stranger.stderr);
    assert!(!stranger.status.success() && log.contains("TLS: invalid peer certificate"), "{log}");
    assert_eq!(consul.requests(), [""; 0], "nothing is said to somebody who is not known");
    let site = site(&certificate);
    site.write("token", "falsch\n");
    let refused = site.run(&["--server", "--once"]);
    let log = String::from_utf8_lossy(&refused.stdout).into_owned() + &String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && log.contains("403") && !log.contains("falsch"), "{log}");
    site.write("token", "geheim\n");
    site.good(&["--server", "--once"]);
    let text = std::fs::read_to_string(site.path("haproxystats.conf")).unwrap();
    let text = text.replace("exporter-port = 0\n", "");
    let stored = local(async { open(&config(&text)).await.unwrap().load().await.unwrap() });
    assert!(stored.document.as_ref().map(slots).unwrap().starts_with("n1/web - "));
}

#[test]
fn a_check_names_the_option_of_each_file_that_cannot_be_used() {
    let place = tempfile::tempdir().unwrap();
    let Some((certificate, key)) = self::certificate(place.path(), "own") else { return };
    let (_, foreign) = self::certificate(place.path(), "foreign").unwrap();
    let (certificate, key, foreign) = (certificate.display(), key.display(), foreign.display());
    let etcd = "[discovery]\nstore = etcd\nstore-url = https://127.0.0.1:1\n";
    let consul = "[discovery]\nstore = consul\nstore-url = https://127.0.0.1:1\n";
    let source = "[discovery-server]\nmode = consul\nconsul-api-url = http://127.0.0.1:1\nconsul-service-name = web\n";
    let ca = format!("tls-ca-file = {certificate}\n");
    for (text, wrong) in [
        (format!("{etcd}{ca}store-credentials-file = @/absent\n"), "[discovery] store-credentials-file"),
        (format!("{etcd}{ca}store-credentials-file = @/word\n"), "[discovery] store-credentials-file"),
        (format!("{consul}{ca}store-token-file = @/empty\n"), "[discovery] store-token-file"),
        (format!("{etcd}tls-ca-file = @/word\n"), "[discovery] tls-ca-file"),
        (
            format!("{etcd}{ca}tls-certificate-file = @/word\ntls-key-file = {key}\n"),
            "[discovery] tls-certificate-file",
        ),
        (
            format!("{etcd}{ca}tls-certificate-file = {certificate}\ntls-key-file = @/word\n"),
            "[discovery] tls-key-file",
        ),
        (
            format!("{etcd}{ca}tls-certificate-file = {certificate}\ntls-key-file = {foreign}\n"),
            "[discovery] tls-key-file",
        ),
        (
            format!("{etcd}{ca}graphite = true\n[graphite]\ntls = true\ntls-ca-file = @/word\n"),
            "[graphite] tls-ca-file",
        ),
    ] {
        let site = Site::new(&text);
        site.write("word", "geheim\n");
        site.write("empty", "\n");
        let output = site.run(&["--check"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{text}\n{said}");
        assert_eq!(said.matches("error: ").count(), 1, "{text}\n{said}");
        assert!(said.contains(wrong) && !said.contains("holds geheim"), "{wrong}: {said}");
    }
    // A client does without the token of the source.
    let text = format!(
        "{etcd}{ca}tls-certificate-file = {certificate}\ntls-key-file = {key}\n{source}consul-token-file = @/absent\n"
    );
    let site = Site::new(&text);
    let output = site.run(&["--check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("warning: "), "{said}");
    assert!(
        said.contains("[discovery-server] consul-token-file") && said.contains("--server would not start"),
        "{said}"
    );
    // What is wrong in [graphite] does not make the program run as if nothing were configured.
    let site = Site::new("[discovery]\ngraphite = true\n[graphite]\nprotocol = carrier-pigeon\n");
    let output = site.run(&["--check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("[discovery] graphite") && said.contains("carrier-pigeon"), "{said}");
    // Files that nothing asks for are not opened.
    let site = Site::new("[discovery]\nstore-token-file = @/absent\ntls-ca-file = @/absent\n");
    assert_eq!(site.good(&["--check"]), "the configuration of haproxystats-discovery is good\n");
}
