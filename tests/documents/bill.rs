//! The bill of materials that `scripts/sbom` makes of cargo's metadata.

use crate::harness::{self, peer, root};
use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn the_bill_has_every_crate_of_the_programs_with_its_licence_and_checksum() {
    if peer("python3").is_none() {
        return;
    }
    let mut command = Command::new(root().join("scripts/sbom"));
    command.arg("--offline");
    let output = harness::output(&mut command).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bill: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    assert_eq!(bill["metadata"]["component"]["version"], env!("CARGO_PKG_VERSION"));
    let components = bill["components"].as_array().unwrap();
    let named = |name: &str| components.iter().any(|component| component["name"] == name);
    assert!(["tokio", "polars", "rdkafka", "rustls"].iter().all(|name| named(name)));
    assert!(["proptest", "tempfile", "criterion"].iter().all(|name| !named(name)), "crates of tests are in no program");
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let known: BTreeSet<&str> = components.iter().filter_map(|component| component["bom-ref"].as_str()).collect();
    for component in components {
        let (name, version) = (component["name"].as_str().unwrap(), component["version"].as_str().unwrap());
        assert!(component["licenses"][0]["expression"].is_string(), "{name}");
        let checksum = component["hashes"][0]["content"].as_str().unwrap();
        assert!(
            lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")) && lock.contains(checksum),
            "{name}"
        );
    }
    for dependency in bill["dependencies"].as_array().unwrap() {
        for needed in dependency["dependsOn"].as_array().unwrap() {
            assert!(known.contains(needed.as_str().unwrap()), "{needed}");
        }
    }
}
