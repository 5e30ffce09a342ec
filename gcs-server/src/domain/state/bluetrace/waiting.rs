//! Batches that are not answered.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::domain::events::MessageNumber;

/// Records of one authority's users in one piece of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingBatch {
    /// The number of the batch.
    pub id: MessageNumber,
    /// Unix time of the upload in seconds.
    pub time: u64,
    /// Unix time at which it expires, as that of all batches and follow-ups of the case.
    pub expires: u64,
    /// Whether the authority has been known since the upload, so that it may have the batch.
    pub may_be_sent: bool,
}

/// Batches by the position of the piece and the HAI, and by the HAI and the position: what is next for an authority,
/// and since when it waits, is found without a look at the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    from = "BTreeMap<(u64, String), OutgoingBatch>",
    into = "BTreeMap<(u64, String), OutgoingBatch>"
)]
pub struct WaitingBatches {
    by_piece: BTreeMap<(u64, String), OutgoingBatch>,
    by_authority: BTreeSet<(String, u64)>,
}

impl From<BTreeMap<(u64, String), OutgoingBatch>> for WaitingBatches {
    fn from(by_piece: BTreeMap<(u64, String), OutgoingBatch>) -> WaitingBatches {
        let by_authority = by_piece.keys().map(|(piece, hai)| (hai.clone(), *piece)).collect();
        WaitingBatches { by_piece, by_authority }
    }
}

impl From<WaitingBatches> for BTreeMap<(u64, String), OutgoingBatch> {
    fn from(waiting: WaitingBatches) -> Self {
        waiting.by_piece
    }
}

/// The batches of one piece.
pub(super) fn of_piece(piece: u64) -> Range<(u64, String)> {
    (piece, String::new())..(piece.saturating_add(1), String::new())
}

impl WaitingBatches {
    /// A batch.
    pub fn get(&self, piece: u64, hai: &str) -> Option<&OutgoingBatch> {
        self.by_piece.get(&(piece, hai.to_owned()))
    }

    /// The batches of a piece, each with the HAI.
    pub fn of_piece(&self, piece: u64) -> impl Iterator<Item = (&str, &OutgoingBatch)> {
        self.by_piece.range(of_piece(piece)).map(|((_, hai), batch)| (hai.as_str(), batch))
    }

    /// The batches for an authority, each with the position of its piece; the oldest first.
    pub fn of_authority(&self, hai: &str) -> impl Iterator<Item = (u64, &OutgoingBatch)> {
        let of = (hai.to_owned(), 0)..=(hai.to_owned(), u64::MAX);
        let pieces = self.by_authority.range(of);
        pieces.filter_map(|(hai, piece)| Some((*piece, self.get(*piece, hai)?)))
    }

    /// Number of batches for each authority, by HAI.
    pub fn counts(&self) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for (hai, _) in &self.by_authority {
            *counts.entry(hai.as_str()).or_default() += 1;
        }
        counts
    }

    /// Adds a batch, unless it is there.
    pub(super) fn add(&mut self, piece: u64, hai: &str, batch: OutgoingBatch) {
        self.by_piece.entry((piece, hai.to_owned())).or_insert(batch);
        self.by_authority.insert((hai.to_owned(), piece));
    }

    /// Changes every batch, as `change` says by the HAI.
    pub(super) fn for_each(&mut self, mut change: impl FnMut(&str, &mut OutgoingBatch)) {
        self.by_piece.iter_mut().for_each(|((_, hai), batch)| change(hai, batch));
    }

    pub(super) fn remove(&mut self, piece: u64, hai: &str) -> Option<OutgoingBatch> {
        self.by_authority.remove(&(hai.to_owned(), piece));
        self.by_piece.remove(&(piece, hai.to_owned()))
    }

    /// Removes the batches of a piece.
    pub(super) fn remove_piece(&mut self, piece: u64) {
        for ((_, hai), _) in self.by_piece.extract_if(of_piece(piece), |_, _| true) {
            self.by_authority.remove(&(hai, piece));
        }
    }

    /// Keeps the batches of these pieces alone.
    pub(super) fn retain(&mut self, stays: impl Fn(&u64) -> bool) {
        self.by_piece.retain(|(piece, _), _| stays(piece));
        self.by_authority.retain(|(_, piece)| stays(piece));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(time: u64) -> OutgoingBatch {
        OutgoingBatch { id: [1; 16], time, expires: 9, may_be_sent: false }
    }

    #[test]
    fn both_orders_have_the_same_batches() {
        let mut waiting = WaitingBatches::default();
        for (piece, hai) in [(7, "B"), (3, "B"), (3, "A"), (5, "A"), (5, "AB"), (9, "A")] {
            waiting.add(piece, hai, batch(piece));
        }
        let of = |waiting: &WaitingBatches, hai: &str| -> Vec<u64> {
            waiting.of_authority(hai).map(|(piece, batch)| piece * 10 + batch.time).collect()
        };
        assert_eq!(of(&waiting, "A"), [33, 55, 99]);
        assert_eq!(of(&waiting, "B"), [33, 77]);
        assert!(of(&waiting, "C").is_empty());
        assert_eq!(waiting.of_piece(5).map(|(hai, _)| hai).collect::<Vec<_>>(), ["A", "AB"]);
        assert_eq!(waiting.remove(9, "A"), Some(batch(9)));
        assert_eq!(waiting.remove(9, "A"), None);
        waiting.remove_piece(3);
        waiting.retain(|piece| *piece != 7);
        assert_eq!(waiting.counts(), BTreeMap::from([("A", 1), ("AB", 1)]));
        let bytes = postcard::to_allocvec(&waiting).unwrap();
        assert_eq!(postcard::from_bytes::<WaitingBatches>(&bytes).unwrap(), waiting);
        assert_eq!(bytes, postcard::to_allocvec(&waiting.by_piece).unwrap());
    }
}
