//! Keeps the C library's allocator from handing memory back after every snapshot, and makes it do so when there is
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
}
