//! Spans: rows of chunks, and the addresses of all of them, in order and without overlaps, so that each question costs
//! a search: every small chunk in use asks one, and a process may write thousands of rows.

/// A row of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// The first chunk, or a place before it.
    pub(super) start: u64,
    /// Where the row ends.
    pub(super) end: u64,
    /// Where the chunk above all others begins, if it is in this row.
    pub(super) top: Option<u64>,
    /// Whether it is of the main arena, which has no chunks of threads' arenas.
    pub(super) is_main: bool,
}

/// Ranges of addresses.
#[derive(Debug)]
pub(super) struct Spans(Vec<(u64, u64)>);

impl Spans {
    pub(super) fn of(chains: &[Chain]) -> Self {
        Self::joined(chains.iter().map(|chain| (chain.start, chain.end)).collect())
    }

    /// These ranges, those joined that overlap.
    pub(super) fn joined(mut all: Vec<(u64, u64)>) -> Self {
        all.retain(|(start, end)| start < end);
        all.sort_unstable();
        all.dedup_by(|next, last| {
            let overlaps = next.0 < last.1;
            if overlaps {
                last.1 = last.1.max(next.1);
            }
            overlaps
        });
        Self(all)
    }

    /// Those of which some part lies between two addresses.
    pub(super) fn between(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> {
        let first = self.0.partition_point(|(_, span_end)| *span_end <= start);
        let rest = self.0.get(first..).unwrap_or_default().iter().copied();
        rest.take_while(move |(span_start, _)| *span_start < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_place_is_in_the_joined_ranges_where_it_is_in_one_of_them(
            all in proptest::collection::vec((0..200_u64, 0..40_u64), 0..20),
            from in 0..250_u64,
            length in 1..20_u64,
        ) {
            let all: Vec<_> = all.iter().map(|(start, length)| (*start, start + length)).collect();
            let spans = Spans::joined(all.clone());
            let touches = |(start, end): &(u64, u64)| {
                start < end && *start < from + length && from < *end
            };
            let found: Vec<_> = spans.between(from, from + length).collect();
            prop_assert_eq!(all.iter().any(touches), !found.is_empty());
            prop_assert!(found.iter().all(touches));
            prop_assert!(found.windows(2).all(|two| two[0].1 <= two[1].0));
        }
    }
}
