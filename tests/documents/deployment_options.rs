//! The role of Ansible and the module of Puppet know every option of the table of options, and no other.
//! `HAPROXYSTATS_ACCEPT=1 cargo test --test documents deployment_options` rewrites their lists.

use crate::harness::made::is_made;
use haproxystats::config::options::{self, OptionSpec, Type};
use std::fmt::Write;

const ANSIBLE: &str = "contrib/ansible/roles/haproxystats/vars/main.yml";
const PUPPET: &str = "contrib/puppet/haproxystats/types";

/// Sections of which there may be several, as `[SECTION:NAME]`, and what they are called in the module.
const NAMED: [(&str, &str, &str); 2] = [("agent", "Agent", "agent.pp"), ("discovery-backend", "Backend", "backend.pp")];

fn options_of(section: &str) -> impl Iterator<Item = &'static OptionSpec> {
    options::all().filter(move |spec| spec.section == section)
}

/// The table has `[DEFAULT]` under its own name.
fn sections() -> Vec<&'static str> {
    options::sections().collect()
}

#[test]
fn the_role_knows_every_option() {
    let mut out = String::from(
        "---\n# Made from the table of options by tests/documents/deployment_options.rs. * is any name.\nhaproxystats_known:\n",
    );
    for section in sections() {
        writeln!(out, "  {section}:").unwrap();
        for spec in options_of(section) {
            let name = if spec.name == "*" { "\"*\"" } else { spec.name };
            writeln!(out, "    - {name}").unwrap();
        }
    }
    is_made(ANSIBLE, &out);
}

/// The type that Puppet checks a value against before any host sees it. A value may also be text: a reference such as
/// `${paths:base-dir}`, or a number from Hiera.
fn puppet_type(spec: &OptionSpec) -> String {
    let words = |words: &[&str]| words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
    match spec.kind {
        Type::Boolean => "Variant[Boolean, Enum['true', 'false', 'yes', 'no', 'on', 'off', '1', '0']]".to_owned(),
        Type::Choice(choices) => format!("Enum[{}]", words(choices)),
        Type::LogLevel => format!("Enum[{}]", words(&["debug", "info", "warning", "error", "critical"])),
        _ => "Haproxystats::Value".to_owned(),
    }
}

/// `Struct[{...}]` of the options of a section.
fn puppet_struct(section: &str, indent: &str) -> String {
    if options_of(section).any(|spec| spec.name == "*") {
        return "Hash[String[1], String[1]]".to_owned();
    }
    // Names that only begin as the table says.
    let open = |spec: &&OptionSpec| spec.name.ends_with('*');
    if options_of(section).any(|spec| open(&spec)) {
        let names = options_of(section).filter(|spec| !open(spec)).map(|spec| format!("'{}'", spec.name));
        let begins = options_of(section).filter(open).map(|spec| spec.name.trim_end_matches('*').replace('.', "\\."));
        let begins: Vec<String> = begins.map(|begin| format!("/\\A{begin}/")).collect();
        let names: Vec<String> = names.collect();
        let names = names.join(&format!(",\n{indent}    "));
        let begins = begins.join(", ");
        let key = format!("Variant[\n{indent}    Enum[\n{indent}    {names}],\n{indent}    Pattern[{begins}]]");
        return format!("Hash[{key},\n{indent}  Haproxystats::Value]");
    }
    let mut out = String::from("Struct[{\n");
    for spec in options_of(section) {
        writeln!(out, "{indent}  Optional['{}'] => {},", spec.name, puppet_type(spec)).unwrap();
    }
    write!(out, "{indent}}}]").unwrap();
    out
}

#[test]
fn the_module_knows_every_option() {
    const MADE: &str = "Made from the table of options by tests/documents/deployment_options.rs.";
    let mut out =
        format!("# haproxystats.conf: sections, options, values. {MADE}\ntype Haproxystats::Settings = Struct[{{\n");
    for section in sections() {
        match NAMED.iter().find(|(name, ..)| *name == section) {
            Some((_, alias, _)) => writeln!(out, "  Optional['{section}'] => Haproxystats::{alias},").unwrap(),
            None => writeln!(out, "  Optional['{section}'] => {},", puppet_struct(section, "  ")).unwrap(),
        }
    }
    out.push_str("}]\n");
    is_made(&format!("{PUPPET}/settings.pp"), &out);
    for (section, alias, file) in NAMED {
        let about = format!("# Options of [{section}] and [{section}:NAME]. {MADE}\n");
        let text = format!("{about}type Haproxystats::{alias} = {}\n", puppet_struct(section, ""));
        is_made(&format!("{PUPPET}/{file}"), &text);
    }
}
