//! polars on the calling thread.
//!
//! polars hands every expression to a pool of threads, one for each processor. The parallelism here are the worker
//! processes: their pools would compete for the same processors, and handing over costs more than most of our columns
//! take to add up (three times the processor time of a snapshot, measured). The public setting, `POLARS_MAX_THREADS=1`
//! in the environment, leaves one thread beside the calling one, and the handing over.
//!
//! This is about what polars groups, which is little: adding whole columns up, as [`super::aligned`] does, starts no thread
//! at all. Grouping starts two, which sleep.

use polars_async::executor::ALLOW_RAYON_THREADS;

/// From now on, polars runs everything that this thread asks of it on the calling thread. The switch is public but not
/// documented, which is why polars is pinned, and the threads of a worker are counted in a test.
pub fn stay() {
    ALLOW_RAYON_THREADS.set(false);
}
