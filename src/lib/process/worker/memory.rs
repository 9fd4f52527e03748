//! Keeps the C library's allocator from handing memory back after every snapshot, and gives it back when there is
//! nothing to do.

/// Free memory up to this is kept for the next snapshot instead of being handed back each time: columns and
/// rendered lines of large installations are many million bytes.
#[cfg(target_env = "gnu")]
const KEEP: libc::c_int = 256 * 1024 * 1024;
/// The largest threshold for mapping that the C library accepts; larger blocks are mapped in any case.
#[cfg(target_env = "gnu")]
const MAP_FROM: libc::c_int = 32 * 1024 * 1024;

/// To be called once, early, while there is one thread.
pub fn tune() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: mallopt has no requirements on its arguments; it fails on values that it does not like, which leaves
        // the defaults.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAP_FROM);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEEP);
        }
    }
}

/// Gives memory that is not in use back to the system.
pub fn release() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: malloc_trim may be called at any time, from any thread.
        unsafe {
            libc::malloc_trim(0);
        }
    }
    forget_code();
}

/// Unmaps the pages of the program's code and constants. They stay in the page cache, which all workers share, and come back at a
/// touch, for less than a millisecond in all; but fifteen million bytes of polars need not be resident in a worker
/// that waits for the next snapshot.
fn forget_code() {
    let Ok(program) = std::fs::read_link("/proc/self/exe") else { return };
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    for (start, end) in maps.lines().filter_map(|line| code(line, &program.to_string_lossy())) {
        // SAFETY: the range is a private mapping of a file that cannot be written to and never was (see `code`), so its
        // pages are those of the file, and the kernel reads them again from there. The file cannot have changed: that of
        // a running program cannot be written to (ETXTBSY).
        unsafe {
            libc::madvise(std::ptr::with_exposed_provenance_mut(start), end - start, libc::MADV_DONTNEED);
        }
    }
}

/// The range of a line of /proc/self/maps if it is code of this program, or the read-only segment at the start of its
/// file. A later read-only one holds what the dynamic linker has relocated, and is not as in the file.
fn code(line: &str, program: &str) -> Option<(usize, usize)> {
    let (range, rest) = line.split_once(' ')?;
    let mut words = rest.splitn(5, ' ');
    let (permissions, offset) = (words.next()?, words.next()?);
    let path = words.nth(2)?.trim_start();
    let constants = permissions == "r--p" && offset.bytes().all(|digit| digit == b'0');
    if !(permissions == "r-xp" || constants) || path != program {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_own_code_is_found() {
        let line = "55d0c4a00000-55d0c4b00000 r-xp 007aa000 fe:01 1234567                    /usr/bin/a program";
        assert_eq!(code(line, "/usr/bin/a program"), Some((0x55d0_c4a0_0000, 0x55d0_c4b0_0000)));
        assert_eq!(code(line, "/usr/bin/a"), None);
        let constants = "55d0c4a00000-55d0c4b00000 r--p 00000000 fe:01 1234567                    /usr/bin/a program";
        assert_eq!(code(constants, "/usr/bin/a program"), Some((0x55d0_c4a0_0000, 0x55d0_c4b0_0000)));
        for other in [
            "55d0c4a00000-55d0c4b00000 r--p 007aa000 fe:01 1234567                    /usr/bin/a program",
            "55d0c4a00000-55d0c4b00000 rw-p 00000000 00:00 0 ",
            "7ffd1a3f0000-7ffd1a3f2000 r-xp 00000000 00:00 0                          [vdso]",
            "",
        ] {
            assert_eq!(code(other, "/usr/bin/a program"), None, "{other}");
        }
    }

    #[test]
    fn the_program_goes_on_without_its_code() {
        release();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let program = std::fs::read_link("/proc/self/exe").unwrap();
        assert!(maps.lines().filter_map(|line| code(line, &program.to_string_lossy())).count() >= 1);
        let sum: u64 = (0..1000).map(|n| format!("{n:x}").len() as u64).sum();
        assert_eq!(sum, 16 + 240 * 2 + 744 * 3);
    }
}
