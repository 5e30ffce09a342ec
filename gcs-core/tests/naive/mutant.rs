//! What a test may break in this reader, to see that a golden vector tells.
//!
//! Every call of [`super::expect`] is a rule, known by its place in the source. A mutant does without
//! one rule, looks at it last, or has another hand in one of four parts. Without a mutant
//! the reader is right.

use std::cell::RefCell;
use std::panic::Location;

use super::Outcome;
use super::dsse;
use super::json::Json;

/// Where a rule is: file, line and column of the call.
pub(crate) type Place = (&'static str, u32, u32);

/// What becomes of the rule at a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// It is not looked at.
    Skipped,
    /// It is looked at when everything else was in order.
    Last,
}

/// A reader that is wrong in one way.
#[derive(Clone, Copy)]
pub(crate) struct Mutant {
    pub(crate) rule: Option<(Place, Fate)>,
    /// What is done to a JSON text before it is read.
    pub(crate) text: fn(&[u8]) -> Vec<u8>,
    pub(crate) integer: fn(&Json) -> Option<u64>,
    pub(crate) base64: fn(&str) -> Outcome<Vec<u8>>,
    /// Key, message, signature.
    pub(crate) verifies: fn(&[u8; 32], &[u8], &[u8; 64]) -> bool,
    /// The name of a bound or a comparison that is wrong; see where [`has`] is called.
    pub(crate) bound: &'static str,
}

/// The reader that is right.
pub(crate) const RIGHT: Mutant = Mutant {
    rule: None,
    text: <[u8]>::to_vec,
    integer: Json::as_integer,
    base64: dsse::strict_base64,
    verifies: dsse::strictly_verifies,
    bound: "",
};

struct State {
    mutant: Mutant,
    /// Where the last rule was broken, and its class.
    broken: Option<(Place, String)>,
}

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State { mutant: RIGHT, broken: None }) };
}

/// What the present mutant does.
pub(crate) fn now() -> Mutant {
    STATE.with_borrow(|state| state.mutant)
}

/// Whether the present mutant gets this bound wrong.
pub(crate) fn has(bound: &str) -> bool {
    now().bound == bound
}

/// Notes that a rule is broken. Returns whether the mutant goes on all the same.
pub(super) fn overlooks(at: &'static Location<'static>, class: &str) -> bool {
    let place = (at.file(), at.line(), at.column());
    STATE.with_borrow_mut(|state| {
        state.broken = Some((place, class.to_owned()));
        state.mutant.rule.is_some_and(|(rule, _)| rule == place)
    })
}

/// Reads with a mutant. Also gives the place of the last rule that was broken.
pub(crate) fn with<T>(
    mutant: Mutant,
    read: impl FnOnce() -> Outcome<T>,
) -> (Outcome<T>, Option<Place>) {
    STATE.set(State { mutant, broken: None });
    let outcome = read();
    let State { broken, .. } = STATE.replace(State { mutant: RIGHT, broken: None });
    let outcome = match (mutant.rule, &broken) {
        (Some((rule, Fate::Last)), Some((place, class))) if rule == *place => {
            outcome.and(Err(class.clone()))
        }
        _ => outcome,
    };
    (outcome, broken.map(|(place, _)| place))
}
