//! What a check comes to, as Nagios has it.

use super::range::Range;

/// Nagios' states; the numbers are the exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Good.
    Ok = 0,
    /// Needs a look.
    Warning = 1,
    /// Needs action.
    Critical = 2,
    /// It cannot be told.
    Unknown = 3,
}

impl State {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// What a check comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    pub state: State,
    /// One line, without the word of the state.
    pub text: String,
    /// Further lines.
    pub details: Vec<String>,
    /// Performance data.
    pub figures: Vec<Figure>,
}

impl Verdict {
    /// A verdict without figures.
    pub(crate) fn new(state: State, text: impl Into<String>) -> Self {
        Self { state, text: text.into(), details: Vec::new(), figures: Vec::new() }
    }
}

/// One figure of the performance data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    pub label: &'static str,
    pub value: u64,
    /// `s`, `B`, or nothing.
    pub unit: &'static str,
    /// What is not WARNING.
    pub warning: Option<Range>,
    /// What is not CRITICAL.
    pub critical: Option<Range>,
    /// Most that it can be.
    pub max: Option<u64>,
}

/// Two ranges: outside the first is WARNING, outside the second CRITICAL.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    /// What is OK.
    pub ok: Range,
    /// What is at most WARNING.
    pub warning: Range,
}

impl Limits {
    pub(super) fn judge(self, value: u64) -> State {
        #[allow(clippy::cast_precision_loss, reason = "thresholds are small numbers")]
        let value = value as f64;
        match (self.warning.allows(value), self.ok.allows(value)) {
            (false, _) => State::Critical,
            (true, false) => State::Warning,
            (true, true) => State::Ok,
        }
    }
}

pub(super) fn figure(label: &'static str, value: u64, unit: &'static str, limits: Option<Limits>) -> Figure {
    let (warning, critical) = (limits.map(|limits| limits.ok), limits.map(|limits| limits.warning));
    Figure { label, value, unit, warning, critical, max: None }
}
