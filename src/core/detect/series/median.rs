//! The median of the few values in a third or a sixth of a window.

/// A block minimum: as it is, in whole units, or less what CPU use explains.
pub trait Size: Copy + PartialOrd + Into<f64> {}

impl Size for u32 {}

impl Size for f64 {}

/// Sorts by fixed comparisons without a branch. They are written out so that values stay in
/// registers and the compiler drops those that no median needs: as a loop over a table of pairs,
/// each comparison took six times as many instructions.
macro_rules! sort {
    ($values:ident: $($a:literal $b:literal),+) => {
        $(
            let (x, y) = ($values[$a], $values[$b]);
            $values[$a] = if y < x { y } else { x };
            $values[$b] = if y < x { x } else { y };
        )+
    };
}

// The fewest comparisons that sort so many values (Knuth 5.3.4).

fn sort_2<T: Size>(values: &mut [T; 2]) {
    sort!(values: 0 1);
}

fn sort_4<T: Size>(values: &mut [T; 4]) {
    sort!(values: 0 1, 2 3, 0 2, 1 3, 1 2);
}

fn sort_5<T: Size>(values: &mut [T; 5]) {
    sort!(values: 0 3, 1 4, 0 2, 1 3, 0 1, 2 4, 1 2, 3 4, 2 3);
}

#[rustfmt::skip]
fn sort_8<T: Size>(values: &mut [T; 8]) {
    sort!(values:
        0 1, 2 3, 4 5, 6 7, 0 2, 1 3, 4 6, 5 7, 1 2, 5 6,
        0 4, 1 5, 2 6, 3 7, 2 4, 3 5, 1 2, 3 4, 5 6);
}

/// The median of 2, 4, 5 or 8 values, the thirds and sixths of windows; NaN for other lengths.
pub fn median<T: Size>(values: &[T]) -> f32 {
    fn of<T: Size, const N: usize>(values: &[T], sort: impl Fn(&mut [T; N])) -> Option<f32> {
        let mut sorted: [T; N] = values.try_into().ok()?;
        sort(&mut sorted);
        let upper = sorted[N / 2].into();
        let even = N.is_multiple_of(2);
        Some((if even { f64::midpoint(sorted[N / 2 - 1].into(), upper) } else { upper }) as f32)
    }
    of(values, sort_4)
        .or_else(|| of(values, sort_5))
        .or_else(|| of(values, sort_8))
        .or_else(|| of(values, sort_2))
        .unwrap_or(f32::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_sorted_whatever_their_order() {
        fn check<const N: usize>(sort: impl Fn(&mut [f64; N])) {
            // A network that sorts all series of zeros and ones sorts everything (Knuth 5.3.4, theorem Z).
            for bits in 0..1_u32 << N {
                let mut values: [f64; N] = std::array::from_fn(|i| f64::from(bits >> i & 1));
                sort(&mut values);
                assert!(values.is_sorted(), "{N}: {bits:b}");
            }
        }
        check(sort_2);
        check(sort_4);
        check(sort_5);
        check(sort_8);
    }

    #[test]
    fn a_median_is_the_middle_value_or_the_mean_of_two() {
        assert_eq!((median(&[9_u32, 1]), median(&[4_u32, 1, 3, 9])), (5.0, 3.5));
        assert_eq!(
            (median(&[5_u32, 1, 4, 2, 3]), median(&[8.0, 1.0, 7.0, 2.0, 6.0, 3.0, 5.0, 4.0])),
            (3.0, 4.5)
        );
    }
}
