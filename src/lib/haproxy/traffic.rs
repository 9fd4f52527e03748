//! How much traffic a row of `show stat` has seen, which is what its averages of times are worth.
//!
//! HAProxy's averages (`qtime`, `ctime`, `rtime`, `ttime`) are over the last [`LAST_REQUESTS`] requests of the row in that
//! process. In HTTP mode it counts them in `req_tot`. `lbtot`, by which the Python program told idle rows apart, counts only
//! what load balancing has decided: requests that follow a cookie, a stick table or `use-server` are not in it. This is the one
//! place that knows the rule; processes, servers over all backends, and hosts of a cluster are all combined by it.

/// Most requests that an average of HAProxy's is over.
const LAST_REQUESTS: i64 = 1024;

/// Where a row tells of its traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counter {
    /// Requests: HTTP mode only, and of servers since 2.2 only.
    Requests,
    /// Sessions, which are connections in TCP mode.
    Sessions,
    /// Times selected by load balancing.
    Balanced,
}

impl Counter {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Requests, Self::Sessions, Self::Balanced];

    /// HAProxy's name of the field.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::Requests => "req_tot",
            Self::Sessions => "stot",
            Self::Balanced => "lbtot",
        }
    }
}

/// How many requests the averages of a row are over: 0 for a row without traffic, and at least 1 for any other. `read` tells
/// a counter of the row, and `None` where its cell is blank or the file has no such field. Where nothing tells idle rows apart,
/// none is.
#[inline(always)]
pub(crate) fn weight(read: impl Fn(Counter) -> Option<i64>) -> i64 {
    match read(Counter::Requests).or_else(|| read(Counter::Sessions)).or_else(|| read(Counter::Balanced)) {
        Some(requests @ 1..) => requests.min(LAST_REQUESTS),
        Some(_) => i64::from(read(Counter::Balanced) > Some(0)),
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::Counter;

    fn weight(req_tot: Option<i64>, stot: Option<i64>, lbtot: Option<i64>) -> i64 {
        super::weight(|counter| match counter {
            Counter::Requests => req_tot,
            Counter::Sessions => stot,
            Counter::Balanced => lbtot,
        })
    }

    #[test]
    fn requests_count_where_they_are_printed_and_sessions_elsewhere() {
        assert_eq!(weight(Some(100), Some(900), Some(0)), 100, "a cookie decided");
        assert_eq!(weight(Some(10_000_000), Some(1), Some(1)), 1024);
        assert_eq!(weight(None, Some(7), Some(0)), 7, "TCP mode, and servers before 2.2");
        assert_eq!(weight(None, None, Some(3)), 3);
        assert_eq!(weight(Some(0), Some(9), Some(9)), 1, "the first requests are not complete yet");
    }

    #[test]
    fn a_row_without_traffic_weighs_nothing() {
        assert_eq!(weight(Some(0), Some(3), Some(0)), 0, "connections without a request");
        assert_eq!(weight(None, Some(0), Some(0)), 0);
        assert_eq!(weight(None, None, None), 1);
    }
}
