//! The fields of `show stat` that are used, and how each is combined.

use crate::haproxy::columns::{self, Combine, Kind, Nature};
use crate::haproxy::per_kind::PerKind;
use std::sync::LazyLock;

macro_rules! fields {
    ($($field:ident = $name:literal,)*) => {
        /// A field of a row.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::top) enum Field { $($field,)* }

        impl Field {
            /// All fields.
            pub(in crate::top) const ALL: [Self; [$($name),*].len()] = [$(Self::$field),*];

            /// HAProxy's name.
            pub(in crate::top) const fn name(self) -> &'static str {
                match self { $(Self::$field => $name,)* }
            }
        }
    };
}

fields! {
    Queued = "qcur",
    Sessions = "scur",
    SessionLimit = "slim",
    SessionsTotal = "stot",
    Requests = "req_tot",
    Balanced = "lbtot",
    BytesIn = "bin",
    BytesOut = "bout",
    DeniedRequests = "dreq",
    DeniedResponses = "dresp",
    BadRequests = "ereq",
    FailedConnects = "econ",
    BadResponses = "eresp",
    Status2xx = "hrsp_2xx",
    Status4xx = "hrsp_4xx",
    Status5xx = "hrsp_5xx",
    Retries = "wretr",
    Redispatches = "wredis",
    Weight = "weight",
    Active = "act",
    Backup = "bck",
    Downs = "chkdown",
    LastChange = "lastchg",
    CheckCode = "check_code",
    CheckDuration = "check_duration",
    QueueTime = "qtime",
    ConnectTime = "ctime",
    ResponseTime = "rtime",
    TotalTime = "ttime",
}

/// Number of fields.
pub(in crate::top) const COUNT: usize = Field::ALL.len();

/// The nature of a field, and how it is combined over processes and hosts.
pub(in crate::top) type Rule = Option<(Nature, Combine)>;

/// The rules of the catalogue, except that averages of times are weighted by requests, since they are combined over hosts as
/// well.
pub(in crate::top) fn rules(kind: Kind) -> &'static [Rule; COUNT] {
    static RULES: LazyLock<PerKind<[Rule; COUNT]>> =
        LazyLock::new(|| PerKind::new(|kind| Field::ALL.map(|f| rule(f, kind))));
    &RULES[kind]
}

fn rule(field: Field, kind: Kind) -> Rule {
    let column = columns::find(field.name())?;
    let combine = column.combine(kind)?;
    let combine = if combine.is_of_times() { Combine::WeightedMean } else { combine };
    Some((column.nature, combine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_knows_every_field() {
        for field in Field::ALL {
            assert!(Kind::ALL.iter().any(|kind| rule(field, *kind).is_some()), "{}", field.name());
        }
        let time = rules(Kind::Server)[Field::ResponseTime as usize];
        assert_eq!(time, Some((Nature::Average, Combine::WeightedMean)));
        assert_eq!(rules(Kind::Frontend)[Field::Weight as usize], None);
    }
}
