//! The program's allocator: the system's, but for what happens when there is no memory.
//!
//! The standard library aborts then, which looks like any crash: a worker would seem to have been crashed by the snapshot that
//! it was processing, and two of them would send a good snapshot to quarantine. So the process ends with a code of its own
//! instead, [`crate::exit::SYSTEM`].

use crate::exit;
use libc::{_exit, STDERR_FILENO};
use std::alloc::{GlobalAlloc, Layout, System};

/// See the module.
#[derive(Debug)]
pub struct Allocator;

// SAFETY: every call is passed on to the system's allocator as it is, which fulfils the contract; what it returns is
// returned, unless it is null, when nothing is returned at all.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller fulfils the contract.
        there(unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller fulfils the contract.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller fulfils the contract.
        there(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller fulfils the contract.
        there(unsafe { System.realloc(block, layout, size) })
    }
}

fn there(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        end();
    }
    block
}

/// Without memory nothing can be formatted, and nothing be cleaned up.
#[cold]
fn end() -> ! {
    const WORDS: &[u8] = b"haproxystats-process: out of memory; exiting\n";
    // SAFETY: the buffer is as long as is said, and `_exit` may be called at any time.
    unsafe {
        libc::write(STDERR_FILENO, WORDS.as_ptr().cast(), WORDS.len());
        _exit(i32::from(exit::SYSTEM))
    }
}
