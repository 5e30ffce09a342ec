//! Items of a report: what a patient's app sends, and the elements that phones test for them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::date::Date;
use crate::element::Element;
use crate::identifiers::dp3t;
use crate::set::ELEMENT_LEN;

/// How far a phone's clock may be ahead of a backend's clock, in seconds.
pub const CLOCK_SKEW: u64 = 2 * 3600;

/// An item of a report: what one element is made from.
///
/// In JSON it is an object whose member `kind` gives its kind. In binary formats, such as
/// postcard, it is about as compact as [`Item::to_bytes`].
///
/// ```
/// use gcs_core::report::Item;
///
/// let json = r#"{"kind":"raw","date":"2026-01-05","element":"aWRlbnRpZmllciBoZWFyZA=="}"#;
/// let item: Item = serde_json::from_str(json)?;
/// assert_eq!(item.element().as_ref(), b"identifier heard");
/// assert_eq!(serde_json::to_string(&item)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Item {
    /// A seed of DP-3T's unlinkable design. Only the phone that broadcast from it knows it.
    Dp3tUnlinkable {
        /// Its epoch: Unix time divided by 900.
        epoch: u32,
        /// The seed.
        seed: [u8; 32],
    },
    /// An element as it was broadcast. Anyone who heard it could report it too.
    Raw {
        /// The UTC date on which it was broadcast.
        date: Date,
        /// The element, 16 to 64 bytes.
        element: Element,
    },
}

/// Why an item was not accepted. The other items of its report may still be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ItemProblem {
    /// It is of no known kind, or has other fields than its kind.
    Shape,
    /// The seed is not 32 bytes.
    SeedLength,
    /// The element is not 16 to 64 bytes.
    ElementLength,
    /// Raw elements are not accepted here.
    RawNotAllowed,
    /// The date has expired.
    DateTooOld,
    /// The date is in the future.
    DateInFuture,
    /// The report has more items for the date than are allowed.
    TooManyForDate,
}

/// Which items a backend accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRules {
    /// Days for which a date is kept after its end.
    pub retention_days: u32,
    /// Whether raw elements are accepted.
    pub raw: bool,
    /// Most items of one date in one report.
    pub max_items_per_date: u32,
}

/// The items of a report, separated into those that are accepted and the problems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedItems {
    /// The items that are accepted, in order and without duplicates.
    pub items: Vec<Item>,
    /// The problems of the other items, by their index among the items sent.
    pub problems: Vec<(u32, ItemProblem)>,
}

impl ItemRules {
    /// Separates the items of a report that arrives at the Unix time `now` into those that are
    /// accepted and the problems. O(n log n) time for n items.
    pub fn accept(&self, items: &[Result<Item, ItemProblem>], now: u64) -> AcceptedItems {
        let mut accepted = BTreeSet::new();
        let mut per_date: BTreeMap<Date, u32> = BTreeMap::new();
        let mut problems = Vec::new();
        for (index, item) in (0..).zip(items) {
            let valid = item.as_ref().map_err(|problem| *problem).and_then(|item| {
                item.validate(self, now)?;
                Ok(item)
            });
            match valid {
                Err(problem) => problems.push((index, problem)),
                Ok(item) if accepted.contains(item) => {}
                Ok(item) => {
                    let count = per_date.entry(item.date()).or_default();
                    if *count < self.max_items_per_date {
                        *count += 1;
                        accepted.insert(item.clone());
                    } else {
                        problems.push((index, ItemProblem::TooManyForDate));
                    }
                }
            }
        }
        AcceptedItems { items: accepted.into_iter().collect(), problems }
    }
}

impl Item {
    /// The UTC date on which it was broadcast.
    pub fn date(&self) -> Date {
        match self {
            Item::Dp3tUnlinkable { epoch, .. } => {
                Date::of_time(u64::from(*epoch) * dp3t::EPOCH_SECONDS)
            }
            Item::Raw { date, .. } => *date,
        }
    }

    /// The element that phones test.
    pub fn element(&self) -> Element {
        match self {
            Item::Dp3tUnlinkable { epoch, seed } => {
                Element::from(dp3t::unlinkable_element(seed, *epoch))
            }
            Item::Raw { element, .. } => element.clone(),
        }
    }

    /// Validates this item alone at the Unix time `now`; limits on a report are not looked at.
    ///
    /// # Errors
    /// The first [`ItemProblem`].
    pub fn validate(&self, rules: &ItemRules, now: u64) -> Result<(), ItemProblem> {
        if let Item::Raw { element, .. } = self {
            if !rules.raw {
                return Err(ItemProblem::RawNotAllowed);
            }
            if !ELEMENT_LEN.contains(&element.len()) {
                return Err(ItemProblem::ElementLength);
            }
        }
        let date = self.date();
        if date.start() > now.saturating_add(CLOCK_SKEW) {
            Err(ItemProblem::DateInFuture)
        } else if date.is_expired(now, rules.retention_days) {
            Err(ItemProblem::DateTooOld)
        } else {
            Ok(())
        }
    }

    /// Its canonical bytes. A DP-3T seed is 0, the epoch, the seed. A raw element is 1, the date
    /// as days since 1970, the length, the bytes. Numbers are LEB128: seven bits a byte, the
    /// lowest first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Item::Dp3tUnlinkable { epoch, seed } => {
                bytes.push(0);
                put_number(&mut bytes, u64::from(*epoch));
                bytes.extend_from_slice(seed);
            }
            Item::Raw { date, element } => {
                bytes.push(1);
                put_number(&mut bytes, u64::from(date.days()));
                put_number(&mut bytes, element.len() as u64);
                bytes.extend_from_slice(element);
            }
        }
        bytes
    }

    /// Reads an item of a report. Its error is an [`ItemProblem`], since a bad item does not
    /// affect the others.
    pub(super) fn from_json(json: &str) -> Result<Item, ItemProblem> {
        serde_json::from_str::<JsonItem>(json).map_err(|_| ItemProblem::Shape)?.read()
    }
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The JSON form of an item.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
enum JsonItem {
    #[serde(rename = "dp3t-unlinkable")]
    Dp3tUnlinkable { epoch: u32, seed: Base64 },
    #[serde(rename = "raw")]
    Raw { date: Date, element: Base64 },
}

/// Bytes in standard base64, padded.
struct Base64(Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Base64, D::Error> {
        let text = alloc::string::String::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map(Base64).map_err(D::Error::custom)
    }
}

impl JsonItem {
    fn read(self) -> Result<Item, ItemProblem> {
        match self {
            JsonItem::Dp3tUnlinkable { epoch, seed } => {
                let seed = seed.0.try_into().map_err(|_| ItemProblem::SeedLength)?;
                Ok(Item::Dp3tUnlinkable { epoch, seed })
            }
            JsonItem::Raw { date, element } => {
                Ok(Item::Raw { date, element: Element::from(element.0) })
            }
        }
    }

    fn of(item: &Item) -> JsonItem {
        match item {
            Item::Dp3tUnlinkable { epoch, seed } => {
                JsonItem::Dp3tUnlinkable { epoch: *epoch, seed: Base64(seed.to_vec()) }
            }
            Item::Raw { date, element } => {
                JsonItem::Raw { date: *date, element: Base64(element.to_vec()) }
            }
        }
    }
}

/// The form of an item in binary formats, in which the date is a number.
#[derive(Serialize, Deserialize)]
enum CompactItem {
    Dp3tUnlinkable { epoch: u32, seed: [u8; 32] },
    Raw { days: u32, element: Element },
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return JsonItem::of(self).serialize(serializer);
        }
        match self.clone() {
            Item::Dp3tUnlinkable { epoch, seed } => CompactItem::Dp3tUnlinkable { epoch, seed },
            Item::Raw { date, element } => CompactItem::Raw { days: date.days(), element },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Item, D::Error> {
        if deserializer.is_human_readable() {
            let item = JsonItem::deserialize(deserializer)?.read();
            return item.map_err(|_| D::Error::custom("a seed has 32 bytes"));
        }
        match CompactItem::deserialize(deserializer)? {
            CompactItem::Dp3tUnlinkable { epoch, seed } => Ok(Item::Dp3tUnlinkable { epoch, seed }),
            CompactItem::Raw { days, element } => {
                let date = Date::from_days(days).map_err(D::Error::custom)?;
                Ok(Item::Raw { date, element })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::date::DAY_SECONDS;
    use proptest::prelude::*;

    const RULES: ItemRules = ItemRules { retention_days: 14, raw: true, max_items_per_date: 2 };

    fn raw(date: Date, length: usize) -> Item {
        Item::Raw { date, element: Element::from(alloc::vec![1; length]) }
    }

    #[test]
    fn the_window_of_dates_is_exact() {
        let date: Date = "2026-01-05".parse().unwrap();
        let item = raw(date, 16);
        let last = date.end() + 14 * DAY_SECONDS;
        assert_eq!(item.validate(&RULES, last - 1), Ok(()));
        assert_eq!(item.validate(&RULES, last), Err(ItemProblem::DateTooOld));
        assert_eq!(item.validate(&RULES, date.start() - CLOCK_SKEW), Ok(()));
        let early = date.start() - CLOCK_SKEW - 1;
        assert_eq!(item.validate(&RULES, early), Err(ItemProblem::DateInFuture));
        let rules = ItemRules { raw: false, ..RULES };
        assert_eq!(item.validate(&rules, date.start()), Err(ItemProblem::RawNotAllowed));
        for length in [0, 15, 65] {
            let problem = raw(date, length).validate(&RULES, date.start());
            assert_eq!(problem, Err(ItemProblem::ElementLength), "{length}");
        }
    }

    #[test]
    fn a_seed_has_the_date_of_its_epoch() {
        let item = |epoch| Item::Dp3tUnlinkable { epoch, seed: [0; 32] };
        assert_eq!(item(95).date().days(), 0);
        assert_eq!(item(96).date().days(), 1);
        // The largest epoch there is must be refused, not overflow.
        assert_eq!(item(u32::MAX).validate(&RULES, 0), Err(ItemProblem::DateInFuture));
    }

    #[test]
    fn a_bad_item_does_not_affect_the_others() {
        let date: Date = "2026-01-05".parse().unwrap();
        let items = [
            Ok(raw(date, 16)),
            Err(ItemProblem::Shape),
            Ok(raw(date, 15)),
            Ok(raw(date, 16)),
            Ok(raw(date, 17)),
            Ok(raw(date, 18)),
        ];
        let accepted = RULES.accept(&items, date.end());
        assert_eq!(accepted.items, [raw(date, 16), raw(date, 17)]);
        let problems = [
            (1, ItemProblem::Shape),
            (2, ItemProblem::ElementLength),
            (5, ItemProblem::TooManyForDate),
        ];
        assert_eq!(accepted.problems, problems);
    }

    fn any_item() -> impl Strategy<Value = Item> {
        let days = (0..=Date::MAX.days()).prop_map(|days| Date::from_days(days).unwrap());
        let element = prop::collection::vec(any::<u8>(), 0..200).prop_map(Element::from);
        prop_oneof![
            (any::<u32>(), any::<[u8; 32]>())
                .prop_map(|(epoch, seed)| Item::Dp3tUnlinkable { epoch, seed }),
            (days, element).prop_map(|(date, element)| Item::Raw { date, element }),
        ]
    }

    proptest! {
        #[test]
        fn items_are_read_as_written(item in any_item()) {
            let json = serde_json::to_string(&item).unwrap();
            prop_assert_eq!(Item::from_json(&json), Ok(item.clone()));
            prop_assert_eq!(serde_json::from_str::<Item>(&json).unwrap(), item.clone());
            let compact = postcard::to_allocvec(&item).unwrap();
            prop_assert_eq!(&compact, &item.to_bytes());
            prop_assert_eq!(postcard::from_bytes::<Item>(&compact), Ok(item));
        }
    }
}
