//! Secrets are said to the receiver, and to nobody else.

use super::{alone, assert_complete, expected};
use crate::harness::receiver::Receiver;
use crate::harness::{SOON, process, run, with_config, write};
use haproxystats::prometheus::request::Protocol;

#[test]
fn a_token_is_read_again_when_it_is_refused_and_never_shown() {
    let wanted = expected(Protocol::RemoteWrite, 0..4);
    let receiver = Receiver::start(Protocol::RemoteWrite);
    let files = tempfile::tempdir().unwrap();
    let token = write(files.path(), "token", "geheim-1\n");
    let headers = write(files.path(), "headers", "X-Key: geheim-k\n");
    let options = format!(
        "bearer-token-file = {}\nheaders-file = {}\nheaders = X-Scope-OrgID: team-a",
        token.display(),
        headers.display()
    );
    let setup = alone(&receiver, &options);
    receiver.behave(|behaviour| behaviour.wants = Some("Authorization: Bearer geheim-1".to_owned()));
    let mut daemon = setup.daemon();
    setup.publish(0..2);
    setup.wait_until_empty();
    let head = receiver.taken().head.to_ascii_lowercase();
    assert!(head.contains("\r\nx-key: geheim-k\r\n") && head.contains("\r\nx-scope-orgid: team-a\r\n"), "{head}");

    receiver.behave(|behaviour| behaviour.wants = Some("Authorization: Bearer geheim-2".to_owned()));
    setup.publish(2..4);
    daemon.wait_for_output("check bearer-token-file", SOON);
    write(files.path(), "token", "geheim-2\n");
    assert_complete(&setup, &receiver, &wanted);
    for pid in daemon.children().into_iter().chain([daemon.pid()]) {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!line.contains("geheim"), "{line}");
    }
    daemon.stop(SOON);
    let output = daemon.output();
    assert!(!output.contains("geheim"), "{output}");
    let mut print = with_config(process(), setup.config());
    print.arg("-P");
    let (status, output) = run(print, SOON);
    assert!(status.success() && output.contains("bearer-token-file") && !output.contains("geheim"), "{output}");
}

#[test]
fn a_user_has_a_password() {
    let receiver = Receiver::start(Protocol::Otlp);
    let files = tempfile::tempdir().unwrap();
    let password = write(files.path(), "password", "geheim\n");
    let setup = alone(&receiver, &format!("user = u\npassword-file = {}", password.display()));
    receiver.behave(|behaviour| behaviour.wants = Some("Authorization: Basic dTpnZWhlaW0=".to_owned()));
    let mut daemon = setup.daemon();
    setup.publish(0..2);
    setup.wait_until_empty();
    daemon.stop(SOON);
}

#[test]
fn a_check_finds_files_that_cannot_be_used() {
    let receiver = Receiver::start(Protocol::Otlp);
    let setup = alone(&receiver, "");
    let text = std::fs::read_to_string(setup.config()).unwrap();
    let text = text.replace("url = http://", "tls-ca-file = /nowhere/ca.pem\nurl = https://");
    std::fs::write(setup.config(), text).unwrap();
    let mut check = with_config(process(), setup.config());
    check.arg("--check");
    let (status, output) = run(check, SOON);
    assert!(!status.success() && output.contains("[otlp]") && output.contains("/nowhere/ca.pem"), "{output}");
}
