//! Counters of a row that wrap at 32 bits, and rows that start over.

/// What a counter cannot have grown by between two looks: then it has stepped back.
const BACK: u32 = 1 << 31;

/// What the counters of a row grew by since `before`; `of_timer` is how many of them each timer has. `None` where the row has
/// begun again, because HAProxy had dropped it: then they have grown by what they are.
///
/// Numbers of requests that wrap look as if they had grown by less than half of their range; those that step back, by more. The
/// sum of the times, the last counter of each timer, may grow by anything, and wraps within days.
#[must_use]
pub fn growth(before: &[u32], now: &[u32], of_timer: usize) -> Option<Vec<u64>> {
    let grown = |(place, (before, now)): (usize, (&u32, &u32))| {
        let grown = now.wrapping_sub(*before);
        let is_sum = place % of_timer.max(1) + 1 == of_timer;
        (is_sum || grown < BACK).then_some(u64::from(grown))
    };
    before.iter().zip(now).enumerate().map(grown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counters_wrap_and_rows_begin_again() {
        let wrapped = growth(&[u32::MAX, u32::MAX, u32::MAX - 9], &[1, 2, u32::MAX - 10], 3);
        assert_eq!(wrapped, Some(vec![2, 3, (1 << 32) - 1]));
        assert_eq!(growth(&[5, 9, 100], &[1, 2, 300], 3), None);
        assert_eq!(growth(&[1, 2, 100, 5, 9, 7], &[1, 2, 100, 5, 8, 7], 3), None, "of the second timer");
        assert_eq!(growth(&[1, 2, 9], &[1, 2, 9], 3), Some(vec![0, 0, 0]));
    }

    proptest! {
        #[test]
        fn what_is_added_is_found_wherever_the_counters_stand(
            start in proptest::collection::vec(any::<u32>(), 8),
            requests in proptest::collection::vec(0_u64..u64::from(BACK), 6),
            sums in proptest::collection::vec(0_u64..1 << 32, 2),
        ) {
            let mut added = requests;
            added.insert(3, sums[0]);
            added.push(sums[1]);
            let low = |value: u64| u32::try_from(value & 0xffff_ffff).unwrap();
            let now: Vec<u32> = start.iter().zip(&added).map(|(start, added)| start.wrapping_add(low(*added))).collect();
            prop_assert_eq!(growth(&start, &now, 4), Some(added));
        }

        #[test]
        fn a_row_that_begins_again_is_noticed(before in 1_u32..BACK, share in 0.0_f64..1.0) {
            let now = (f64::from(before) * share) as u32;
            prop_assert_eq!(growth(&[before, before, 7], &[now, now, 3], 3), None);
        }
    }
}
