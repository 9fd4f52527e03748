//! Faults of what lies in the queue: damaged, odd, hostile.

use super::{During, Fault, burst, fault};
use crate::data;
use crate::unit::FORGED;
use crate::world::World;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Faults of what lies in the queue.
pub const CONTENT: &[Fault] = &[
    fault("garbage files", garbage),
    fault("truncated files", truncated),
    fault("empty files and directories", empty),
    fault("enormous files", enormous),
    fault("odd files: links, FIFOs, directories", odd),
    fault("names that inject lines", injection),
    fault("names that begin lines in the log", forging),
    fault("a snapshot that crashes workers", trap),
    fault("foreign entries in the queue", foreign),
];

fn garbage(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    let mut bytes = vec![0_u8; 20_000];
    world.rng.fill(&mut bytes);
    for (info, stat) in [(true, false), (false, true), (true, true)] {
        world.feed_odd(false, |directory| {
            let epoch = epoch_of(directory);
            data::fill(directory, epoch)?;
            if info {
                fs::write(directory.join("lb.sock_info"), &bytes)?;
            }
            if stat {
                fs::write(directory.join("lb.sock_stat"), &bytes)?;
            }
            Ok(())
        });
        burst(world, 1);
    }
    during(world);
}

fn truncated(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    for _ in 0..3 {
        let (of_info, of_stat) = (world.rng.f64(), world.rng.f64());
        world.feed_odd(false, |directory| {
            let epoch = epoch_of(directory);
            let cut = |text: String, part: f64| text[..(text.len() as f64 * part) as usize].to_owned();
            fs::write(directory.join("lb.sock_info"), cut(data::info(epoch), of_info))?;
            fs::write(directory.join("lb.sock_stat"), cut(data::stat(epoch, data::SERVERS), of_stat))
        });
        burst(world, 1);
    }
    during(world);
}

fn empty(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    world.feed_odd(false, |_| Ok(()));
    world.feed_odd(false, |directory| {
        fs::write(directory.join("lb.sock_info"), "")?;
        fs::write(directory.join("lb.sock_stat"), "")
    });
    burst(world, 2);
    during(world);
}

fn enormous(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    let line = vec![b'x'; 8 * 1024 * 1024];
    world.feed_odd(false, |directory| {
        data::fill(directory, epoch_of(directory))?;
        fs::write(directory.join("other.sock_info"), &line)?;
        fs::write(directory.join("other.sock_stat"), &line)
    });
    let rows = format!("# pxname,svname,scur,type,\n{}", "shop,s1,1,9,\n".repeat(500_000));
    world.feed_odd(false, |directory| {
        data::fill(directory, epoch_of(directory))?;
        fs::write(directory.join("other.sock_stat"), &rows)
    });
    burst(world, 2);
    during(world);
}

fn odd(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    world.feed_odd(false, |directory| {
        data::fill(directory, epoch_of(directory))?;
        symlink("/etc/passwd", directory.join("link.sock_stat"))?;
        symlink("/nowhere", directory.join("nowhere.sock_info"))?;
        fs::create_dir(directory.join("directory.sock_stat"))?;
        nix::unistd::mkfifo(&directory.join("fifo.sock_stat"), nix::sys::stat::Mode::S_IRWXU)?;
        fs::write(directory.join("a\nb.sock_info"), "Name: HAProxy\n")?;
        fs::write(directory.join("README"), "not ours")
    });
    burst(world, 2);
    during(world);
}

fn injection(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    injected(world);
    burst(world, 2);
    during(world);
}

/// A snapshot with names of servers that would begin lines, lead elsewhere, or are no text.
pub fn injected(world: &mut World) {
    world.feed_odd(false, |directory| {
        let epoch = epoch_of(directory);
        fs::write(directory.join("lb.sock_info"), data::info(epoch))?;
        let stat = data::stat(epoch, 3)
            .replace("web-000", "\"web\nevil.path 1 1\n\"")
            .replace("web-001", "../../etc 7 7")
            .replace("web-002", "\"a\rb\u{0}c\t d\"");
        fs::write(directory.join("lb.sock_stat"), stat)
    });
}

/// Of files, and of what else lies in the queue.
fn forging(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    world.feed_odd(false, |directory| {
        data::fill(directory, epoch_of(directory))?;
        fs::write(directory.join(format!("a\n{FORGED}\u{1b}[2J_info")), "no statistics")?;
        fs::write(directory.join("b\r\u{9b}31m_stat"), "no statistics")
    });
    let foreign = world.incoming().join(format!("foreign\n{FORGED}\u{1b}]0;title\u{7}"));
    let made = fs::write(&foreign, "");
    burst(world, 2);
    during(world);
    if made.is_ok() {
        let _ = fs::remove_file(foreign);
    }
}

fn trap(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    for _ in 0..4 {
        world.feed_trap();
        world.allow(2);
        burst(world, 1);
    }
    during(world);
}

fn foreign(world: &mut World, name: &'static str, during: During<'_>) {
    world.begin(name);
    let incoming = world.incoming();
    let precious = world.base.path().join("precious");
    let made = fs::create_dir(&precious)
        .and_then(|()| fs::write(precious.join("lb.sock_info"), "precious"))
        .and_then(|()| fs::write(incoming.join("notes.txt"), "precious"))
        .and_then(|()| fs::create_dir(incoming.join("1700000000x")))
        .and_then(|()| fs::write(incoming.join("1700000001"), "a file"))
        .and_then(|()| symlink(&precious, incoming.join("1700000002")))
        .and_then(|()| symlink(&precious, incoming.join("link")));
    burst(world, 2);
    during(world);
    if made.is_ok() {
        let there = ["notes.txt", "1700000000x", "1700000001", "1700000002", "link"];
        let untouched = there.iter().all(|name| fs::symlink_metadata(incoming.join(name)).is_ok())
            && fs::read_to_string(precious.join("lb.sock_info")).is_ok_and(|text| text == "precious");
        if !untouched {
            world.report.fail("foreign entries in the queue were touched");
        }
    }
    for name in ["notes.txt", "1700000001", "1700000002", "link"] {
        let _ = fs::remove_file(incoming.join(name));
    }
    let _ = fs::remove_dir(incoming.join("1700000000x"));
    let _ = fs::remove_dir_all(precious);
}

fn epoch_of(directory: &Path) -> u64 {
    directory.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()).expect("an epoch")
}
