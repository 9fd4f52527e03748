//! Permissions of the files that options name: keys, passwords, and certificates to trust.

use super::directories::quoted;
use super::ini::Ini;
use super::kafka::LIBRDKAFKA;
use super::options;
use super::problem::{Problem, Report};
use super::program::Program;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What every user may do, of the permissions of a file.
const READ: u32 = 0o004;
const WRITE: u32 = 0o002;

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// A key, a password, a token, or what may hold one: nobody else should read it.
    Secret,
    /// A certificate: any user may read it.
    Public,
}

/// Looks at the files that the options of `program` name, as far as they are there. Whoever may write a key or the
/// certificate of an authority decides whom the program trusts, so one that every user may write is an error; a secret
/// that every user may read is a warning.
#[must_use]
pub(crate) fn check_permissions(program: Program, ini: &Ini) -> Report {
    let mut report = Report::default();
    for section in ini.sections() {
        for option in ini.own_options(section) {
            let Some(content) = content(option).filter(|_| ini.is_written(section, option)) else { continue };
            let reads = options::find(section, option).is_some_and(|spec| spec.reader.other_than(program).is_none());
            let Some(path) = ini.get(section, option).ok().flatten().filter(|path| reads && !path.is_empty()) else {
                continue;
            };
            // What is not there, or cannot be looked at, is for the code that reads it.
            let Ok(file) = std::fs::metadata(&path) else { continue };
            let mode = file.permissions().mode();
            let problem = |message: &str| Problem::of(ini, section, option, message).text(&path);
            let quoted = quoted(Path::new(&path));
            if mode & WRITE != 0 {
                report.error(problem(&format!("every user can write this file; run: chmod o-w {quoted}")));
            } else if mode & READ != 0 && content == Content::Secret {
                report.warn(problem(&format!("every user can read this file; run: chmod o-r {quoted}")));
            }
        }
    }
    report
}

/// What is in the file that an option names, if it names one of those that matter.
fn content(option: &str) -> Option<Content> {
    const SECRETS: [&str; 6] =
        ["tls-key-file", "password-file", "token-file", "credentials-file", "headers-file", "properties-file"];
    const PUBLIC: [&str; 2] = ["tls-ca-file", "tls-certificate-file"];
    const OF_KAFKA: [(&str, Content); 5] = [
        ("ssl.key.location", Content::Secret),
        ("ssl.keystore.location", Content::Secret),
        ("sasl.kerberos.keytab", Content::Secret),
        ("ssl.ca.location", Content::Public),
        ("ssl.certificate.location", Content::Public),
    ];
    if let Some(property) = option.strip_prefix(LIBRDKAFKA) {
        return OF_KAFKA.iter().find(|(name, _)| *name == property).map(|(_, content)| *content);
    }
    let ends = |names: &[&str]| names.iter().any(|name| option.ends_with(name));
    if ends(&SECRETS) { Some(Content::Secret) } else { ends(&PUBLIC).then_some(Content::Public) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use std::fs::Permissions;

    /// Warnings and errors about a file with these permissions.
    fn found(program: Program, option: &str, section: &str, mode: u32) -> (usize, usize) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a file");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let mut ini = options::defaults();
        ini.read("f", &format!("[paths]\nhere = {}\n[{section}]\n{option} = ${{paths:here}}\n", path.display()))
            .unwrap();
        let report = check_permissions(program, &ini);
        for problem in report.errors.iter().chain(&report.warnings) {
            let words = problem.to_string();
            assert!(words.starts_with("f:4: ") && words.contains("chmod o-"), "{words}");
            assert!(words.ends_with("a file'"), "{words}");
        }
        (report.warnings.len(), report.errors.len())
    }

    #[test]
    fn what_others_may_read_is_a_warning_and_what_they_may_write_an_error() {
        use Program::{Agent, Discovery, Process, Pull};
        for (program, section, option, secret) in [
            (Process, "graphite", "tls-key-file", true),
            (Process, "graphite", "tls-ca-file", false),
            (Process, "kafka", "sasl-password-file", true),
            (Process, "kafka", "properties-file", true),
            (Process, "kafka", "librdkafka.ssl.key.location", true),
            (Process, "kafka", "librdkafka.ssl.ca.location", false),
            (Agent, "agent", "credentials-file", true),
            (Agent, "agent:web", "headers-file", true),
            (Discovery, "discovery", "store-token-file", true),
            (Discovery, "discovery", "tls-certificate-file", false),
            (Discovery, "discovery-server", "consul-token-file", true),
        ] {
            assert_eq!(found(program, option, section, 0o640), (0, 0), "{section} {option}");
            assert_eq!(found(program, option, section, 0o644), (usize::from(secret), 0), "{section} {option}");
            assert_eq!(found(program, option, section, 0o666), (0, 1), "{section} {option}");
            assert_eq!(found(Pull, option, section, 0o666), (0, 0), "{section} {option}");
        }
        assert_eq!(found(Process, "exclude-frontends", "process", 0o666), (0, 0));
    }

    #[test]
    fn what_is_not_there_is_for_others_to_report() {
        let text = "[kafka]\ntopic = x\nproperties-file = /nowhere/at/all\n";
        let loaded = load::from_text(Program::Process, text, "f").unwrap();
        assert_eq!(check_permissions(Program::Process, &loaded.ini), Report::default());
    }
}
