//! What server and client share.

use super::document::Document;
use super::report::Reports;
use super::stop::Stop;
use super::store::Store;
use crate::cli::Run;
use crate::config;
use crate::daemon::duty::Roll;
use std::cell::RefCell;
use std::rc::Rc;

/// What server and client are given.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) config: Rc<config::Discovery>,
    pub(crate) store: Rc<dyn Store>,
    /// How long, and whether anything may be changed.
    pub(crate) run: Run,
    /// When to end.
    pub(crate) stop: Stop,
    /// Where metrics are reported.
    pub(crate) reports: Rc<Reports>,
    /// Whom the watchdog depends on.
    pub(crate) roll: Roll,
    /// With --dry-run: the list that the server would have written, for the client beside it.
    pub(crate) planned: Rc<RefCell<Option<Document>>>,
}
