//! `[exporter]`: the page of metrics for Prometheus, and `[exporter:PROGRAM]` for programs that share a file.

use super::ini::Ini;
use super::problem::Report;
use super::program::{self, EXPORTER, Program};
use super::reading::Refusal;
use super::section::Section;
use super::value;
use crate::config::option::options;
use crate::config::reading::{Reading, Type};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

options! {
    pub(crate) static ROWS: EXPORTER, All {
        LISTEN: Option<SocketAddr> = Reading::new(Type::Socket, address), "listen", None,
            "Address and port of the metrics page for Prometheus (GET /metrics), or only a port for 127.0.0.1; unset: \
             no page. Each program on a host needs its own port, in a section [exporter:PROGRAM].";
        STATISTICS: bool = value::BOOLEAN, "statistics", None, Process,
            "Also serve HAProxy's metrics on the page of haproxystats-process: those of the newest snapshot; unset: \
             false.";
        TLS_CERTIFICATE_FILE: PathBuf = value::FILE, "tls-certificate-file", None,
            "Certificate (PEM) with which the metrics page is served over HTTPS; together with tls-key-file.";
        TLS_KEY_FILE: PathBuf = value::FILE, "tls-key-file", None,
            "Private key (PEM) of tls-certificate-file.";
        TOKEN_FILE: PathBuf = value::FILE, "token-file", None,
            "File with a token on its first line that requests for the metrics page must contain (Authorization: \
             Bearer).";
    }
}

/// `[exporter]`, as one program has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exporter {
    /// Where the page is served; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether haproxystats-process serves HAProxy's metrics on it.
    pub statistics: bool,
    /// Certificate and key, for HTTPS.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// File with the bearer token that a request has to carry.
    pub token_file: Option<PathBuf>,
}

/// Reads what `program` reads; `None` when a value cannot be right, which is in the report then.
pub(super) fn read(program: Program, ini: &Ini, report: &mut Report) -> Option<Exporter> {
    let section = whereabouts(program, "listen", ini);
    let listen = Section::new(&section, ini, report).optional(&LISTEN);
    let with_statistics = whereabouts(program, STATISTICS.name(), ini);
    let statistics = Section::new(&with_statistics, ini, report).or_default(&STATISTICS);
    let (listen, statistics) = (listen?.flatten(), statistics?);
    if statistics && listen.is_none() && program == Program::Process {
        Section::new(&with_statistics, ini, report).warn(STATISTICS.name(), "has no effect without listen".to_owned());
    }
    let others = Program::ALL.into_iter().filter(|other| *other != program && runs(*other, ini) && runs(program, ini));
    for other in others.filter(|_| listen.is_some()) {
        let theirs = whereabouts(other, "listen", ini);
        if ini.get(&theirs, "listen").ok().flatten().and_then(|text| address(&text).ok()?) == listen {
            let message = format!(
                "is also the address of {}, which has a section in this file: only one of the two can use it; write \
                 another one in [{EXPORTER}:{}]",
                other.name(),
                other.word()
            );
            Section::new(&section, ini, report).warn("listen", message);
        }
    }
    let (identity, token_file) = access(program, ini, report, listen.is_some())?;
    Some(Exporter { listen, statistics: statistics && listen.is_some(), identity, token_file })
}

/// Whether haproxystats-process shows HAProxy's metrics on its page.
pub(super) fn shows_statistics(ini: &Ini) -> bool {
    read(Program::Process, ini, &mut Report::default()).is_some_and(|exporter| exporter.statistics)
}

type Access = (Option<(PathBuf, PathBuf)>, Option<PathBuf>);

/// Access to the page.
fn access(program: Program, ini: &Ini, report: &mut Report, served: bool) -> Option<Access> {
    let own = format!("{EXPORTER}:{}", program.word());
    let section = &mut Section::above(EXPORTER, &own, ini, report);
    let (token, tls) =
        (section.optional(&TOKEN_FILE), [&TLS_CERTIFICATE_FILE, &TLS_KEY_FILE].map(|o| section.optional(o)));
    let [certificate, key] = tls;
    let (token, certificate, key) = (token?, certificate?, key?);
    let written = [(TOKEN_FILE.name(), token.is_some()), (TLS_CERTIFICATE_FILE.name(), certificate.is_some())];
    // The page of discovery has an address of its own.
    for (option, _) in written.into_iter().filter(|(_, written)| *written && !served && program != Program::Discovery) {
        section.warn(option, "has no effect without listen");
    }
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            section.error(TLS_CERTIFICATE_FILE.name(), "needs tls-key-file, the file with its private key");
            return None;
        }
        (None, Some(_)) => {
            section.error(TLS_KEY_FILE.name(), "needs tls-certificate-file, the file with its certificate");
            return None;
        }
    };
    Some((identity, token))
}

/// The section that has an option of a program.
fn whereabouts(program: Program, option: &str, ini: &Ini) -> String {
    let own = format!("{EXPORTER}:{}", program.word());
    if ini.has_own(&own, option) { own } else { EXPORTER.to_owned() }
}

/// Whether a file is one for this program.
fn runs(program: Program, ini: &Ini) -> bool {
    ini.sections().any(|section| program::base(section) == program.word() && ini.section_place(section).is_some())
}

fn address(text: &str) -> Result<Option<SocketAddr>, Refusal> {
    // An empty value switches the page off for one program.
    if text.is_empty() {
        return Ok(None);
    }
    let alone = || Some(SocketAddr::from((Ipv4Addr::LOCALHOST, text.parse::<u16>().ok()?)));
    let address = text.parse().ok().or_else(alone).filter(|address: &SocketAddr| address.port() > 0);
    address.map(Some).ok_or_else(|| "not an address and a port; write 127.0.0.1:9101, [::1]:9101 or 9101".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn listen(program: Program, text: &str) -> (Option<String>, String) {
        let loaded = load::from_text(program, text, "x.conf").unwrap();
        let warnings = loaded.warnings.iter().map(|warning| format!("{warning}\n"));
        let warnings = warnings.filter(|warning| warning.contains("[exporter")).collect();
        (loaded.config.exporter.listen.map(|address| address.to_string()), warnings)
    }

    #[test]
    fn it_is_off_by_default() {
        assert!(Program::ALL.into_iter().all(|program| listen(program, "") == (None, String::new())));
    }

    #[test]
    fn programs_that_share_a_file_have_addresses_of_their_own() {
        let text = "[exporter]\nlisten = 127.0.0.1:9101\n[pull]\n[process]\n[agent:x]\n";
        let (address, warnings) = listen(Program::Process, text);
        assert_eq!(address.as_deref(), Some("127.0.0.1:9101"));
        assert!(
            warnings.contains("also the address of haproxystats-pull") && warnings.contains("[exporter:agent]"),
            "{warnings}"
        );
        let text = format!("{text}[exporter:process]\nlisten = [::1]:9102\n[exporter:agent]\nlisten =\n");
        let found = Program::ALL.map(|program| listen(program, &text));
        let addresses = found.map(|(address, warnings)| (address.unwrap_or_default(), warnings));
        let wanted = ["127.0.0.1:9101", "[::1]:9102", ""].map(|address| (address.to_owned(), String::new()));
        assert_eq!(addresses[..3], wanted);
    }

    #[test]
    fn one_program_alone_needs_no_section_of_its_own() {
        let found = listen(Program::Agent, "[exporter]\nlisten = 127.0.0.1:9101\n[agent]\n");
        assert_eq!(found, (Some("127.0.0.1:9101".to_owned()), String::new()));
    }

    #[test]
    fn statistics_are_on_the_page_where_there_is_one() {
        let of = |text: &str| {
            let loaded = load::from_text(Program::Process, text, "x.conf").unwrap();
            let warned = loaded.warnings.iter().any(|warning| warning.to_string().contains("has no effect"));
            (loaded.config.exporter.statistics, warned)
        };
        assert_eq!(of("[exporter]\nlisten = 127.0.0.1:9101\n"), (false, false));
        assert_eq!(of("[exporter]\nlisten = 127.0.0.1:9101\n[exporter:process]\nstatistics = on\n"), (true, false));
        assert_eq!(of("[exporter]\nstatistics = true\n"), (false, true));
    }

    #[test]
    fn a_port_alone_is_one_of_loopback() {
        let found = listen(Program::Pull, "[exporter]\nlisten = 9101\n");
        assert_eq!(found.0.as_deref(), Some("127.0.0.1:9101"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["0", "localhost:9101", "127.0.0.1", "127.0.0.1:0"] {
            let text = format!("[exporter]\nlisten = {text}\n");
            assert!(load::from_text(Program::Pull, &text, "x.conf").is_err(), "{text}");
        }
    }
}
