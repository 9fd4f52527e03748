//! Faults of the local store, in worlds that have one.

use super::{During, Fault, burst, fault, mounting};
use crate::harness::names;
use crate::world::World;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::Duration;

/// Faults of the local store.
pub const STORE: &[Fault] =
    &[fault("links in the local store", links), mounting("disk of the local store full for a while", full)];

/// Names of snapshots lead elsewhere, where there is something of that name already.
fn links(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    let (store, elsewhere) = (world.store(), world.base.path().join("elsewhere"));
    fs::create_dir_all(&elsewhere).expect("a directory");
    fs::write(elsewhere.join("stats"), "precious").expect("a file");
    for epoch in world.next()..world.next() + 3 {
        let folder = store.join(epoch.to_string());
        // Of the last the file is a link, not the folder. It may be there already: a disk that was full.
        let _ = if epoch % 3 == 0 {
            fs::create_dir(&folder).and_then(|()| symlink(elsewhere.join("stats"), folder.join("stats")))
        } else {
            symlink(&elsewhere, &folder)
        };
    }
    burst(world, 3);
    during(world);
    world.recover();
    let (found, there) = (fs::read_to_string(elsewhere.join("stats")).unwrap_or_default(), names(&elsewhere));
    if found != "precious" || there != ["stats"] {
        world.report.fail(format!("{name}: what a link leads to was changed: {there:?}"));
    }
    fs::remove_dir_all(&elsewhere).expect("removed");
}

/// Snapshots wait for it on disk, and go out to Graphite.
fn full(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    world.allow(4);
    let store = world.store();
    if let Err(error) = world.mounts.tmpfs("size=256k", &store) {
        return world.report.fail(format!("{name}: {error}"));
    }
    let mut file = fs::File::create(store.join("ballast")).expect("a file");
    while file.write_all(&[7; 4096]).is_ok() {}
    burst(world, 4);
    world.go_on(Duration::from_millis(1_200), 4.0);
    during(world);
    world.mounts.unmount(&store);
}

/// What others may write of a directory and all that is in it.
pub fn open_to_all(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(own) = fs::symlink_metadata(directory) else { return found };
    if !own.is_symlink() && own.mode() & 0o022 != 0 {
        found.push(format!("{} ({:o})", directory.display(), own.mode() & 0o7777));
    }
    if own.is_dir() {
        for name in names(directory) {
            found.extend(open_to_all(&directory.join(name)));
        }
    }
    found
}
