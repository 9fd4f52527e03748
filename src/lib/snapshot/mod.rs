//! The directory between pull and process.
//!
//! Layout of one snapshot, `<epoch>/`:
//!
//! | file | content |
//! |---|---|
//! | `<socket>_info` | the reply to `show info` |
//! | `<socket>_stat` | the reply to `show stat` |
//! | `<master>@<pid>_oldinfo`, `_oldstat` | the same of a worker that is leaving, asked through its master |
//! | `<socket>_carriedinfo`, `_carriedstat` | what the counters of processes that are gone had reached |
//! | `<socket>_endedinfo`, `_endedstat` | what is known of objects that were in the snapshot before and are no more |
//! | `<socket>_tables` and others, `<master>@<pid>_oldtables` | replies to further questions (`haproxy::questions`) |
//! | `<socket>_learnt` | natures of fields that the catalogue does not know (`haproxy::learnt`) |
//! | `<socket>_latency`, `<master>@<pid>_oldlatency` | the reply to `show table` of `latency-table` |
//! | `<socket>_carriedlatency` | what the rows of such tables have come to, and by how much since the snapshot before |
//! | `.pull` | pull's own counters, one `name value` line each; hidden, so that nothing else reads it |
//! | `.origin` | only in an archived snapshot: the host on which it was processed ([`origin`]) |
//! | `.members` | only in a snapshot that was assembled from those of several hosts: whose files they are ([`members`]) |
//!
//! What pull has on disk at each moment, and what a crash leaves: [`stage`].
//!
//! pull creates a snapshot by renaming a complete directory into place, and never touches it again. From then on
//! process alone owns it: it is removed when every destination has its metrics ([`remove`]), or moved away when it
//! cannot be processed ([`quarantine`]). What a crash of process leaves of a removal is `.done-<epoch>/`, which is no
//! snapshot; the next start deletes it. Before that it is `.removing-<epoch>/` for a moment ([`withdraw`]), which the next
//! start puts back.

pub mod disk;
pub mod group;
pub mod list;
pub mod members;
pub mod moment;
pub mod name;
pub mod origin;
pub mod quarantine;
pub mod remove;
pub mod stage;
pub mod withdraw;

pub use name::Epoch;

/// End of the name of a file with the reply to `show info`.
pub(crate) const INFO_SUFFIX: &str = "_info";
/// End of the name of a file with the reply to `show stat`.
pub(crate) const STAT_SUFFIX: &str = "_stat";
/// The same of a worker that is leaving. Programs that do not know of these take no notice of the files.
pub(crate) const OLD_INFO_SUFFIX: &str = "_oldinfo";
/// See [`OLD_INFO_SUFFIX`].
pub(crate) const OLD_STAT_SUFFIX: &str = "_oldstat";
/// End of the name of a file with what is carried of counters in `show info`.
pub(crate) const CARRIED_INFO_SUFFIX: &str = "_carriedinfo";
/// The same of `show stat`.
pub(crate) const CARRIED_STAT_SUFFIX: &str = "_carriedstat";
/// End of the name of a file with the last `show info` of a host that is no more.
pub(crate) const ENDED_INFO_SUFFIX: &str = "_endedinfo";
/// The same with the last rows of `show stat` of objects that are no more.
pub(crate) const ENDED_STAT_SUFFIX: &str = "_endedstat";
/// End of the name of a file with what is known of fields that the catalogue does not have (`haproxy::learnt`).
pub(crate) const LEARNT_SUFFIX: &str = "_learnt";
/// End of the name of a file with a table of response times (`latency-table`).
pub(crate) const LATENCY_SUFFIX: &str = "_latency";
/// The same of a worker that is leaving.
pub(crate) const OLD_LATENCY_SUFFIX: &str = "_oldlatency";
/// What the rows of these tables have come to.
pub(crate) const CARRIED_LATENCY_SUFFIX: &str = "_carriedlatency";
/// What stands between the name of a master and the pid of a worker that is leaving.
pub(crate) const WORKER_MARK: char = '@';
/// Name of the file in which pull hands its own counters to process.
pub(crate) const PULL_COUNTERS: &str = ".pull";
/// Name of the file that says where an archived snapshot comes from.
pub const ORIGIN: &str = ".origin";
/// Name of the file that says which hosts the files of a snapshot are of.
pub const MEMBERS: &str = ".members";
/// Name of the directory in which snapshots are assembled; hidden, so that nothing takes it for a snapshot.
pub(crate) const ASSEMBLING_DIR: &str = ".assembling";
/// Begin of the name of a snapshot that is being deleted.
pub(crate) const DONE_PREFIX: &str = ".done-";
/// Begin of the name of a snapshot that is being taken out of the queue.
pub(crate) const TAKEN_PREFIX: &str = ".removing-";
