//! The configuration reads as Python's own configparser reads it: the same texts through both.
//!
//! Python is only needed here. Without it the tests say so and pass, save where nothing may be left out.

use crate::harness;
use haproxystats::config::ini::Ini;
use haproxystats::config::interpolate::Reason;
use haproxystats::config::reader::{self, SyntaxError};
use haproxystats::config::{pattern, value};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Asks Python; `None` where there is no Python.
fn python(request: &Value) -> Option<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/documents/configparser_oracle.py");
    let spawned = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            harness::leave_out("the comparison with Python", format!("python3 cannot be started: {error}"));
            return None;
        }
    };
    let mut stdin = child.stdin.take().unwrap();
    let text = request.to_string();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "the Python script failed");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn kind(error: &SyntaxError) -> &'static str {
    match error {
        SyntaxError::NoSection { .. } => "NoSection",
        SyntaxError::DuplicateSection { .. } => "DuplicateSection",
        SyntaxError::DuplicateOption { .. } => "DuplicateOption",
        SyntaxError::NotAnOption { .. } => "NotAnOption",
    }
}

fn reason(reason: &Reason) -> &'static str {
    match reason {
        Reason::LoneDollar(_) | Reason::Incomplete(_) | Reason::ManyColons(_) => "InterpolationSyntaxError",
        Reason::Missing { .. } => "InterpolationMissingOptionError",
        Reason::Depth => "InterpolationDepthError",
        Reason::Size => "has no counterpart in Python",
    }
}

/// What we make of the texts, in the words of the script.
fn ours(texts: &[String]) -> Value {
    let mut ini = Ini::new();
    for (index, text) in texts.iter().enumerate() {
        if let Err(errors) = ini.read(&index.to_string(), text) {
            let all: Vec<(&str, usize)> = errors.iter().map(|error| (kind(error), error.line())).collect();
            return json!({ "errors": all, "file": index });
        }
    }
    let section = |section: &str| {
        let option = |option: &str| {
            let raw = ini.raw(section, option).unwrap().text;
            match ini.get(section, option) {
                Ok(value) => json!([option, raw, value.unwrap(), null]),
                Err(error) => json!([option, raw, null, reason(&error.reason)]),
            }
        };
        let options: Vec<Value> = ini.options(section).into_iter().map(option).collect();
        json!([section, options])
    };
    let sections: Vec<Value> = std::iter::once("DEFAULT").chain(ini.sections()).map(section).collect();
    json!({ "sections": sections })
}

/// Compares the two answers. Python stops at the first fault that it finds fatal, and names all the others together;
/// we name them all, so Python's must be among ours, and ours before it must be the kind that Python postpones.
fn check(texts: &[String], python: &Value) {
    let ours = ours(texts);
    let Some(error) = python.get("error").and_then(Value::as_str) else {
        assert_eq!(ours, *python, "\nleft: ours, right: Python's, for {texts:#?}");
        return;
    };
    assert_eq!(ours.get("file"), python.get("file"), "{texts:#?}\nours {ours}\nPython {python}");
    let pair = |value: &Value| (value[0].as_str().unwrap().to_owned(), value[1].as_u64().unwrap());
    let mine: Vec<(String, u64)> = ours["errors"].as_array().unwrap().iter().map(pair).collect();
    let lines: Vec<u64> = python["lines"].as_array().unwrap().iter().map(|line| line.as_u64().unwrap()).collect();
    let same = if error == "NotAnOption" && python.get("fatal").is_none() {
        mine.iter().all(|(kind, _)| kind == error) && mine.iter().map(|(_, line)| *line).eq(lines)
    } else {
        mine.iter()
            .position(|mine| *mine == (error.to_owned(), lines[0]))
            .is_some_and(|at| mine.iter().take(at).all(|(kind, _)| kind == "NotAnOption"))
    };
    assert!(same, "{texts:#?}\nours {ours}\nPython {python}");
}

fn compare(cases: &[Vec<String>]) {
    let Some(answers) = python(&json!({ "files": cases, "numbers": [], "patterns": [] })) else { return };
    let answers = answers["files"].as_array().unwrap();
    assert_eq!(answers.len(), cases.len());
    for (texts, answer) in cases.iter().zip(answers) {
        check(texts, answer);
    }
}

#[test]
fn nasty_texts() {
    let texts = [
        "",
        "\n\n# only a comment\n",
        "x = 1\n[a]\n",
        "[a]\nx = 1\n[a]\n",
        "[DEFAULT]\nx = 1\n[DEFAULT]\ny = 2\n",
        "[DEFAULT]\nx = 1\n[DEFAULT]\nx = 2\n",
        "[default]\nx = 1\n[a]\n",
        "[a]\nX = 1\nx = 2\n",
        "[a]\nx\n",
        "[a]\n= 1\n  2\n= 3\n",
        "[a]\nx =\ny:\n",
        "[a]\nx = 1 ; no comment\ny = 2 # no comment\n",
        "[a]\n  # comment\n  ; comment\nx = 1\n",
        "[a]\nx = 1\n  2\n\n\n  3\n\n\ny = 4",
        "[a]\nx = 1\n# comment\n  2\n\n  # comment\n\n  3\n",
        "[a]\nx =\n  [b]\n  y = 1\n[c]\n",
        "[a]\n  x = 1\n  y = 2\n    3\n z = 4\n",
        "  [a]\n  x = 1\n [b]\nx = 2\n",
        "[a]\nx = 1\n [b]\n",
        "[a]\nx = 1\n\n [b]\n",
        "[ a ]\nx = 1\n[A]\nx = 2\n[a]\nx = 3\n",
        "[a] junk\nx = 1\n[b]c]\nx = 2\n[]]\nx = 3\n",
        "[]\nx = 1\n",
        "[a\nx = 1\n",
        "[a]\n[x = 1\n",
        "[a]\nx == 1\ny =: 2\nz :=3\n",
        "[a]\nx y z = 1\n",
        "[a]\n\u{a0}x = 1\n\u{a0}\u{a0}2\n y = 3\n",
        "[a]\nx = 1\u{1f}\n\u{1c}y = 2\n",
        "[a]\nx = 1\u{85}2\u{2028}3\u{b}4\u{c}5\n",
        "[a]\r\nx = 1\r\n  2\r\n\r\ny = 3\r\n",
        "[a]\rx = 1\r  2\r\ry = 3",
        "[a]\nx = 1\n\r  2\n",
        "[Ä]\nÖ = ü\nẞ = ß\nΣΑΣ = 1\nİ = 2\n",
        "[a]\nx = \0\n",
        "\u{feff}[a]\nx = 1\n",
        "[a]\nx = a$$b\ny = ${x}\nz = $${x}\n",
        "[a]\nx = $\n",
        "[a]\nx = $x\n",
        "[a]\nx = ${\ny = ${}\nz = ${y\n",
        "[a]\nx = ${X}\nY = 1\nz = ${y}\nq = ${ y }\n",
        "[a]\nx = ${a:b:c}\n",
        "[a]\nx = ${b:y}\n[b]\ny = ${z}\nz = 1\n",
        "[a]\nx = ${b:nope}\n[b]\n",
        "[a]\nx = ${nowhere:y}\n",
        "[a]\nx = ${:y}\ny = ${a:}\nz = ${:}\n",
        "[a]\nx = ${x}\n",
        "[a]\nx = ${y}\ny = ${x}\n",
        "[DEFAULT]\nd = ${e}\n[a]\ne = 1\nx = ${d} ${DEFAULT:d}\n[b]\n",
        "[DEFAULT]\nd = 1\n[a]\nd = ${DEFAULT:d}2\nx = ${d}\n",
        "[a]\na0 = v\na1 = ${a0}$$\na2 = ${a1}\na3 = ${a2}\na4 = ${a3}\na5 = ${a4}\na6 = ${a5}\na7 = ${a6}\na8 = ${a7}\n\
         a9 = ${a8}\na10 = ${a9}\na11 = ${a10}\na12 = ${a11}\na13 = ${a12}\n",
        "[a]\nx = ${a\n  b}\n",
        "[a]\nx = 1\n  ${y}\ny =\n  2\n",
    ];
    let cases: Vec<Vec<String>> = texts.iter().map(|text| vec![(*text).to_owned()]).collect();
    compare(&cases);
}

#[test]
fn later_files_win() {
    let cases = [
        ["[a]\nx = 1\ny = 1\n", "[a]\nx = 2\n", "[b]\ny = 3\n"],
        ["[DEFAULT]\nx = 1\n[a]\n", "[DEFAULT]\nx = 2\n", "[a]\nx = 3\n"],
        ["[a]\nx = ${y}\ny = 1\n", "[a]\ny = 2\n", ""],
        ["[a]\nx = 1\n  2\n", "[a]\nx =\n", "[a]\nz = ${x}\n"],
        ["[a]\nx = 1\n", "no section\n", "[a]\nx = 1\n"],
    ];
    let cases: Vec<Vec<String>> = cases.iter().map(|texts| texts.map(str::to_owned).to_vec()).collect();
    compare(&cases);
}

/// Pieces of which texts are made that look enough like a configuration to get far.
fn piece() -> impl Strategy<Value = String> {
    const FIXED: &[&str] = &[
        "\n",
        "\n",
        "\n",
        "\n  ",
        "\n ",
        "\n\n",
        "\r\n",
        "\r",
        " ",
        "\t",
        "=",
        ":",
        " = ",
        ": ",
        "#",
        ";",
        "[",
        "]",
        "$",
        "$$",
        "${",
        "}",
        "a",
        "b",
        "A",
        "é",
        "\u{a0}",
        "\u{1f}",
        "\u{2028}",
        "[a]",
        "[b]",
        "[DEFAULT]",
        "\n[a]\n",
        "\n[b]\n",
        "\n[DEFAULT]\n",
        "\na = ",
        "\nb = ",
        "\nc: ",
        "\n  d = ",
        "${a}",
        "${b}",
        "${a:b}",
        "${b:c}",
        "${DEFAULT:a}",
        "${a:b:c}",
        "1",
        "text",
    ];
    prop_oneof![
        12 => proptest::sample::select(FIXED).prop_map(str::to_owned),
        // Letters whose lower case has been the same in every version of Unicode.
        1 => "[\u{20}-\u{24f}\u{370}-\u{45f}\u{3040}-\u{30ff}]{1,3}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    let body = proptest::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat()).boxed();
    prop_oneof![
        4 => body.clone().prop_map(|body| format!("[a]\n{body}")),
        1 => body,
    ]
}

/// Samples of a strategy; the seed is printed with every failure.
fn samples<S: Strategy>(strategy: &S, count: usize, seed: u64) -> Vec<S::Value> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_nanos() as u64
}

#[test]
fn generated_texts() {
    for seed in [1, fresh_seed()] {
        eprintln!("seed {seed}");
        let one = samples(&proptest::collection::vec(text(), 1..=1), 4000, seed);
        let several = samples(&proptest::collection::vec(text(), 2..=3), 1000, seed);
        // Most texts must be readable, or the test would compare little but refusals.
        let good = one.iter().filter(|texts| reader::read(&texts[0]).is_ok()).count();
        assert!(good > one.len() / 10, "only {good} of {} texts are readable", one.len());
        compare(&one);
        compare(&several);
    }
}

#[test]
fn numbers_and_switches() {
    let mut texts: Vec<String> = [
        "",
        "0",
        "1",
        "-1",
        "+1",
        " 1 ",
        "\t1\n",
        "1_000",
        "_1",
        "1_",
        "1__0",
        "0x10",
        "0b1",
        "1e1",
        "1E+2",
        "1e-2",
        ".5",
        "5.",
        ".",
        "1._5",
        "1_.5",
        "1_0.5_0",
        "inf",
        "-inf",
        "nan",
        "NaN",
        "infinity",
        "1e400",
        "-0",
        "00",
        "1 000",
        "1,000",
        "1.0",
        "+-1",
        "- 1",
        "yes",
        "YES",
        "Yes ",
        "no",
        "on",
        "OFF",
        "true",
        "False",
        "t",
        "y",
        "2",
        "\u{a0}1\u{a0}",
        "99999999999999999999999999999",
        "1e",
        "e1",
        "1e_1",
        "1d1",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.extend(samples(&"[-+_.0-9eE ]{0,6}", 2000, 1));
    let Some(answers) = python(&json!({ "files": [], "numbers": texts, "patterns": [] })) else { return };
    for (text, answer) in texts.iter().zip(answers["numbers"].as_array().unwrap()) {
        let int = value::integer(text).map(|value| value.to_string());
        assert_eq!(int.as_deref(), answer["int"].as_str(), "int of {text:?}");
        let theirs = answer["float"].as_str().map(|text| text.parse::<f64>().unwrap());
        assert_eq!(value::float(text), theirs, "float of {text:?}");
        assert_eq!(value::boolean(text).ok(), answer["bool"].as_bool(), "bool of {text:?}");
    }
}

#[test]
fn patterns_find_what_python_finds() {
    let names =
        ["foo-001", "api_v1_example_com", "a[b", "a]b", "FOO", "x{2}", "a&b", "a-b:8080", "", "foo\\bar", "<x>", "a^b"];
    let patterns = [
        "^foo-",
        "001$",
        r"^foo-\d+$",
        "o{2}",
        "o{,1}-",
        "o{1,}",
        "(?i)foo",
        "^(foo|api)",
        r"\bv1",
        r"v1\Z",
        r"\Aapi",
        "[[]",
        "[]]",
        "[^]]$",
        "[a&&b]&",
        "[a-z--0]",
        "[a~~b]",
        r"\[",
        r"x\{2\}",
        r"\<x\>",
        "_example_",
        "(?P<x>foo)",
        "(?:foo)+?",
        r"[\w-]+:\d+",
        r"\-b",
        "",
        ".",
        "a.b",
        "^$",
        r"\\",
        r"[\\]",
        r"[\]]",
        "[^^]",
        "^.{3}$",
        "(foo",
        "*",
        "a**",
        "[z-a]",
        "x{2}",
        r"\S+\s?",
        r"\W",
        "a|",
        "(|x)y",
        "[a-]",
        "[-a]",
        r"[\d\-]",
        r"\/",
        r"\_",
        r"\@",
    ];
    let cases: Vec<(&str, &str)> = patterns.iter().flat_map(|p| names.iter().map(move |n| (*p, *n))).collect();
    let Some(answers) = python(&json!({ "files": [], "numbers": [], "patterns": cases })) else { return };
    for ((text, name), answer) in cases.iter().zip(answers["patterns"].as_array().unwrap()) {
        // A repeated repetition is an error in Python only.
        if *text == "a**" {
            assert!(answer.is_null());
            continue;
        }
        let found = pattern::compile(text).ok().map(|pattern| pattern.is_match(name));
        assert_eq!(found, answer.as_bool(), "{text:?} in {name:?}");
    }
}

/// The crate with all its settings as near to Python as they go.
fn crate_alone(text: &str) -> Result<String, String> {
    let mut rules = configparser::ini::IniDefault::default();
    rules.default_section = "DEFAULT".to_owned();
    rules.case_sensitive = true;
    rules.multiline = true;
    rules.enable_inline_comments = false;
    rules.cascade_defaults = true;
    let mut ini = configparser::ini::Ini::new_from_defaults(rules);
    let map = ini.read(text.to_owned())?;
    Ok(format!("{map:?}"))
}

/// Why the crate does not read the text (docs/adr/0003-configuration-parser.md). When one of these fails, a release
/// of the crate has come nearer to Python, and the decision may be looked at again.
#[test]
fn what_the_crate_alone_reads_otherwise() {
    // Faults that Python refuses pass in silence.
    for text in ["[a]\nx = 1\nx = 2\n", "[a]\nx = 1\n[a]\ny = 2\n", "x = 1\n", "[a]\nno separator\n"] {
        assert!(crate_alone(text).is_ok(), "{text:?}");
        assert!(Ini::parse(text).is_err(), "{text:?}");
    }
    // A continuation that begins with a bracket becomes a section.
    let text = "[a]\nx =\n  [b]\n";
    assert!(crate_alone(text).unwrap().contains("\"b\""));
    assert_eq!(Ini::parse(text).unwrap().raw("a", "x").unwrap().text, "\n[b]");
    // Blanks inside the brackets of a section are lost.
    assert!(crate_alone("[ a ]\n").unwrap().contains("\"a\""));
    assert!(Ini::parse("[ a ]\n").unwrap().has_section(" a "));
    // A carriage return ends no line.
    assert!(crate_alone("[a]\rx = 1\ry = 2\n").unwrap().starts_with("{\"a\": {}"));
    assert_eq!(Ini::parse("[a]\rx = 1\ry = 2\n").unwrap().own_options("a").count(), 2);
    // Indentation is counted in bytes.
    let text = "[a]\n x = 1\n\u{a0}y = 2\n";
    assert!(!crate_alone(text).unwrap().contains("\"y\""));
    assert_eq!(Ini::parse(text).unwrap().own_options("a").count(), 2);
}
