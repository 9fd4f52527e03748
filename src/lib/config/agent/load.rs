//! The check `load`.

use super::super::value;
use super::reader::Reader;
use super::responses::{Response, response};
use super::service::all;
use crate::config::option::{Reading, Type, options};
use crate::config::options::{AGENT, Reader as ReadBy};
use std::time::Duration;

options! {
    /// Its rows.
    pub(in crate::config) static ROWS: AGENT, ReadBy::Agent {
        CPU_REDUCTION: f64 = value::FRACTION, "cpu-reduction", Some("0.8"),
            "Share of the weight removed by one runnable task per CPU (load average over a minute; load).";
        PRESSURE_REDUCTION: f64 = value::FRACTION, "pressure-reduction", Some("0.5"),
            "Share of the weight removed when tasks wait for a CPU all the time (PSI, average over 10 seconds; load).";
        MEMORY_REDUCTION: f64 = value::FRACTION, "memory-reduction", Some("0"),
            "Share of the weight removed when no memory is available (load).";
        SWAP_REDUCTION: f64 = value::FRACTION, "swap-reduction", Some("0.3"),
            "Share of the weight removed when swap is full (load).";
        OVERLOAD_ENTER: f64 = value::FRACTION, "overload-enter", None,
            "Share of the weight removed (load) at which the host counts as overloaded; unset: it never does.";
        OVERLOAD_LEAVE: f64 = value::FRACTION, "overload-leave", None,
            "Share of the weight removed (load) below which it no longer counts as overloaded; unset: overload-enter.";
        OVERLOAD_ENTER_DELAY: Duration = value::PAUSE, "overload-enter-delay", Some("0"),
            "How long overload-enter must be reached before the host counts as overloaded.";
        OVERLOAD_LEAVE_DELAY: Duration = value::PAUSE, "overload-leave-delay", Some("0"),
            "How long overload-leave must be reached before it no longer does.";
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
    pub(super) fn read(r: &mut Reader<'_>) -> Option<Self> {
        let factors =
            [&CPU_REDUCTION, &PRESSURE_REDUCTION, &MEMORY_REDUCTION, &SWAP_REDUCTION].map(|option| r.get(option));
        let enter = r.optional(&OVERLOAD_ENTER);
        let leave = r.optional(&OVERLOAD_LEAVE);
        let enter_delay = r.get(&OVERLOAD_ENTER_DELAY);
        let leave_delay = r.get(&OVERLOAD_LEAVE_DELAY);
        let response = r.get(&OVERLOAD_RESPONSE);
        let (enter, leave) = (enter?, leave?);
        let overload = match (enter, leave) {
            (None, None) => None,
            (None, Some(_)) => {
                r.error("overload-leave", "has no effect without overload-enter; set both, such as 0.9 and 0.7");
                return None;
            }
            (Some(enter), Some(leave)) if leave > enter => {
                r.error("overload-leave", "is above overload-enter; write a smaller number");
                return None;
            }
            (Some(enter), leave) => Some(Overload {
                enter,
                enter_delay: enter_delay?,
                leave: leave.unwrap_or(enter),
                leave_delay: leave_delay?,
                response: response?,
            }),
        };
        Some(Self { factors: all(factors)?, overload })
    }
}
