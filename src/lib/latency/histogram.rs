//! Counts by bounds, and what can be said of the times that were counted.

use std::sync::Arc;

/// Requests by how long they took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// In milliseconds, ascending.
    bounds: Arc<[u32]>,
    /// For each bound, how many took at most that long: each counts in all bounds from its own on.
    counts: Vec<u64>,
    /// How many there were.
    count: u64,
    /// What they took together, in milliseconds.
    sum: u64,
}

impl Histogram {
    /// Of the counters of one timer: for each bound one, the number of requests, and their sum. Counters that are missing are 0,
    /// and none is above the one that it is part of.
    #[must_use]
    pub fn new(bounds: &[u32], counters: &[u64]) -> Self {
        Self::with(&bounds.into(), counters)
    }

    /// The same with bounds that many have.
    #[must_use]
    pub fn with(bounds: &Arc<[u32]>, counters: &[u64]) -> Self {
        let counter = |place: usize| counters.get(place).copied().unwrap_or(0);
        let (count, sum) = (counter(bounds.len()), counter(bounds.len() + 1));
        let mut counts: Vec<u64> = (0..bounds.len()).map(counter).collect();
        let mut most = count;
        for count in counts.iter_mut().rev() {
            most = most.min(*count);
            *count = most;
        }
        Self { bounds: Arc::clone(bounds), counts, count, sum }
    }

    /// The bounds, in milliseconds.
    #[must_use]
    pub fn bounds(&self) -> &[u32] {
        &self.bounds
    }

    /// For each bound, how many took at most that long.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What they took together, in milliseconds.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Adds what was counted elsewhere. Of different bounds, those remain that both have: for these, and for the number and the
    /// sum, nothing is lost. Where nothing was counted, bounds say nothing.
    pub fn add(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            self.clone_from(other);
            return;
        }
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        if self.bounds != other.bounds {
            let both = |bound: &u32| Some((*bound, self.at(*bound)?.saturating_add(other.at(*bound)?)));
            let (bounds, counts): (Vec<u32>, Vec<u64>) = self.bounds.iter().filter_map(both).unzip();
            (self.bounds, self.counts) = (bounds.into(), counts);
            return;
        }
        for (own, others) in self.counts.iter_mut().zip(&other.counts) {
            *own = own.saturating_add(*others);
        }
    }

    fn at(&self, bound: u32) -> Option<u64> {
        self.counts.get(self.bounds.binary_search(&bound).ok()?).copied()
    }

    /// The time that this share of the requests did not exceed, in milliseconds: the bucket is exact, and within it requests
    /// are taken to be spread evenly. Above the last bound it is that bound. `None` where there was no request.
    ///
    /// With n requests and share q, the bucket is the first whose upper bound at least q*n requests did not exceed. Between its
    /// lower bound l, which c requests did not exceed (0 and none for the first bucket), and its upper bound u with k requests in
    /// between, the value is l + (u - l) * (q*n - c) / k.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = share * as_f64(self.count);
        let place = self.counts.iter().position(|count| as_f64(*count) >= rank && *count > 0);
        let Some(place) = place else { return self.bounds.last().map(|bound| f64::from(*bound)) };
        let (upper, reached) = (f64::from(*self.bounds.get(place)?), as_f64(*self.counts.get(place)?));
        let (lower, below) = match place.checked_sub(1) {
            Some(before) => (f64::from(*self.bounds.get(before)?), as_f64(*self.counts.get(before)?)),
            None => (0.0, 0.0),
        };
        // The bucket before does not reach the rank, so there are requests in this one.
        Some(lower + (upper - lower) * ((rank - below) / (reached - below)).clamp(0.0, 1.0))
    }

    /// The smallest bound that no request exceeded, or the last one, should some have exceeded that. `None` where there was
    /// none.
    #[must_use]
    pub fn max(&self) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        let all = self.counts.iter().position(|count| *count == self.count);
        all.and_then(|place| self.bounds.get(place)).or(self.bounds.last()).copied()
    }

    /// The mean, in milliseconds: exact. `None` where there was no request.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| as_f64(self.sum) / as_f64(self.count))
    }
}

#[expect(clippy::cast_precision_loss, reason = "Graphite stores doubles")]
fn as_f64(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: [u32; 5] = [1, 5, 10, 100, 1000];

    /// What HAProxy's rules count of these times.
    fn counted(bounds: &[u32], times: &[u32]) -> Histogram {
        let mut counters: Vec<u64> =
            bounds.iter().map(|bound| times.iter().filter(|time| *time <= bound).count() as u64).collect();
        counters.push(times.len() as u64);
        counters.push(times.iter().map(|time| u64::from(*time)).sum());
        Histogram::new(bounds, &counters)
    }

    #[test]
    fn the_rule_within_a_bucket() {
        let ten = counted(&BOUNDS, &[2, 3, 4, 5, 7, 8, 9, 10, 50, 60]);
        // The fifth of ten is the first of four above 5 and up to 10.
        assert_eq!(ten.quantile(0.5), Some(5.0 + 5.0 / 4.0));
        assert_eq!(ten.quantile(0.4), Some(5.0));
        assert_eq!(ten.quantile(0.95), Some(10.0 + 90.0 * 0.75));
        assert_eq!((ten.max(), ten.mean(), ten.count()), (Some(100), Some(15.8), 10));
        let slow = counted(&BOUNDS, &[1, 5000]);
        assert_eq!((slow.quantile(0.5), slow.quantile(0.99), slow.max()), (Some(1.0), Some(1000.0), Some(1000)));
        let none = counted(&BOUNDS, &[]);
        assert_eq!((none.quantile(0.5), none.max(), none.mean()), (None, None, None));
        let unbounded = Histogram::new(&[], &[3, 6]);
        assert_eq!((unbounded.quantile(0.5), unbounded.max(), unbounded.mean()), (None, None, Some(2.0)));
    }

    #[test]
    fn counters_that_a_request_was_just_being_added_to() {
        // Its bucket was counted already, the number of requests not yet.
        let read = Histogram::new(&[1, 5, 10], &[0, 3, 3, 2, 7]);
        assert_eq!((read.counts(), read.count(), read.quantile(0.99)), (&[0, 2, 2][..], 2, Some(1.0 + 4.0 * 0.99)));
    }

    proptest! {
        #[test]
        fn a_quantile_lies_in_the_bucket_of_the_request(
            times in proptest::collection::vec(prop_oneof![0_u32..12, 0_u32..2000], 1..200),
            share in 1_u32..1000,
        ) {
            let histogram = counted(&BOUNDS, &times);
            let mut sorted = times.clone();
            sorted.sort_unstable();
            let rank = (share as usize * times.len()).div_ceil(1000);
            let request = sorted[rank - 1];
            let quantile = histogram.quantile(f64::from(share) / 1000.0).unwrap();
            let place = BOUNDS.iter().position(|bound| request <= *bound);
            let upper = place.map_or(1000, |place| BOUNDS[place]);
            let lower = match place { Some(0) => 0, Some(place) => BOUNDS[place - 1], None => 1000 };
            prop_assert!(f64::from(lower) <= quantile && quantile <= f64::from(upper), "{lower} {quantile} {upper}");
            prop_assert_eq!(histogram.max().unwrap(), BOUNDS.into_iter().find(|b| sorted.last() <= Some(b)).unwrap_or(1000));
        }

        #[test]
        fn counts_add_where_percentiles_do_not(
            one in proptest::collection::vec(0_u32..2000, 1..50),
            two in proptest::collection::vec(0_u32..2000, 1..50),
            kept in proptest::collection::vec(any::<bool>(), 5),
        ) {
            let some: Vec<u32> = BOUNDS.into_iter().zip(&kept).filter(|(_, kept)| **kept).map(|(bound, _)| bound).collect();
            let both: Vec<u32> = one.iter().chain(&two).copied().collect();
            let mut sum = counted(&BOUNDS, &one);
            sum.add(&counted(&some, &two));
            prop_assert_eq!(&sum, &counted(&some, &both));
            let mut other = counted(&some, &two);
            other.add(&counted(&BOUNDS, &one));
            prop_assert_eq!(&sum, &other);
            other.add(&Histogram::default());
            prop_assert_eq!(sum, other);
        }

        #[test]
        fn quantiles_ascend(times in proptest::collection::vec(0_u32..2000, 1..50)) {
            let histogram = counted(&BOUNDS, &times);
            let all: Vec<f64> = (0..=100).map(|share| histogram.quantile(f64::from(share) / 100.0).unwrap()).collect();
            prop_assert!(all.is_sorted(), "{all:?}");
        }
    }
}
