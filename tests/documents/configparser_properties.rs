//! What holds for any configuration text whatsoever.

use haproxystats::config::ini::Ini;
use haproxystats::config::{Program, load};
use proptest::prelude::*;

/// Everything that was written: (section, option, text).
fn content(ini: &Ini) -> Vec<(String, Vec<(String, String)>)> {
    let own = |section: &str| {
        let options =
            ini.own_options(section).map(|option| (option.to_owned(), ini.raw(section, option).unwrap().text));
        (section.to_owned(), options.collect())
    };
    std::iter::once("DEFAULT").chain(ini.sections()).map(own).collect()
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("[DEFAULT]".to_owned()),
        "\\[[ab \\]]{1,3}\\]",
        "[a-d\\[ ]{1,3} ?[=:] ?[ -~é\u{a0}]{0,8}",
        "[ \t]{1,3}[ -~é]{0,8}",
        "[#;]?[ -~]{0,8}",
        Just(String::new()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(line(), 0..20).prop_map(|lines| format!("[s]\n{}", lines.join("\n")))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn nothing_makes_the_reader_panic(text in any::<String>()) {
        let _ = Ini::parse(&text);
    }

    #[test]
    fn what_was_read_survives_the_way_to_a_worker(text in text()) {
        if let Ok(ini) = Ini::parse(&text) {
            let again = Ini::parse(&ini.to_text()).map_err(|errors| TestCaseError::fail(format!("{errors:?}")))?;
            prop_assert_eq!(content(&ini), content(&again), "{}", ini.to_text());
        }
    }

    #[test]
    fn neither_does_checking_panic(text in text(), sections in proptest::sample::subsequence(
        vec!["[pull]", "[process]", "[graphite]", "[local-store]", "[frontend-groups]", "[paths]"], 0..6)) {
        // The same lines in sections that programs read.
        let text = sections.iter().fold(text, |text, section| text.replacen("[a", section, 1));
        for program in [Program::Pull, Program::Process] {
            match load::from_text(program, &text, "text") {
                Ok(loaded) => {
                    let again = load::from_text(program, &loaded.ini.to_text(), "memory");
                    let again = again.map_err(|refused| TestCaseError::fail(format!("{:?}", refused.report)))?;
                    prop_assert_eq!(format!("{:?}", loaded.config), format!("{:?}", again.config));
                }
                Err(refused) => prop_assert!(!refused.report.errors.is_empty()),
            }
        }
    }

    #[test]
    fn doubled_dollars_stand_for_themselves(value in "[ -~é$]{0,20}") {
        let value = value.trim();
        let ini = Ini::parse(&format!("[a]\nx = {}\n", value.replace('$', "$$"))).unwrap();
        prop_assert_eq!(ini.get("a", "x").unwrap().unwrap(), value);
    }

    #[test]
    fn a_reference_is_the_value_it_leads_to(before in "[a-z ]{0,5}", inner in "[a-z$]{1,8}", after in "[a-z ]{0,5}") {
        let inner = inner.replace('$', "$$");
        let ini = Ini::parse(&format!("[a]\nx = <{before}${{b:y}}{after}${{z}}>\nz = {inner}\n[b]\ny = ${{q}}\nq = {inner}")).unwrap();
        let resolved = ini.get("b", "q").unwrap().unwrap();
        prop_assert_eq!(ini.get("a", "x").unwrap().unwrap(), format!("<{before}{resolved}{after}{resolved}>"));
    }
}

#[test]
fn references_that_grow_without_end_are_refused() {
    for innermost in ["", "0123456789abcdef"] {
        let mut text = format!("[a]\nx0 = {innermost}\n");
        for level in 1..10 {
            let inner = format!("${{x{}}}", level - 1).repeat(40);
            text.push_str(&format!("x{level} = {inner}\n"));
        }
        let ini = Ini::parse(&text).unwrap();
        let error = ini.get("a", "x9").unwrap_err();
        assert!(error.to_string().contains("grows beyond"), "{error}");
    }
}

#[test]
fn a_worker_gets_the_same_configuration() {
    let text = "[DEFAULT]\nloglevel = debug\nvar = /var\n[paths]\nbase-dir = ${var}/x\n[process]\nsrc-dir = ${paths:base-dir}/in\n\
        frontend-metrics = stot bin\n  bout\naggr-server-metrics = yes\n[graphite]\nserver = [::1]\ngroup-namespace = flavor\n\
        group-namespace-double-writes = no\n[server-groups]\nAbc = ^a$$\nxyz = [x]\n[local-store]\n";
    let parent = load::from_text(Program::Process, text, "haproxystats.conf").unwrap();
    let worker = load::from_text(Program::Process, &parent.ini.to_text(), "memory").unwrap();
    assert_eq!(format!("{:?}", parent.config), format!("{:?}", worker.config));
    assert_eq!(parent.config.groups.server.len(), 2);
}
