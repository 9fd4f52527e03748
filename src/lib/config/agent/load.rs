//! The check `load`.

use super::super::value;
use super::reader::Reader;
use super::responses::{Response, response};
use super::service::all;
use std::time::Duration;

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
        let factors = ["cpu-reduction", "pressure-reduction", "memory-reduction", "swap-reduction"]
            .map(|option| r.get(option, value::fraction));
        let enter = r.optional("overload-enter", value::fraction);
        let leave = r.optional("overload-leave", value::fraction);
        let enter_delay = r.get("overload-enter-delay", value::pause);
        let leave_delay = r.get("overload-leave-delay", value::pause);
        let response = r.get("overload-response", response);
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
