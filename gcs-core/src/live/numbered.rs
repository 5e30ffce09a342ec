//! Values by ascending numbers, in blocks that clones share until one of them changes.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Numbers of a block.
const BLOCK: u64 = 256;

/// Values by their numbers.
#[derive(Clone)]
pub(super) struct Numbered<V> {
    /// Values with their numbers, in order, by number / [`BLOCK`]. No block is empty.
    blocks: BTreeMap<u64, Arc<Vec<(u64, V)>>>,
}

impl<V> Default for Numbered<V> {
    fn default() -> Numbered<V> {
        Numbered { blocks: BTreeMap::new() }
    }
}

impl<V: fmt::Debug> fmt::Debug for Numbered<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<V> Numbered<V> {
    /// The largest number.
    pub(super) fn last(&self) -> Option<u64> {
        let (_, block) = self.blocks.last_key_value()?;
        block.last().map(|(number, _)| *number)
    }

    pub(super) fn get(&self, number: u64) -> Option<&V> {
        let block = self.blocks.get(&(number / BLOCK))?;
        block.get(place(block, number).ok()?).map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &V)> {
        self.blocks.values().flat_map(|block| block.iter().map(|(number, value)| (*number, value)))
    }
}

impl<V: Clone> Numbered<V> {
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut V> {
        let block = self.blocks.get_mut(&(number / BLOCK))?;
        let place = place(block, number).ok()?;
        Arc::make_mut(block).get_mut(place).map(|(_, value)| value)
    }

    pub(super) fn insert(&mut self, number: u64, value: V) {
        let block = Arc::make_mut(self.blocks.entry(number / BLOCK).or_default());
        match place(block, number) {
            Ok(place) => block[place].1 = value,
            Err(place) => block.insert(place, (number, value)),
        }
    }

    pub(super) fn remove(&mut self, number: u64) {
        let Some(block) = self.blocks.get_mut(&(number / BLOCK)) else { return };
        let Ok(place) = place(block, number) else { return };
        let block = Arc::make_mut(block);
        block.remove(place);
        if block.is_empty() {
            self.blocks.remove(&(number / BLOCK));
        }
    }
}

fn place<V>(block: &[(u64, V)], number: u64) -> Result<usize, usize> {
    block.binary_search_by_key(&number, |(number, _)| *number)
}

impl<V: Serialize> Serialize for Numbered<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let len = self.blocks.values().map(|block| block.len()).sum();
        let mut seq = serializer.serialize_seq(Some(len))?;
        self.iter()
            .try_for_each(|entry| serde::ser::SerializeSeq::serialize_element(&mut seq, &entry))?;
        serde::ser::SerializeSeq::end(seq)
    }
}

impl<'de, V: Clone + Deserialize<'de>> Deserialize<'de> for Numbered<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Numbered<V>, D::Error> {
        deserializer.deserialize_seq(Entries(PhantomData))
    }
}

struct Entries<V>(PhantomData<V>);

impl<'de, V: Clone + Deserialize<'de>> Visitor<'de> for Entries<V> {
    type Value = Numbered<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("values with ascending numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Numbered<V>, A::Error> {
        let mut numbered = Numbered::default();
        let mut last = None;
        while let Some((number, value)) = entries.next_element::<(u64, V)>()? {
            if last >= Some(number) {
                return Err(A::Error::custom("numbers do not ascend"));
            }
            last = Some(number);
            numbered.insert(number, value);
        }
        Ok(numbered)
    }
}
