//! Items of a report: what a patient's app sends, and the elements that phones test for them.
//!
//! Each kind of item is a module.

mod compact;
mod gaen;
mod hybrid;
mod json;
mod kind;
mod low_cost;
mod problem;
mod raw;
mod rules;
mod seed;
mod tcn;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_kinds;
mod unlinkable;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

pub(super) use self::gaen::MAX_ONSET_DAYS;
pub use self::gaen::{Diagnosis, GaenKey};
pub use self::kind::{Kind, KindError, Kinds};
pub use self::problem::ItemProblem;
pub use self::rules::{AcceptedItems, ItemRules};
pub use self::seed::ItemSeed;

use self::json::Members;
use crate::date::Date;
use crate::element::Element;
use crate::identifiers::dp3t::{self, HybridWindow};

/// How far a phone's clock may be ahead of a backend's clock, in seconds.
pub const CLOCK_SKEW: u64 = 2 * 3600;

/// Most seeds of one epoch or window, keys of one date, or keys that start together, in one report: the
/// one that a phone broadcasts from, and two for an app that was installed again or a clock that was
/// set back.
pub const MAX_PER_UNIT: u32 = 3;

/// Most numbers of one TCN report: six hours, of five minutes each.
pub const MAX_TCN_NUMBERS: usize = 72;

/// Most TCN reports of one date in one report. A phone makes four or more a day.
pub const MAX_TCN_REPORTS: u32 = 24;

/// An item of a report: what elements are made from.
///
/// In JSON it is an object whose member `kind` gives its [`Kind`]. In binary formats, such as
/// postcard, it is about as compact as [`Item::to_bytes`]. `Debug` shows when it was broadcast,
/// and neither secrets nor elements.
///
/// ```
/// use gcs_core::report::Item;
///
/// let json = r#"{"kind":"raw","date":"2026-01-05","element":"aWRlbnRpZmllciBoZWFyZA=="}"#;
/// let item: Item = serde_json::from_str(json)?;
/// assert_eq!(serde_json::to_string(&item)?, json);
/// let (date, element) = item.elements(1_767_700_000).next().unwrap();
/// assert_eq!((date.to_string().as_str(), &*element), ("2026-01-05", &b"identifier heard"[..]));
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
    /// A key of DP-3T's low-cost design. Those of the dates after it follow from it, up to the date on
    /// which the report is accepted; the phone draws a fresh one then.
    Dp3tLowCost {
        /// The first UTC date on which the phone broadcast from it.
        date: Date,
        /// SK_t of that date.
        key: [u8; 32],
    },
    /// A seed of DP-3T's hybrid design.
    Dp3tHybrid {
        /// How long windows are.
        windows: HybridWindow,
        /// The window: Unix time divided by their length.
        window: u32,
        /// The seed.
        seed: [u8; 16],
    },
    /// A TCN report, of up to [`MAX_TCN_NUMBERS`] numbers.
    Tcn {
        /// The UTC date on which all of its numbers were broadcast.
        date: Date,
        /// The report with its signature, as the phone made it.
        report: Vec<u8>,
    },
    /// A temporary exposure key of Exposure Notification.
    Gaen(GaenKey),
}

/// How the elements of an item spread over dates.
#[derive(Clone, Copy)]
struct Spread {
    first: Date,
    last: Date,
    /// How many elements the first date has, and each of the others.
    counts: [u32; 2],
}

impl Spread {
    fn of_one(date: Date, count: u32) -> Spread {
        Spread { first: date, last: date, counts: [count, 0] }
    }
}

impl Item {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Item::Dp3tUnlinkable { .. } => Kind::Dp3tUnlinkable,
            Item::Raw { .. } => Kind::Raw,
            Item::Dp3tLowCost { .. } => Kind::Dp3tLowCost,
            Item::Dp3tHybrid { .. } => Kind::Dp3tHybrid,
            Item::Tcn { .. } => Kind::Tcn,
            Item::Gaen(_) => Kind::Gaen,
        }
    }

    /// The elements that phones test, each with the UTC date on which it was broadcast, if the report is
    /// accepted at a Unix time. There are as many as [`Item::counts`] says, and none of an item that
    /// [`Item::validate`] refuses for its shape. At most an AES block or two hashes each.
    pub fn elements(&self, accepted: u64) -> impl Iterator<Item = (Date, Element)> + use<> {
        type Many = Box<dyn Iterator<Item = (Date, Element)>>;
        let (one, many): (_, Option<Many>) = match self {
            Item::Dp3tUnlinkable { epoch, seed } => {
                let element = Element::from(dp3t::unlinkable_element(seed, *epoch));
                (Some((Date::of_time(self.start()), element)), None)
            }
            Item::Raw { date, element } => (Some((*date, element.clone())), None),
            Item::Dp3tLowCost { date, key } => {
                (None, Some(Box::new(low_cost::elements(*date, *key, accepted))))
            }
            Item::Dp3tHybrid { windows, window, seed } => {
                (None, Some(Box::new(hybrid::elements(*windows, *window, *seed))))
            }
            Item::Tcn { date, report } => (None, Some(Box::new(tcn::elements(*date, report)))),
            Item::Gaen(key) => (None, Some(Box::new(key.elements()))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// How many elements it has of each date, by ascending date, if the report is accepted at a Unix
    /// time. Nothing is derived for it.
    pub fn counts(&self, accepted: u64) -> impl Iterator<Item = (Date, u32)> + use<> {
        let Spread { first, last, counts: [of_first, of_others] } = match self {
            Item::Dp3tUnlinkable { .. } => Spread::of_one(Date::of_time(self.start()), 1),
            Item::Raw { date, .. } => Spread::of_one(*date, 1),
            Item::Dp3tLowCost { date, .. } => low_cost::spread(*date, accepted),
            Item::Dp3tHybrid { windows, window, .. } => hybrid::spread(*windows, *window),
            Item::Tcn { date, report } => tcn::spread(*date, report),
            Item::Gaen(key) => key.spread(),
        };
        let next = move |date: &Date| date.next().filter(|next| *next <= last);
        let dates = core::iter::successors(Some(first), next);
        dates.map(move |date| (date, if date == first { of_first } else { of_others }))
    }

    /// The Unix time before which nothing of it was broadcast.
    fn start(&self) -> u64 {
        match self {
            Item::Dp3tUnlinkable { epoch, .. } => u64::from(*epoch) * dp3t::EPOCH_SECONDS,
            Item::Raw { date, .. } | Item::Dp3tLowCost { date, .. } | Item::Tcn { date, .. } => {
                date.start()
            }
            Item::Dp3tHybrid { windows, window, .. } => hybrid::start(*windows, *window),
            Item::Gaen(key) => key.start(),
        }
    }

    /// Validates this item alone at the Unix time `now`, its signature too if it has one; limits on a
    /// report are not looked at.
    ///
    /// # Errors
    /// The first [`ItemProblem`].
    pub fn validate(&self, rules: &ItemRules, now: u64) -> Result<(), ItemProblem> {
        self.validate_unverified(rules, now)?;
        self.verify()
    }

    fn validate_unverified(&self, rules: &ItemRules, now: u64) -> Result<(), ItemProblem> {
        if !rules.kinds.has(self.kind()) {
            return Err(ItemProblem::KindNotAllowed);
        }
        match self {
            Item::Dp3tUnlinkable { .. } | Item::Dp3tLowCost { .. } => {}
            Item::Raw { element, .. } => raw::validate(element)?,
            Item::Dp3tHybrid { windows, .. } => hybrid::validate(*windows, rules)?,
            Item::Tcn { report, .. } => tcn::validate(report)?,
            Item::Gaen(key) => key.validate()?,
        }
        self.expect_begun(now)?;
        // Later dates have more time.
        let date = Date::of_time(self.start());
        let published = now.max(date.entry()).saturating_add(rules.publication_delay);
        match date.is_expired(published, rules.retention_days) {
            true => Err(ItemProblem::DateTooOld),
            false => Ok(()),
        }
    }

    fn verify(&self) -> Result<(), ItemProblem> {
        match self {
            Item::Tcn { report, .. } => tcn::verify(report),
            _ => Ok(()),
        }
    }

    /// Makes sure that it is not of the time after `now`, which a report cannot know about.
    ///
    /// # Errors
    /// [`ItemProblem::DateInFuture`], [`ItemProblem::WindowOpen`].
    pub fn expect_begun(&self, now: u64) -> Result<(), ItemProblem> {
        if self.start() > now.saturating_add(CLOCK_SKEW) {
            return Err(ItemProblem::DateInFuture);
        }
        match self {
            Item::Dp3tHybrid { windows, window, .. } => {
                hybrid::expect_ended(*windows, *window, now)
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, field, value): (_, _, &dyn fmt::Debug) = match self {
            Item::Dp3tUnlinkable { epoch, .. } => ("Dp3tUnlinkable", "epoch", epoch),
            Item::Raw { date, .. } => ("Raw", "date", date),
            Item::Dp3tLowCost { date, .. } => ("Dp3tLowCost", "date", date),
            Item::Dp3tHybrid { window, .. } => ("Dp3tHybrid", "window", window),
            Item::Tcn { date, .. } => ("Tcn", "date", date),
            Item::Gaen(key) => ("Gaen", "rolling_start", &key.rolling_start),
        };
        f.debug_struct(name).field(field, value).finish_non_exhaustive()
    }
}
