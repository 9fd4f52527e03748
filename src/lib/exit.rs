//! Exit codes of the programs, by the names of sysexits.h where one fits.

/// The program did what it was asked to do.
pub const OK: u8 = 0;
/// The command line could not be understood (the original exits with 1 here, and so do we).
pub(crate) const USAGE: u8 = 1;
/// Something outside the program failed for good; systemd may restart it.
pub const FAILURE: u8 = 1;
/// `--status`: the program does not run (as LSB has it for init scripts).
pub(crate) const NOT_RUNNING: u8 = 3;
/// A file or directory that was named on the command line cannot be read (sysexits EX_NOINPUT).
pub(crate) const NO_INPUT: u8 = 66;
/// Workers died faster than they can usefully be replaced (sysexits EX_SOFTWARE).
pub const WORKERS_FAIL: u8 = 70;
/// The system is short of something, memory for instance (sysexits EX_OSERR). A worker that ends with it says nothing about
/// the snapshot that it was processing.
pub(crate) const SYSTEM: u8 = 71;
/// The configuration is refused; nothing was started (sysexits EX_CONFIG).
pub(crate) const CONFIG: u8 = 78;
