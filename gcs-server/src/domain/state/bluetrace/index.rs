//! From 64-bit keys to users, for millions of them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of parts. A copy shares all of them, and a change afterwards copies one.
const PARTS: usize = 1024;

/// Users by a key that each has for itself: about 25 bytes a user, and 14 if it was made at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Index(Vec<Arc<BTreeMap<u64, u32>>>);

/// Much faster than one by one, since every part is made while the processor's cache has it.
impl FromIterator<(u64, u32)> for Index {
    fn from_iter<I: IntoIterator<Item = (u64, u32)>>(users: I) -> Index {
        let mut parts = vec![Vec::new(); PARTS];
        for (key, user) in users {
            parts[part(key)].push((key, user));
        }
        Index(parts.into_iter().map(|part| Arc::new(part.into_iter().collect())).collect())
    }
}

impl Index {
    pub(super) fn get(&self, key: u64) -> Option<u32> {
        self.0.get(part(key))?.get(&key).copied()
    }

    pub(super) fn insert(&mut self, key: u64, user: u32) {
        if self.0.is_empty() {
            self.0.resize_with(PARTS, Arc::default);
        }
        Arc::make_mut(&mut self.0[part(key)]).insert(key, user);
    }

    pub(super) fn remove(&mut self, key: u64) {
        if let Some(part) = self.0.get_mut(part(key)) {
            Arc::make_mut(part).remove(&key);
        }
    }
}

/// The part of a key. Numbers of one country are close to each other, so they are spread.
fn part(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize
}
