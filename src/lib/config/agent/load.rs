//! The check `load`.

use super::responses::{Response, response};
use crate::config::option::options;
use crate::config::program::AGENT;
use crate::config::reading::{Reading, Type};
use crate::config::section::{Section, gather};
use crate::config::value;
use std::time::Duration;

options! {
    pub(crate) static ROWS: AGENT, Agent {
        CPU_REDUCTION: f64 = value::FRACTION, "cpu-reduction", Some("0.8"),
            "Share of the weight removed at one runnable task per CPU (one-minute load average; load).";
        PRESSURE_REDUCTION: f64 = value::FRACTION, "pressure-reduction", Some("0.5"),
            "Share of the weight removed when tasks are waiting for a CPU all the time (PSI, average over 10 seconds; \
             load).";
        MEMORY_REDUCTION: f64 = value::FRACTION, "memory-reduction", Some("0"),
            "Share of the weight removed when no memory is available (load).";
        SWAP_REDUCTION: f64 = value::FRACTION, "swap-reduction", Some("0.3"),
            "Share of the weight removed when swap is full (load).";
        OVERLOAD_ENTER: f64 = value::FRACTION, "overload-enter", None,
            "Share of the weight removed (load) at which the host counts as overloaded; unset: never.";
        OVERLOAD_LEAVE: f64 = value::FRACTION, "overload-leave", None,
            "Share of the weight removed (load) below which it no longer counts as overloaded; unset: overload-enter.";
        OVERLOAD_ENTER_DELAY: Duration = value::PAUSE, "overload-enter-delay", Some("0"),
            "How long overload-enter must be reached before the host counts as overloaded.";
        OVERLOAD_LEAVE_DELAY: Duration = value::PAUSE, "overload-leave-delay", Some("0"),
            "How long the host must stay below overload-leave before it no longer counts as overloaded.";
        OVERLOAD_RESPONSE: Response = Reading::new(Type::Answer, response), "overload-response", Some("1%"),
            "Answer of an overloaded host; empty: the weight according to the load.";
    }
}

/// `load`
#[derive(Debug, Clone)]
pub struct Load {
    /// The factors of CPU, pressure, memory, swap.
    pub factors: [f64; 4],
    /// When the host is overloaded; `None`: never.
    pub overload: Option<Overload>,
}

/// When the host is overloaded, and what is answered then. The measure is the part of the weight that load takes off.
#[derive(Debug, Clone)]
pub struct Overload {
    /// From here on the host is overloaded.
    pub enter: f64,
    /// How long that must last.
    pub enter_delay: Duration,
    /// From here down it is so no longer; not above `enter`.
    pub leave: f64,
    /// How long that must last.
    pub leave_delay: Duration,
    /// The answer meanwhile; `None`: the weight by the load.
    pub response: Response,
}

impl Load {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        gather!(Self {
            factors: section.numbers([&CPU_REDUCTION, &PRESSURE_REDUCTION, &MEMORY_REDUCTION, &SWAP_REDUCTION]),
            overload: Overload::read(section),
        })
    }
}

impl Overload {
    fn read(section: &mut Section<'_>) -> Option<Option<Self>> {
        let (enter, leave) = (section.optional(&OVERLOAD_ENTER), section.optional(&OVERLOAD_LEAVE));
        let enter_delay = section.get(&OVERLOAD_ENTER_DELAY);
        let leave_delay = section.get(&OVERLOAD_LEAVE_DELAY);
        let response = section.get(&OVERLOAD_RESPONSE);
        let wrong = match (enter?, leave?) {
            (None, None) => return Some(None),
            (None, Some(_)) => "has no effect without overload-enter; set both, such as 0.9 and 0.7",
            (Some(enter), Some(leave)) if leave > enter => "is above overload-enter; write a smaller number",
            (Some(enter), leave) => {
                let (leave, enter_delay, leave_delay) = (leave.unwrap_or(enter), enter_delay?, leave_delay?);
                return Some(Some(Self { enter, enter_delay, leave, leave_delay, response: response? }));
            }
        };
        section.error("overload-leave", wrong);
        None
    }
}
