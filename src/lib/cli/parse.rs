//! Words of a command line to what they ask for.
//!
//! docopt matches them against the usage text, after [`super::canonical`] has spelt them out; help and version are given
//! wherever they stand, as the original's docopt gave them.

use super::arguments::{Action, Arguments, Discover, LatencyRules, Run};
use super::canonical::{Word, canonical};
use super::known::{OWN, known};
use super::replay::replay;
use super::top::top;
use super::usage::{short_usage, usage};
use crate::config::{Program, did_you_mean};
use docopt::{ArgvMap, Docopt};
use std::ffi::OsString;
use std::path::PathBuf;

/// Understands a command line without the name of the program.
///
/// # Errors
/// What is to be printed.
pub(crate) fn parse(program: Program, words: impl Iterator<Item = OsString>) -> Result<Arguments, String> {
    read(program, words).map_err(|reason| match reason.as_str() {
        "" => short_usage(program).to_owned(),
        _ => format!("{reason}\n{}", short_usage(program)),
    })
}

/// The same; what is wrong in words, if there are any beyond the usage.
fn read(program: Program, words: impl Iterator<Item = OsString>) -> Result<Arguments, String> {
    let mut texts = Vec::new();
    for word in words {
        texts.push(word.into_string().map_err(|word| format!("{word:?} is not UTF-8"))?);
    }
    let arguments = |action| Arguments { file: PathBuf::new(), dir: None, overrides: String::new(), action };
    // A plug-in has options of its own.
    if let Some((first, rest)) = texts.split_first()
        && first == "--nagios"
    {
        return Ok(arguments(Action::Nagios(rest.to_vec())));
    }
    let setting_up = texts.split_first().filter(|(first, _)| *first == "--setup" && program == Program::Pull);
    if let Some((_, rest)) = setting_up {
        return setup(rest).map(arguments);
    }
    let words = canonical(program, texts)?;
    if let Some(action) = at_once(program, &words) {
        return Ok(arguments(action));
    }
    // No operand needs the word that separates them; the crate would accept it.
    if let Some((word, _)) = words.iter().find(|(word, _)| word == "--") {
        return Err(stranger(program, word));
    }
    let given: Vec<String> = words.iter().map(|(word, _)| word.clone()).collect();
    let argv = std::iter::once(program.name().to_owned())
        .chain(words.into_iter().flat_map(|(option, value)| std::iter::once(option).chain(value)));
    let parsed = Docopt::new(usage(program)).and_then(|docopt| docopt.argv(argv).help(false).parse());
    let parsed = parsed.map_err(|_| misfit(program, &given))?;
    // An empty name is a name of no file, as it was: nothing but an error of the system tells it apart.
    let file =
        if parsed.get_bool("--skip-config") { "/dev/null".into() } else { PathBuf::from(parsed.get_str("--file")) };
    let action = action(program, &parsed)?;
    Ok(Arguments { file, dir: path(&parsed, "--dir"), overrides: overrides(&parsed)?, action })
}

/// The files and directories of HAProxy's configuration, with or without the `-f` that HAProxy has before each.
fn setup(words: &[String]) -> Result<Action, String> {
    let paths: Vec<&String> = words.iter().filter(|word| *word != "-f").collect();
    match paths.iter().find(|word| word.starts_with('-')) {
        Some(word) => Err(format!("unknown option {word} after --setup; write files or directories of HAProxy")),
        None => Ok(Action::Setup(paths.into_iter().map(PathBuf::from).collect())),
    }
}

/// What is to be said of a word that means nothing to a program.
fn stranger(program: Program, word: &str) -> String {
    if !word.starts_with('-') || word.len() < 2 || word == "--" {
        return format!("unexpected argument {word:?}");
    }
    let name = word.split('=').next().unwrap_or(word);
    let advice = did_you_mean(name, known(program).map(|(long, ..)| long));
    let owner = OWN.iter().find(|(own, _)| *own == name).map(|(_, owner)| owner.name());
    match owner {
        Some(owner) => format!("unknown option {name}; it is one of {owner}"),
        None => format!("unknown option {name}{advice}"),
    }
}

/// What is to be said of words that are not allowed like this.
fn misfit(program: Program, given: &[String]) -> String {
    let unknown = |word: &&String| known(program).all(|(long, ..)| long != word.as_str());
    let mut strangers: Vec<&String> = given.iter().filter(unknown).collect();
    // Options first: an operand may be the value of one that does not exist.
    strangers.sort_by_key(|word| !word.starts_with('-'));
    if let Some(word) = strangers.first() {
        return stranger(program, word);
    }
    let twice =
        given.iter().enumerate().find(|(index, option)| given.iter().take(*index).any(|other| other == *option));
    match (twice, given) {
        (Some((_, option)), _) => format!("{option} is given twice"),
        (None, [one]) => format!("{one} cannot be used alone"),
        (None, _) => format!("{} cannot be used together", given.join(", ")),
    }
}

/// What is asked for whatever else stands there.
fn at_once(program: Program, words: &[Word]) -> Option<Action> {
    let find = |option: &str| words.iter().find(|(word, _)| word == option);
    if find("--help").is_some() {
        return Some(Action::Help);
    }
    if find("--version").is_some() {
        return Some(Action::Version);
    }
    // Any text is a line to explain, also one that looks like an option.
    if let Some((_, Some(line))) = find("--explain").filter(|_| program == Program::Agent) {
        return Some(Action::Explain(line.clone()));
    }
    find("--import-datawave").and_then(|(_, file)| Some(Action::Import(file.as_ref()?.into())))
}

pub(super) fn path(parsed: &ArgvMap, option: &str) -> Option<PathBuf> {
    Some(parsed.get_str(option)).filter(|text| !text.is_empty()).map(PathBuf::from)
}

fn action(program: Program, parsed: &ArgvMap) -> Result<Action, String> {
    let is_set = |option: &&str| parsed.get_bool(option);
    if program == Program::Top && !["--check", "--print", "--print-conf"].iter().any(is_set) {
        return top(parsed).map(Action::Top);
    }
    if program == Program::Process
        && let Some(snapshot) = path(parsed, "--once")
    {
        return Ok(Action::Once { snapshot, count: parsed.get_bool("--count") });
    }
    if program == Program::Process
        && let Some(metric) = Some(parsed.get_str("--explain")).filter(|metric| !metric.is_empty())
    {
        return Ok(Action::ExplainMetric { metric: metric.to_owned(), snapshot: path(parsed, "<snapshot>") });
    }
    if program == Program::Process
        && let Some(place) = path(parsed, "--replay")
    {
        return replay(parsed, place).map(|asked| Action::Replay(Box::new(asked)));
    }
    Ok(match () {
        () if parsed.get_bool("--ask") => Action::Ask,
        () if parsed.get_bool("--latency-rules") => Action::LatencyRules(latency_rules(parsed)),
        () if parsed.get_bool("--check") => Action::Check { strict: parsed.get_bool("--strict") },
        () if parsed.get_bool("--status") => Action::Status(parsed.get_bool("--json")),
        () if parsed.get_bool("--print") => Action::PrintDefaults,
        () if parsed.get_bool("--print-conf") => Action::PrintConfiguration,
        () if program == Program::Discovery => Action::Discover(discover(parsed)?),
        () => Action::Run,
    })
}

fn discover(parsed: &ArgvMap) -> Result<Discover, String> {
    let (server, client) = (parsed.get_bool("--server"), parsed.get_bool("--client"));
    if !server && !client {
        return Err("specify --server, --client or both".to_owned());
    }
    let run = match (parsed.get_bool("--once"), parsed.get_bool("--dry-run")) {
        (true, _) => Run::Once,
        (false, true) => Run::Dry,
        (false, false) => Run::Loop,
    };
    Ok(Discover { server, client, run })
}

fn latency_rules(parsed: &ArgvMap) -> LatencyRules {
    let word = |option| parsed.get_str(option).to_owned();
    LatencyRules {
        buckets: word("--buckets"),
        timers: word("--timers"),
        table: word("--table"),
        base: word("--base"),
        peers: word("--peers"),
    }
}

/// What the command line sets, as text of a configuration file.
fn overrides(parsed: &ArgvMap) -> Result<String, String> {
    let mut overrides = String::new();
    if parsed.get_bool("--debug") {
        overrides.push_str("[discovery]\ndebug = true\n");
    }
    for (option, name) in [("--bind", "bind"), ("--port", "port")] {
        let value = parsed.get_str(option);
        if value.contains(|c: char| c.is_whitespace() || c.is_control() || c == '$') {
            return Err(format!("{option} {value:?} is neither an address nor a port"));
        }
        if !value.is_empty() {
            let header = if overrides.is_empty() { "[agent]\n" } else { "" };
            overrides.push_str(&format!("{header}{name} = {value}\n"));
        }
    }
    Ok(overrides)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_parse(program: Program, line: &str) -> Result<Arguments, String> {
        parse(program, line.split_whitespace().map(OsString::from))
    }

    fn action(line: &str) -> Action {
        try_parse(Program::Process, line).unwrap().action
    }

    #[test]
    fn every_form_of_every_option() {
        for line in
            ["-f a.conf -d b", "-fa.conf -db", "--file a.conf --dir b", "--file=a.conf --dir=b", "--fi a.conf --di b"]
        {
            let expected = Arguments {
                file: "a.conf".into(),
                dir: Some("b".into()),
                overrides: String::new(),
                action: Action::Run,
            };
            assert_eq!(try_parse(Program::Pull, line).unwrap(), expected, "{line}");
            let of_discovery =
                try_parse(Program::Discovery, &format!("-s {line}")).unwrap_or_else(|_| panic!("{line}"));
            assert_eq!((of_discovery.file, of_discovery.dir), (expected.file, expected.dir), "{line}");
        }
        assert_eq!(try_parse(Program::Pull, "--d b").unwrap().dir, Some("b".into()));
        let debug = try_parse(Program::Discovery, "-s --deb -d b").unwrap();
        assert_eq!((debug.overrides.as_str(), debug.dir), ("[discovery]\ndebug = true\n", Some("b".into())));
        assert_eq!(action(""), Action::Run);
        assert_eq!(action("-p"), Action::PrintDefaults);
        assert_eq!(action("--print-c"), Action::PrintConfiguration);
        assert_eq!(action("--check"), Action::Check { strict: false });
        assert_eq!(action("--check --strict"), Action::Check { strict: true });
        assert_eq!(action("-f x --once 1457298067"), Action::Once { snapshot: "1457298067".into(), count: false });
    }

    #[test]
    fn rules_of_latency() {
        let rules = |line| match try_parse(Program::Pull, line).unwrap().action {
            Action::LatencyRules(rules) => rules,
            other => panic!("{other:?}"),
        };
        let default = rules("--latency-rules");
        assert_eq!(
            (default.table.as_str(), default.base.as_str(), default.timers.as_str()),
            ("latency", "base", "response")
        );
        assert_eq!(default.buckets, crate::latency::rules::BOUNDS);
        let other = rules("--latency --buck 1,5 --timers=queue --table t --base b --peers :1");
        let expected = LatencyRules {
            buckets: "1,5".to_owned(),
            timers: "queue".to_owned(),
            table: "t".to_owned(),
            base: "b".to_owned(),
            peers: ":1".to_owned(),
        };
        assert_eq!(other, expected);
        assert!(
            try_parse(Program::Pull, "--buckets 1").is_err() && try_parse(Program::Process, "--latency-rules").is_err()
        );
    }

    #[test]
    fn the_default_file() {
        assert_eq!(try_parse(Program::Pull, "").unwrap().file, PathBuf::from("/etc/haproxystats.conf"));
    }

    #[test]
    fn help_and_version_win() {
        for line in ["-h", "--help", "--nope -h", "-hx", "-h -v", "-ph"] {
            assert_eq!(action(line), Action::Help, "{line}");
        }
        for line in ["-v", "--vers -f x", "-p -v"] {
            assert_eq!(action(line), Action::Version, "{line}");
        }
        assert_eq!(action("-f -h"), Action::Run, "the file may be called -h");
    }

    #[test]
    fn what_is_not_understood() {
        for (line, words) in [
            ("--zzyzx", "unknown option --zzyzx"),
            ("--chekc", "unknown option --chekc; did you mean \"--check\"?"),
            ("--client", "unknown option --client; it is one of haproxystats-discovery"),
            ("-x", "unknown option -x"),
            ("foo", "unexpected argument \"foo\""),
            ("-- -p", "unexpected argument \"--\""),
            ("-p --", "unexpected argument \"--\""),
            ("-p -P", "--print, --print-conf cannot be used together"),
            ("-pP", "--print, --print-conf cannot be used together"),
            ("--check -p", "--check, --print cannot be used together"),
            ("-f a -f b", "--file is given twice"),
            ("--json", "--json cannot be used alone"),
        ] {
            let found = try_parse(Program::Process, line).unwrap_err();
            assert_eq!(found.split_once("\nUsage:\n    haproxystats-process ").unwrap().0, words, "{line}");
        }
        for (line, words) in [
            ("-f", "-f requires argument\nUsage:"),
            ("--file", "--file requires argument\nUsage:"),
            ("--prin", "--prin is not a unique prefix: --print, --print-conf?\nUsage:"),
            ("--check=1", "--check must not have an argument\nUsage:"),
        ] {
            assert!(try_parse(Program::Process, line).unwrap_err().starts_with(words), "{line}");
        }
        assert!(try_parse(Program::Pull, "--once x").is_err());
        assert!(try_parse(Program::Pull, "--ask").is_err() && try_parse(Program::Agent, "--check --ask").is_err());
        for program in [Program::Pull, Program::Process] {
            assert_eq!(try_parse(program, "--check --ask").unwrap().action, Action::Ask);
        }
    }
}
