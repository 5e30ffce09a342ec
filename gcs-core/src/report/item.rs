//! Items of a report: what a patient's app sends, and the elements that phones test for them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use crate::base64;
use crate::date::Date;
use crate::element::Element;
use crate::identifiers::dp3t;
use crate::set::ELEMENT_LEN;

/// How far a phone's clock may be ahead of a backend's clock, in seconds.
pub const CLOCK_SKEW: u64 = 2 * 3600;

/// Most seeds of one epoch in one report: the one that a phone broadcasts, and two for an app that
/// was installed again or a clock that was set back.
pub const MAX_SEEDS_PER_EPOCH: u32 = 3;

/// An item of a report: what one element is made from.
///
/// In JSON it is an object whose member `kind` gives its kind. In binary formats, such as
/// postcard, it is about as compact as [`Item::to_bytes`]. `Debug` shows when it was broadcast,
/// and neither seed nor element.
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
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
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
    /// It is not an object, or has members that its kind does not have.
    Shape,
    /// `seed` is not 32 bytes.
    SeedLength,
    /// `element` is not 16 to 64 bytes.
    ElementLength,
    /// Raw elements are not accepted here.
    RawNotAllowed,
    /// The date has expired, or may have before the item could be published.
    DateTooOld,
    /// The date or epoch is in the future.
    DateInFuture,
    /// The report has more items for the date than are allowed.
    TooManyForDate,
    /// The report has more than [`MAX_SEEDS_PER_EPOCH`] seeds of the epoch.
    TooManyForEpoch,
    /// `kind` is missing or not known.
    KindUnknown,
    /// `epoch` is missing or not a whole number below 2^32.
    EpochInvalid,
    /// `seed` is missing or not base64.
    SeedInvalid,
    /// `date` is missing or not a date as YYYY-MM-DD.
    DateInvalid,
    /// `element` is missing or not base64.
    ElementInvalid,
}

/// Which items a backend accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRules {
    /// Days for which a date is kept after its end.
    pub retention_days: u32,
    /// Seconds that may pass until an accepted item is published: the longest hold, and the longest
    /// time from one publication to the next. They count from its arrival, or from [`Date::entry`]
    /// of its date if that is later. An item whose date may have expired by then is refused.
    pub publication_delay: u64,
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
        let mut tally = Tally::default();
        let mut problems = Vec::new();
        for (index, item) in (0..).zip(items) {
            let judged = item.as_ref().map_err(|problem| *problem).and_then(|item| {
                item.validate(self, now)?;
                if !accepted.contains(item) {
                    tally.count(item, self)?;
                    accepted.insert(item.clone());
                }
                Ok(())
            });
            problems.extend(judged.err().map(|problem| (index, problem)));
        }
        AcceptedItems { items: accepted.into_iter().collect(), problems }
    }
}

/// How many items of each date, and of each epoch, are accepted.
#[derive(Default)]
struct Tally {
    dates: BTreeMap<Date, u32>,
    epochs: BTreeMap<u32, u32>,
}

impl Tally {
    fn count(&mut self, item: &Item, rules: &ItemRules) -> Result<(), ItemProblem> {
        let of_date = self.dates.entry(item.date()).or_default();
        if *of_date >= rules.max_items_per_date {
            return Err(ItemProblem::TooManyForDate);
        }
        if let Item::Dp3tUnlinkable { epoch, .. } = item {
            let of_epoch = self.epochs.entry(*epoch).or_default();
            if *of_epoch >= MAX_SEEDS_PER_EPOCH {
                return Err(ItemProblem::TooManyForEpoch);
            }
            *of_epoch += 1;
        }
        *of_date += 1;
        Ok(())
    }
}

impl Item {
    /// The UTC date on which it was broadcast.
    pub fn date(&self) -> Date {
        match self {
            Item::Dp3tUnlinkable { .. } => Date::of_time(self.start()),
            Item::Raw { date, .. } => *date,
        }
    }

    /// The Unix time before which it was not broadcast.
    fn start(&self) -> u64 {
        match self {
            Item::Dp3tUnlinkable { epoch, .. } => u64::from(*epoch) * dp3t::EPOCH_SECONDS,
            Item::Raw { date, .. } => date.start(),
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
        let published = now.max(date.entry()).saturating_add(rules.publication_delay);
        if self.start() > now.saturating_add(CLOCK_SKEW) {
            Err(ItemProblem::DateInFuture)
        } else if date.is_expired(published, rules.retention_days) {
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
        if !json.starts_with('{') {
            return Err(ItemProblem::Shape); // A derived reader also takes arrays of the values.
        }
        serde_json::from_str::<Members>(json).map_err(|_| ItemProblem::Shape)?.read()
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, field, value): (_, _, &dyn fmt::Debug) = match self {
            Item::Dp3tUnlinkable { epoch, .. } => ("Dp3tUnlinkable", "epoch", epoch),
            Item::Raw { date, .. } => ("Raw", "date", date),
        };
        f.debug_struct(name).field(field, value).finish_non_exhaustive()
    }
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The JSON form of an item as it is written.
#[derive(Serialize)]
#[serde(tag = "kind")]
enum JsonItem {
    #[serde(rename = "dp3t-unlinkable")]
    Dp3tUnlinkable { epoch: u32, seed: String },
    #[serde(rename = "raw")]
    Raw { date: Date, element: String },
}

/// The members of an item's JSON as they are read: each on its own, so that the problem names the
/// one that is wrong.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Members {
    kind: Value,
    epoch: Option<Value>,
    seed: Option<Value>,
    date: Option<Value>,
    element: Option<Value>,
}

impl Members {
    fn read(self) -> Result<Item, ItemProblem> {
        let Members { kind, epoch, seed, date, element } = self;
        match (kind.as_str(), [&epoch, &seed], [&date, &element]) {
            (Some("dp3t-unlinkable"), _, [None, None]) => {
                let epoch = epoch.and_then(|epoch| epoch.as_u64()?.try_into().ok());
                let epoch = epoch.ok_or(ItemProblem::EpochInvalid)?;
                let seed = bytes(seed).ok_or(ItemProblem::SeedInvalid)?;
                let seed = seed.try_into().map_err(|_| ItemProblem::SeedLength)?;
                Ok(Item::Dp3tUnlinkable { epoch, seed })
            }
            (Some("raw"), [None, None], _) => {
                let date = date.and_then(|date| date.as_str()?.parse().ok());
                let date = date.ok_or(ItemProblem::DateInvalid)?;
                let element = bytes(element).ok_or(ItemProblem::ElementInvalid)?;
                Ok(Item::Raw { date, element: Element::from(element) })
            }
            (Some("dp3t-unlinkable" | "raw"), ..) => Err(ItemProblem::Shape),
            _ => Err(ItemProblem::KindUnknown),
        }
    }
}

/// The bytes of a member in standard base64, padded.
fn bytes(member: Option<Value>) -> Option<Vec<u8>> {
    base64::decode(member?.as_str()?)
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
            return match self {
                Item::Dp3tUnlinkable { epoch, seed } => {
                    JsonItem::Dp3tUnlinkable { epoch: *epoch, seed: BASE64.encode(seed) }
                }
                Item::Raw { date, element } => {
                    JsonItem::Raw { date: *date, element: BASE64.encode(element) }
                }
            }
            .serialize(serializer);
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
            let item = Members::deserialize(deserializer)?.read();
            return item.map_err(|problem| D::Error::custom(format_args!("{problem:?}")));
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

    const RULES: ItemRules =
        ItemRules { retention_days: 14, publication_delay: 8100, raw: true, max_items_per_date: 2 };

    fn raw(date: Date, length: usize) -> Item {
        Item::Raw { date, element: Element::from(alloc::vec![1; length]) }
    }

    #[test]
    fn the_window_of_dates_is_exact() {
        let date: Date = "2026-01-05".parse().unwrap();
        let item = raw(date, 16);
        // It must be published before its date expires.
        let last = date.end() + 14 * DAY_SECONDS - 8100;
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

    /// A date is published two hours after its end at the earliest.
    #[test]
    fn what_could_not_be_published_is_refused_while_its_date_lasts() {
        let date: Date = "2026-01-05".parse().unwrap();
        let item = raw(date, 16);
        let delay = |publication_delay| ItemRules { retention_days: 1, publication_delay, ..RULES };
        assert_eq!(item.validate(&delay(22 * 3600 - 1), date.start()), Ok(()));
        let late = item.validate(&delay(22 * 3600), date.start());
        assert_eq!(late, Err(ItemProblem::DateTooOld));
    }

    #[test]
    fn a_seed_of_an_epoch_that_has_not_begun_is_refused() {
        let item = Item::Dp3tUnlinkable { epoch: 2_000_000, seed: [0; 32] };
        let begin = 2_000_000 * dp3t::EPOCH_SECONDS;
        assert_eq!(item.validate(&RULES, begin - CLOCK_SKEW), Ok(()));
        let early = item.validate(&RULES, begin - CLOCK_SKEW - 1);
        assert_eq!(early, Err(ItemProblem::DateInFuture));
    }

    /// A phone broadcasts one seed in an epoch.
    #[test]
    fn seeds_of_one_epoch_are_bounded() {
        let item = |epoch, byte| Ok(Item::Dp3tUnlinkable { epoch, seed: [byte; 32] });
        let rules = ItemRules { max_items_per_date: 5, ..RULES };
        let epoch = 2_000_000;
        let mut items: Vec<_> = (0..5).map(|byte| item(epoch, byte)).collect();
        items.extend([item(epoch, 1), item(epoch + 1, 0), item(epoch + 2, 0), item(epoch + 3, 0)]);
        let accepted = rules.accept(&items, (u64::from(epoch) + 3) * dp3t::EPOCH_SECONDS);
        assert_eq!(accepted.items.len(), 5);
        let too_many = ItemProblem::TooManyForEpoch;
        let problems = [(3, too_many), (4, too_many), (8, ItemProblem::TooManyForDate)];
        assert_eq!(accepted.problems, problems);
    }

    #[test]
    fn the_member_that_is_wrong_is_named() {
        use ItemProblem as P;
        let seed = BASE64.encode(&[1; 32]);
        let dp3t = |members: &str| alloc::format!(r#"{{"kind":"dp3t-unlinkable"{members}}}"#);
        let good = dp3t(&alloc::format!(r#","epoch":7,"seed":"{seed}""#));
        assert!(Item::from_json(&good).is_ok());
        let raw = r#"{"kind":"raw","date":"2026-01-05","element":"AAAA"}"#;
        assert!(Item::from_json(raw).is_ok());
        for (json, problem) in [
            ("7", P::Shape),
            ("null", P::Shape),
            ("[]", P::Shape),
            (&alloc::format!(r#"["dp3t-unlinkable",7,"{seed}"]"#), P::Shape),
            ("{", P::Shape),
            ("{}", P::KindUnknown),
            (r#"{"kind":7}"#, P::KindUnknown),
            (r#"{"kind":"gaen"}"#, P::KindUnknown),
            (&good.replace("7", "\"7\""), P::EpochInvalid),
            (&good.replace("7", "7.0"), P::EpochInvalid),
            (&good.replace("7", "-1"), P::EpochInvalid),
            (&good.replace("7", "4294967296"), P::EpochInvalid),
            (&dp3t(r#","epoch":7"#), P::SeedInvalid),
            (&dp3t(r#","epoch":7,"seed":[1]"#), P::SeedInvalid),
            (&good.replace('=', ""), P::SeedInvalid),
            (&dp3t(r#","epoch":7,"seed":"AAAA""#), P::SeedLength),
            (&good.replace("epoch", "date"), P::Shape),
            (&good.replace("epoch", "Epoch"), P::Shape),
            (&good.replace("\"epoch\":7", "\"epoch\":7,\"epoch\":7"), P::Shape),
            (&raw.replace("01-05", "02-30"), P::DateInvalid),
            (&raw.replace("AAAA", "?"), P::ElementInvalid),
            (&raw.replace("date", "epoch"), P::Shape),
        ] {
            assert_eq!(Item::from_json(json), Err(problem), "{json}");
        }
    }

    #[test]
    fn debug_shows_neither_seed_nor_element() {
        let seed = Item::Dp3tUnlinkable { epoch: 9, seed: [0xab; 32] };
        let raw = raw("2026-01-05".parse().unwrap(), 16);
        let shown = alloc::format!("{seed:?} {raw:?}");
        assert_eq!(shown, "Dp3tUnlinkable { epoch: 9, .. } Raw { date: 2026-01-05, .. }");
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
