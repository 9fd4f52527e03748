//! How the values of several processes become one.

use crate::value::Value;

/// How the values of several processes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Combine {
    /// The sum.
    Sum,
    /// The sum of limits; 0, which is no limit, where one of them is.
    Limit,
    /// The sum of limits, where a blank means no limit; no value if one of them is blank.
    LimitOrBlank,
    /// The plain average.
    Mean,
    /// The plain average over the rows that saw traffic (`traffic`): an idle process reports 0 and would pull the
    /// others down.
    BusyMean,
    /// The same, with each row weighted by the requests that its own average is over; in the place of the plain average
    /// where the operator asks for it, and in everything that the Python program did not send.
    WeightedMean,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// The smallest that is not negative; HAProxy writes -1 for "never".
    MinPresent,
}

impl Combine {
    /// Whether it is about averages of times, to which rows without traffic add nothing.
    #[must_use]
    pub const fn is_of_times(self) -> bool {
        matches!(self, Self::BusyMean | Self::WeightedMean)
    }

    /// What a mean is divided by for a row of this weight (`traffic::weight`).
    #[must_use]
    pub const fn divisor(self, weight: i64) -> i64 {
        match self {
            Self::WeightedMean => weight,
            Self::BusyMean => (weight > 0) as i64,
            _ => 1,
        }
    }

    /// The rule in one word, for documents.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Limit => "sum, 0 where one is 0",
            Self::LimitOrBlank => "sum, none where one is blank",
            Self::Mean => "mean",
            Self::BusyMean => "mean over processes with traffic",
            Self::WeightedMean => "mean weighted by requests",
            Self::Max => "max",
            Self::Min => "min",
            Self::MinPresent => "min of values ≥ 0",
        }
    }

    /// What several values become, each with the weight of its row (`traffic::weight`); `None` where there is
    /// nothing to combine. This is the rule itself: whatever combines columns, sums or hosts in a faster way is held
    /// against it. Blanks are not among the values: with [`Combine::LimitOrBlank`], the caller must return no value if there is one.
    #[must_use]
    pub fn over(self, values: impl IntoIterator<Item = (i128, i64)>) -> Option<Value> {
        let mut values = values.into_iter();
        match self {
            Self::Sum | Self::LimitOrBlank => {
                values.map(|(value, _)| value).reduce(|sum, value| sum + value).map(Value::from_i128)
            }
            Self::Limit => {
                let mut unlimited = false;
                let values = values.map(|(value, _)| value).inspect(|value| unlimited |= *value == 0);
                let sum = values.reduce(|sum, value| sum + value);
                sum.map(|sum| Value::from_i128(if unlimited { 0 } else { sum }))
            }
            Self::Mean | Self::BusyMean | Self::WeightedMean => {
                let (mut sum, mut weights) = (0, 0);
                for (value, weight) in values {
                    let divisor = i128::from(self.divisor(weight));
                    sum += value * divisor;
                    weights += divisor;
                }
                #[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles")]
                (weights > 0).then(|| Value::Float(sum as f64 / weights as f64))
            }
            Self::Max => values.map(|(value, _)| value).max().map(Value::from_i128),
            Self::Min => values.map(|(value, _)| value).min().map(Value::from_i128),
            Self::MinPresent => {
                values.by_ref().map(|(value, _)| value).filter(|value| *value >= 0).min().map(Value::from_i128)
            }
        }
    }
}
