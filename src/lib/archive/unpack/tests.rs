use super::*;
use crate::archive::{Form, Stored, pack};
use crate::snapshot::Epoch;
use crate::snapshot::origin::Origin;
use proptest::prelude::*;
use std::io::Write;
use std::path::PathBuf;
use tar::{Builder, Header};

fn unpack(path: &Path, dir: &Path) -> Result<u64, ArchiveError> {
    let stored = Stored { epoch: Epoch(7), path: path.to_owned(), form: Form::Packed };
    stored.unpack(dir, &Origin { host: "here".to_owned() })
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A file with this as an archive, and where it is to be unpacked.
fn archive(tar: &[u8]) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("7.tar.zst");
    let mut encoder = zstd::Encoder::new(File::create(&path).unwrap(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(tar).unwrap();
    encoder.finish().unwrap();
    let target = dir.path().join("7");
    (dir, path, target)
}

fn tar_of(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o4777);
        // The crate refuses to write what a hostile program would.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        if kind.is_symlink() {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn what_was_packed_is_unpacked() {
    let snapshot = tempfile::tempdir().unwrap();
    let long = format!("{}_stat", "s".repeat(200));
    for (name, text) in [("a_info", "Name: HAProxy\n"), (&*long, "# pxname,\n"), ("empty_stat", "")] {
        std::fs::write(snapshot.path().join(name), text).unwrap();
    }
    let packed = pack(snapshot.path(), Epoch(7), &Origin { host: "lb".to_owned() }, Vec::new()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (path, target) = (dir.path().join("7.tar.zst"), dir.path().join("7"));
    std::fs::write(&path, &packed).unwrap();
    unpack(&path, &target).unwrap();
    assert_eq!(names(&target), [".origin", "a_info", "empty_stat", &long]);
    assert_eq!(std::fs::read_to_string(target.join("a_info")).unwrap(), "Name: HAProxy\n");
    assert_eq!(Origin::read(&target).unwrap().unwrap().host, "lb");
    // Every byte counts: cut off, or changed.
    for length in [0, 1, packed.len() / 2, packed.len() - 1] {
        std::fs::remove_dir_all(&target).unwrap_or_default();
        std::fs::write(&path, &packed[..length]).unwrap();
        assert!(unpack(&path, &target).is_err(), "{length} bytes of {}", packed.len());
        assert!(!target.exists());
    }
    for at in 0..packed.len() {
        let mut changed = packed.clone();
        changed[at] ^= 0x10;
        std::fs::write(&path, &changed).unwrap();
        if unpack(&path, &target).is_ok() {
            // A bit of the frame's header that says nothing.
            assert_eq!(std::fs::read_to_string(target.join("a_info")).unwrap(), "Name: HAProxy\n");
            std::fs::remove_dir_all(&target).unwrap();
        }
    }
}

#[test]
fn a_snapshot_that_was_packed_by_hand_is_one() {
    let tar = tar_of(&[("7/", EntryType::Directory, b""), ("./7/a_info", EntryType::Regular, b"x")]);
    let (_dir, path, target) = archive(&tar);
    unpack(&path, &target).unwrap();
    assert_eq!(names(&target), [".origin", "a_info"]);
    assert_eq!(Origin::read(&target).unwrap().unwrap().host, "here");
}

#[test]
fn nothing_leaves_the_directory_and_no_link_is_made() {
    for (name, kind) in [
        ("../escaped", EntryType::Regular),
        ("/tmp/escaped", EntryType::Regular),
        ("a/b/c", EntryType::Regular),
        ("a/../b", EntryType::Regular),
        ("..", EntryType::Regular),
        (".", EntryType::Regular),
        ("link_stat", EntryType::Symlink),
        ("link_stat", EntryType::Link),
        ("device", EntryType::Char),
        ("pipe", EntryType::Fifo),
    ] {
        let (dir, path, target) = archive(&tar_of(&[("a_info", EntryType::Regular, b"x"), (name, kind, b"")]));
        let error = unpack(&path, &target).unwrap_err();
        assert!(matches!(error, ArchiveError::Foreign { .. }), "{name}: {error:?}");
        assert_eq!(names(dir.path()), ["7.tar.zst"], "{name}");
    }
}

#[test]
fn a_file_that_is_there_twice_is_foreign_and_none_at_all_is_nothing() {
    let (_dir, path, target) =
        archive(&tar_of(&[("a_info", EntryType::Regular, b"x"), ("a_info", EntryType::Regular, b"y")]));
    assert!(unpack(&path, &target).unwrap_err().to_string().contains("a_info twice"));
    let (_dir, path, target) = archive(&tar_of(&[]));
    assert!(matches!(unpack(&path, &target), Err(ArchiveError::Empty { .. })));
}

#[test]
fn a_bomb_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("7.tar.zst");
    let mut header = Header::new_gnu();
    header.set_path("a_stat").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    let mut encoder = zstd::Encoder::new(File::create(&path).unwrap(), 1).unwrap();
    encoder.write_all(header.as_bytes()).unwrap();
    io::copy(&mut io::repeat(0).take(300 << 20), &mut encoder).unwrap();
    encoder.finish().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 100_000);
    let mut got = 0;
    let error = read(&path, |_, input| io::copy(input, &mut io::sink()).map(|bytes| got += bytes)).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { bytes: 268_435_456, .. }), "{error:?}");
    let error = unpack(&path, &dir.path().join("7")).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { .. }), "{error:?}");
    assert_eq!(names(dir.path()), ["7.tar.zst"]);
}

#[test]
fn a_disk_that_is_full_is_not_the_archives_fault() {
    let (_dir, path, _) = archive(&tar_of(&[("a_info", EntryType::Regular, b"x")]));
    let error = read(&path, |_, _| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
    assert!(error.is_of_the_system(), "{error:?}");
    std::fs::write(&path, "not an archive").unwrap();
    assert!(matches!(read(&path, |_, _| Ok(())), Err(ArchiveError::Damaged { .. })));
    assert!(matches!(read(Path::new("/nowhere"), |_, _| Ok(())), Err(ArchiveError::Open { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_it_panic(tar in prop::collection::vec(any::<u8>(), 0..2000), at in 0..512_usize, byte: u8) {
        let (_dir, path, _) = archive(&tar);
        let _ = read(&path, |_, input| io::copy(input, &mut io::sink()).map(drop));
        let mut tar = tar_of(&[("a_info", EntryType::GNULongName, b"x"), ("a_info", EntryType::XHeader, b"9 path=x\n")]);
        tar[at] = byte;
        let (_dir, path, _) = archive(&tar);
        let _ = read(&path, |_, input| io::copy(input, &mut io::sink()).map(drop));
    }
}
