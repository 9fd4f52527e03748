//! docs/migration.md shows every environment variable of HSDO with its option and default, and the configurations in the
//! documentation are good.

use crate::harness::made::is_made_between;
use crate::harness::root;
use haproxystats::config::discovery::ENVIRONMENT;
use haproxystats::config::options;
use haproxystats::config::{Program, load};
use std::fmt::Write;

#[test]
fn the_migration_guide_shows_every_variable_of_hsdo() {
    const BEGIN: &str = "<!-- begin: environment (generated; see tests/documents/discovery_documents.rs) -->\n";
    const END: &str = "<!-- end: environment -->";
    let mut wanted = "| variable | option | default |\n|---|---|---|\n".to_owned();
    for (section, option, variable) in ENVIRONMENT {
        let spec = options::all().find(|spec| spec.section == *section && spec.name == *option).unwrap();
        let default = spec.default.map_or_else(String::new, |default| format!("`{default}`"));
        writeln!(wanted, "| `{variable}` | `[{section}] {option}` | {default} |").unwrap();
    }
    is_made_between("docs/migration.md", [BEGIN, END], &wanted);
}

/// The parameters of the seed's documentation.
const SEED: [&str; 23] = [
    "SERVER_ASG_NAMES",
    "SERVER_CONSUL_API_URL",
    "SERVER_CONSUL_SERVICE_NAME",
    "SERVER_HAPROXY_BACKEND_SERVER_MIN_WEIGHT",
    "SERVER_HAPROXY_BACKEND_SERVER_MAX_WEIGHT",
    "SERVER_HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT",
    "SERVER_HAPROXY_BACKEND_SERVER_INCREASE_WEIGHT_INTERVAL",
    "SERVER_MODE",
    "CLIENT_HAPROXY_SOCKET_PATH",
    "CLIENT_HAPROXY_BACKEND_LIST",
    "CLIENT_HAPROXY_BACKEND_SERVER_PORT",
    "CLIENT_DEDICATED_ASG",
    "CLIENT_ASG_NAMES",
    "CLIENT_HAPROXY_FALLBACK_BACKEND_NAME",
    "CLIENT_HAPROXY_FALLBACK_BACKEND_BASE_NAME",
    "CLIENT_ALL_SERVERS_IN_FALLBACK_BACKEND",
    "INTERVAL",
    "HAPROXY_BACKEND_SERVERS_LIST_SIZE",
    "DEBUG",
    "DYNAMODB_TABLE_NAME",
    "AWS_DEFAULT_REGION",
    "EXPORTER_PORT",
    "CLIENT_HAPROXY_BACKEND_BASE_NAME",
];

#[test]
fn every_parameter_of_the_seed_is_read() {
    for name in SEED {
        assert!(ENVIRONMENT.iter().any(|(_, _, variable)| *variable == name), "{name}");
    }
}

#[test]
fn the_configurations_in_the_documents_are_good() {
    for name in ["README.md", "docs/discovery.md"] {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        let blocks = text.split("```ini\n").skip(1).filter_map(|rest| rest.split_once("```").map(|(block, _)| block));
        let blocks: Vec<&str> = blocks.filter(|block| block.contains("[discovery")).collect();
        assert!(!blocks.is_empty(), "{name}");
        for block in blocks {
            let loaded = load::from_text(Program::Discovery, block, name).unwrap();
            assert_eq!(loaded.warnings, [], "{name}");
            assert!(
                loaded.config.discovery.server.source.is_some() && !loaded.config.discovery.client.backends.is_empty()
            );
        }
    }
}
