//! Lists of seeds, for protocols whose phones compute themselves what was broadcast: exact, sorted,
//! compressed, and what changed between two of them.
//!
//! A phone can test an identifier that it heard, so a [`Set`](crate::Set) of identifiers is all it
//! needs. It cannot test a seed that it has not seen: of seeds it needs the bytes, and with each a
//! *note*, which says when the seed was used and what else its protocol wants. A [`SeedList`] holds
//! them without any loss, so there are no false positives and nothing to confirm.
//!
//! # Which protocol wants which
//!
//! | protocol | a phone needs | publish |
//! |---|---|---|
//! | BlueTrace | what it heard | a set; there are no seeds |
//! | DP-3T, unlinkable | what it heard | a set; seeds, one for each identifier, would be larger |
//! | DP-3T, low-cost | the key of a patient's first day, and the number of days | a list; a set hides which identifiers are one patient's |
//! | DP-3T, hybrid | the seed of each window | the same |
//! | TCN | reports, or what it heard | a set; reports are signed and cannot be compressed |
//! | Exposure Notification, by the system | keys | an export file: the system takes nothing else |
//! | Exposure Notification, by an app that hears identifiers | keys, or what it heard | a list, or a set |
//!
//! Whoever has a seed knows all identifiers that follow from it, and that they are one patient's: for
//! some hours (DP-3T, hybrid), a day (Exposure Notification), or all days from the first on (DP-3T, low-cost,
//! whose key gives all later ones). Of a set nobody can tell. That is what the bytes of a set are paid for. Notes, and when seeds come
//! and go, often tell which of several seeds are one patient's too: FORMAT.md, section 22.
//!
//! Whoever has a seed can also broadcast what follows from it. Publish none before its last day or
//! window is over, and test what was heard against the elements of its own time alone.
//!
//! Measured, in megabytes for all patients of 14 dates together; sets are one for each date, at rates below
//! 2^-20 and below 2^-32, at which nothing has to be confirmed. Patients report 5 days, with Exposure
//! Notification 14. (`cargo run --release -p gcs-core --features gaen-export --example seed_sizes`)
//!
//! | protocol | patients | seeds, raw | list | export file | sets, 2^-20 | sets, 2^-32 |
//! |---|---|---|---|---|---|---|
//! | DP-3T, low-cost | 1,000 | 0.04 | 0.03 | | 1.32 | 2.04 |
//! | | 10,000 | 0.37 | 0.31 | | 13.23 | 20.43 |
//! | | 40,000 | 1.48 | 1.23 | | 52.93 | 81.73 |
//! | DP-3T, hybrid, 4 hours | 1,000 | 0.63 | 0.46 | | 1.32 | 2.04 |
//! | | 10,000 | 6.30 | 4.42 | | 13.23 | 20.43 |
//! | | 40,000 | 25.20 | 17.39 | | 52.93 | 81.73 |
//! | Exposure Notification | 1,000 | 0.35 | 0.23 | 0.32 | 5.37 | 8.28 |
//! | | 10,000 | 3.50 | 2.17 | 3.16 | 53.60 | 82.76 |
//! | | 40,000 | 14.00 | 8.47 | 12.55 | 214.42 | 331.10 |
//! | DP-3T, unlinkable | 1,000 | 17.28 | | | 1.32 | 2.04 |
//! | | 10,000 | 172.80 | | | 13.23 | 20.43 |
//! | | 40,000 | 691.20 | | | 52.93 | 81.73 |
//! | TCN, reports of 6 hours | 1,000 | 2.68 | | | 1.32 | 2.04 |
//! | | 10,000 | 26.80 | | | 13.23 | 20.43 |
//! | | 40,000 | 107.20 | | | 52.93 | 81.73 |
//!
//! Bits a seed, with its note. The bound is the least for so many random seeds with the notes that they
//! have; the file's header and trailer count.
//!
//! | list of | patients | seeds | raw | bound | list |
//! |---|---|---|---|---|---|
//! | DP-3T, low-cost | 1,000 | 1,000 | 296 | 251.2 | 252.2 |
//! | | 10,000 | 10,000 | 296 | 248.0 | 248.1 |
//! | | 40,000 | 40,000 | 296 | 246.0 | 246.0 |
//! | DP-3T, hybrid, 4 hours | 1,000 | 30,000 | 168 | 121.2 | 121.4 |
//! | | 10,000 | 300,000 | 168 | 117.9 | 118.0 |
//! | | 40,000 | 1,200,000 | 168 | 115.9 | 116.0 |
//! | Exposure Notification | 1,000 | 14,000 | 200 | 124.4 | 129.8 |
//! | | 10,000 | 140,000 | 200 | 121.5 | 124.0 |
//! | | 40,000 | 560,000 | 200 | 119.7 | 121.0 |
//!
//! # The idea
//!
//! The seeds of one note are a group, sorted. Of each, the first 6 bytes are Rice-coded as the
//! distance from the one before, and the others follow as they are. Of n seeds of b bits this
//! takes about 1.5 - log2(n) + b bits each for large n, for which no list of random seeds takes fewer than
//! 1.44 - log2(n) + b. Groups need no code for notes: that n·log2(n) is smaller for each group than for all seeds
//! together costs just the entropy of the notes. Besides, each group has an entry of a few bytes,
//! its note less what it shares with the one before.
//!
//! Other ways to code the notes of those 14,000 and 560,000 keys take more bits a key: a column for
//! each field of the note 138.9 and 133.4, one column of numbers of notes 135.5 and 128.0, groups with whole
//! notes and lengths of 4 bytes 137.2 and 123.5; groups as they are here 129.8 and 121.0.
//!
//! Kind, notes and seeds determine every byte of a file, so equal lists are equal files.
//!
//! # What calls cost
//!
//! | call | time | memory besides the result |
//! |---|---|---|
//! | [`SeedList::build`] | O(n log n) | the seeds and notes, as much as the result, and 8 bytes a seed of the largest group |
//! | [`SeedList::parse`] | O(bytes) | none |
//! | [`SeedList::iter`] | O(n) | 2 KiB |
//! | [`SeedDelta::between`] | O(n) | 8 bytes a removal, as much as the result, and 8 bytes a seed of the largest added group |
//! | [`SeedDelta::apply`] | O(n) | as much as the result, and 8 bytes a seed of the largest group |
//!
//! # Limits and quirks
//!
//! - Seeds of 8 to 64 bytes, evenly spread; others are stored, but larger. Notes of 1 to 16 bytes. At most 2^32 - 1 seeds.
//! - One seed with two notes is in the list twice. A note that changes is a removal and an addition.
//! - A list is public: whoever has it has the seeds. Nothing in it is wiped from memory, nor are the
//!   copies of seeds that building and reading it make. Build it where seeds may be in memory.
//! - A list is not signed. Take it, and the target of a delta, only by an identity from someone whom you trust.
//! - Many notes of few seeds cost more: each note takes about 5 bytes (4.5 to 5.4 in the lists of keys above).
//!
//! FORMAT.md has the bytes in its section 21.

mod body;
mod delta;
mod error;
mod groups;
mod kind;
mod list;
mod seed;

pub use self::delta::SeedDelta;
pub use self::error::{SeedBuildError, SeedDeltaError};
#[cfg(feature = "protocol")]
pub(crate) use self::kind::seed_of;
pub use self::kind::{ApplyError, SeedDay, SeedKind, parts_of};
pub use self::list::{SeedList, Seeds, seed_kind};
pub use self::seed::{ByteArray, FIRST_PRIVATE_KIND, Seed};
pub use crate::error::NoteError;

#[cfg(test)]
mod tests;
