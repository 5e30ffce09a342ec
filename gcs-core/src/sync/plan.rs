//! The cheapest way from what a client has to what is published.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::files::BundleEntry;

/// Estimated cost of a request besides its answer, in bytes.
pub(super) const REQUEST_BYTES: u64 = 500;

/// The bundles of the cheapest chain from tick `from` to tick `to`, and their bytes,
/// without those whose (to, span) is in `without`. `None` if no chain leads there.
///
/// Bundles only lead forward and come in ascending order of where they lead, so one pass
/// finds every shortest path.
pub(super) fn cheapest_chain(
    bundles: &[BundleEntry],
    without: &BTreeSet<(u32, u32)>,
    from: u32,
    to: u32,
) -> Option<(u64, Vec<BundleEntry>)> {
    let mut best: BTreeMap<u32, (u64, Option<BundleEntry>)> = BTreeMap::from([(from, (0, None))]);
    for bundle in bundles.iter().filter(|bundle| bundle.to <= to) {
        if without.contains(&(bundle.to, bundle.span)) {
            continue;
        }
        let Some(start) = bundle.to.checked_sub(bundle.span) else { continue };
        let Some(&(cost, _)) = best.get(&start) else { continue };
        let cost = cost.saturating_add(bundle.bytes).saturating_add(REQUEST_BYTES);
        let known = best.get(&bundle.to).map_or(u64::MAX, |known| known.0);
        if cost < known {
            best.insert(bundle.to, (cost, Some(*bundle)));
        }
    }
    let cost = best.get(&to)?.0;
    let mut chain = Vec::new();
    let mut at = to;
    while let Some((_, Some(bundle))) = best.get(&at) {
        chain.push(*bundle);
        at = bundle.to - bundle.span;
    }
    chain.reverse();
    Some((cost, chain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::files::SPANS;
    use proptest::prelude::*;

    fn bundle(span: u32, to: u32, bytes: u64) -> BundleEntry {
        BundleEntry { span, to, bytes, sha256: Digest::ZERO }
    }

    /// The cheapest of all chains, found by recursion.
    fn by_search(bundles: &[BundleEntry], from: u32, to: u32) -> Option<u64> {
        if from == to {
            return Some(0);
        }
        let next = bundles.iter().filter(|bundle| bundle.to - bundle.span == from);
        next.filter_map(|bundle| {
            Some(by_search(bundles, bundle.to, to)? + bundle.bytes + REQUEST_BYTES)
        })
        .min()
    }

    proptest! {
        #[test]
        fn finds_the_cheapest_chain(sizes in prop::collection::vec(0u64..5000, 60), kept in prop::collection::vec(any::<bool>(), 60), from in 0u32..30, to in 0u32..30) {
            let all = (1..=29).flat_map(|to| SPANS.map(|span| (span, to)));
            let legal = all.filter(|(span, to)| to % span == 0);
            let bundles: Vec<BundleEntry> = legal.zip(sizes).zip(kept)
                .filter_map(|(((span, to), bytes), kept)| kept.then_some(bundle(span, to, bytes)))
                .collect();
            let found = cheapest_chain(&bundles, &BTreeSet::new(), from, to);
            prop_assert_eq!(found.as_ref().map(|found| found.0), by_search(&bundles, from, to));
            if let Some((_, chain)) = found {
                let mut at = from;
                for bundle in chain {
                    prop_assert_eq!(bundle.to - bundle.span, at);
                    at = bundle.to;
                }
                prop_assert_eq!(at, to);
            }
        }
    }
}
