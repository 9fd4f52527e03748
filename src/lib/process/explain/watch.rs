//! What is really sent under some names: the snapshot is processed as ever, and this looks on.

use crate::batch::{Batch, Output};
use crate::encode::encoder::Encoder;
use crate::encode::object::{Host, Object};
use crate::encode::prefix::Prefix;
use crate::snapshot::Epoch;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Values by path, as they are sent.
pub(super) type Seen = Rc<RefCell<BTreeMap<String, String>>>;

/// Remembers the values of these paths.
#[derive(Debug)]
pub(super) struct Watch {
    paths: Vec<String>,
    seen: Seen,
}

impl Watch {
    pub(super) fn new(paths: Vec<String>, seen: Seen) -> Self {
        Self { paths, seen }
    }
}

impl Encoder for Watch {
    fn begin(&mut self) {}

    fn object(&mut self, _: &Object<'_>, _: &Host, _: Epoch) {}

    fn line(&mut self, prefix: Prefix<'_>, metric: &[u8], text: &[u8], _: f64) {
        let is = |path: &&String| path.as_bytes().strip_prefix(prefix.plain).is_some_and(|behind| behind == metric);
        if let Some(path) = self.paths.iter().find(is) {
            self.seen.borrow_mut().insert(path.clone(), String::from_utf8_lossy(text).into_owned());
        }
    }

    fn takes_clusters(&self) -> bool {
        true
    }

    fn takes_lines(&self) -> bool {
        true
    }

    fn size(&self) -> usize {
        0
    }

    fn take(&mut self, _: &Batch) -> Vec<(Output, Batch)> {
        Vec::new()
    }
}
