//! Packages for a processor that this machine does not have: the programs are handed in, so nothing is cross-compiled here.

use crate::harness::machine::good;
use crate::harness::{names, peer, root};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Scripts in the place of programs: packing asks the libraries of neither architecture about them.
fn scripts(directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    for program in ["pull", "process", "agent", "discovery", "top"] {
        let path = directory.join(format!("haproxystats-{program}"));
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_debian_package_has_the_architecture_of_its_programs() {
    if ["dpkg-buildpackage", "dh"].iter().any(|program| peer(program).is_none()) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (programs, output) = (directory.path().join("programs"), directory.path().join("output"));
    scripts(&programs);
    let other = if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" };
    let mut command = Command::new(root().join("contrib/debian/build"));
    command.arg(&programs).arg(&output).env("DEB_HOST_ARCH", other).env("DEB_BUILD_OPTIONS", "fast nocheck");
    good(command, directory.path());
    let [name] = &names(&output)[..] else { panic!("not one package: {:?}", names(&output)) };
    assert!(name.ends_with(&format!("_{other}.deb")), "{name}");
    let mut command = Command::new("dpkg-deb");
    command.arg("--field").arg(output.join(name)).arg("Architecture");
    assert_eq!(good(command, directory.path()).trim(), other);
}
