//! What loses nothing, and would go on forever without a word: it has to be told after a while, and counted.

use crate::faults::{STORE, store};
use crate::harness::clients::sample;
use crate::harness::graphite::Behaviour;
use crate::harness::{SOON, names, output, process, with_config, write};
use crate::report::Report;
use crate::scenes::try_faults;
use crate::unit::tail;
use crate::world::{Setting, World};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// A peer that ends its side of each connection as soon as it is there, and reads what comes.
pub fn half_closing() -> Report {
    confirms_nothing("Graphite half-closes for minutes", Behaviour::HalfClose)
}

/// A peer that lets through less than the smallest part of a snapshot that a connection is ever limited to.
pub fn cutting() -> Report {
    confirms_nothing("Graphite cuts below 4 KiB each time for minutes", Behaviour::CloseAfter(3_000))
}

fn confirms_nothing(name: &'static str, behaviour: Behaviour) -> Report {
    const NOTHING: &str = "accepts connections but has confirmed nothing for a while";
    const AGAIN: &str = "confirms data again";
    const METRIC: &str = "haproxystats_process_destinations_unconfirmed";
    let mut world = World::new(0, &Setting::default());
    world.go_on(Duration::from_millis(500), 6.0);
    world.recover();
    world.begin(name);
    world.recorder.behave(behaviour);
    let before = world.recorder.connections();
    for _ in 0..3 {
        world.feed_one();
    }
    let waiting = names(&world.incoming());
    // It is told after a minute.
    if !world.wait_for(2 * SOON, |world| world.process.log().contains(NOTHING)) {
        world.report.fail(format!("{name}: nothing is said about it"));
    }
    if sample(world.page, METRIC) != Some(1.0) {
        world.report.fail(format!("{name}: {METRIC} is {:?}", sample(world.page, METRIC)));
    }
    // A peer that is slow to accept half-closes what has all been sent and acknowledged: that one has arrived, as it says.
    let left = names(&world.incoming());
    let enough = if behaviour == Behaviour::HalfClose { !left.is_empty() } else { left == waiting };
    if !enough {
        world.report.fail(format!("{name}: of {waiting:?} {left:?} are left"));
    }
    world.recorder.behave(Behaviour::Read);
    let losses = world.recorder.connections() - before;
    world.allow(losses);
    world.recover();
    if !world.wait_for(SOON, |world| world.process.log().contains(AGAIN)) {
        world.report.fail(format!("{name}: nothing is said about its end"));
    }
    if sample(world.page, METRIC) != Some(0.0) {
        world.report.fail(format!("{name}: {METRIC} is {:?} afterwards", sample(world.page, METRIC)));
    }
    world.finish()
}

/// The local store where links lie in its way, its disk is full, and nothing is masked.
pub fn store() -> Report {
    let name = "local store: links, a full disk, no umask";
    let wrapper = ["sh", "-c", "umask 000; exec \"$0\" \"$@\""].map(str::to_owned).to_vec();
    let mut world = World::new(0, &Setting { wrapper, store: true, ..Setting::default() });
    try_faults(&mut world, STORE);
    world.begin(name);
    world.feed_trap();
    world.allow(4);
    world.go_on(Duration::from_millis(500), 6.0);
    world.recover();
    let open: Vec<String> = [world.store(), world.failed()]
        .iter()
        .flat_map(|directory| names(directory).into_iter().map(|name| directory.join(name)))
        .filter(|path| path.parent() != Some(&world.failed()))
        .flat_map(|path| store::open_to_all(&path))
        .collect();
    if !open.is_empty() {
        world.report.fail(format!("{name}: everybody may write {:?}", &open[..open.len().min(4)]));
    }
    if fs::metadata(world.failed()).is_ok_and(|failed| failed.permissions().mode() & 0o022 != 0) {
        world.report.fail(format!("{name}: everybody may write {}", world.failed().display()));
    }
    world.finish()
}

/// Keys and passwords that others may read are warned of, what others may write is refused.
pub fn permissions() -> Report {
    let mut report = Report::default();
    let directory = tempfile::tempdir().expect("a directory");
    let secret = write(directory.path(), "secret", "x");
    let check = |section: &str, mode: u32| {
        fs::set_permissions(&secret, Permissions::from_mode(mode)).expect("permissions");
        let section = section.replace("{secret}", &secret.display().to_string());
        let text = format!("[process]\nsrc-dir = {}\n{section} = {}\n", directory.path().display(), secret.display());
        let file = write(directory.path(), "haproxystats.conf", text);
        let output = output(with_config(process(), &file).arg("--check")).expect("it runs");
        (String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr)).into_owned()
    };
    for section in [
        "[graphite]\ntls = true\ntls-certificate-file = {secret}\ntls-key-file",
        "[kafka]\nbrokers = a:1\ntopic = b\nsasl-password-file",
        "[kafka]\nbrokers = a:1\ntopic = b\nproperties-file",
    ] {
        for (mode, words) in [(0o644, "every user can read this file"), (0o666, "every user can write this file")] {
            let said = check(section, mode);
            if !said.contains(words) {
                report.fail(format!("{section:?} {mode:o}: {}", tail(&said, 5)));
            }
        }
        let said = check(section, 0o600);
        if said.contains("every user can") {
            report.fail(format!("{section:?} 600: {}", tail(&said, 5)));
        }
    }
    report
}
