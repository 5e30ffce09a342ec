//! What the events of BlueTrace add up to.
//!
//! Events about a user or case that is not there change nothing: its body may have been erased.

mod cases;
mod federation;
mod index;
mod users;
mod waiting;

use std::collections::BTreeMap;

use gcs_core::{DAY_SECONDS, Date};
use serde::{Deserialize, Serialize};

pub use self::cases::{Case, Cases, Upload};
pub use self::federation::{
    AnsweredBatch, Authority, Federation, IncomingBatch, IncomingFollowUp, MessageKey,
    OutgoingFollowUp, ReceivedSums, WithdrawnMessage, batch_number, expiry, last_expiry,
    of_authority,
};
pub use self::users::{User, Users};
pub use self::waiting::{OutgoingBatch, WaitingBatches};
use super::{InconsistentEvent, State};
use crate::domain::events::{
    BlueTraceBegun, BlueTracePurge, CodeBound, CodeId, Event, ShortCodeMade, UserRegistered,
};

/// Seconds for which a short code can be used: a day.
pub const SHORT_CODE_SECONDS: u64 = DAY_SECONDS;

/// The state of BlueTrace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlueTrace {
    /// The authority's HAI.
    pub hai: String,
    /// A value derived from the keys, by which the right key file is recognised.
    pub keys: [u8; 32],
    /// The users.
    pub users: Users,
    /// Users who have used a code.
    pub cases: Cases,
    /// Short codes that nobody has used, by the positions of their events.
    pub short_codes: BTreeMap<u64, ShortCodeMade>,
    /// SHA-256 of the tracers' token, if there is one.
    pub tracer: Option<[u8; 32]>,
    /// Unix time, in seconds, of the first tick since which the clock has not leapt.
    pub steady_since: Option<u64>,
    /// The date on which day keys were last destroyed.
    pub keys_date: Option<Date>,
    /// Positions of events whose bodies are not needed any more, with the codes in them.
    pub unneeded: BTreeMap<u64, Option<CodeId>>,
    /// What is exchanged with other authorities.
    pub federation: Federation,
}

impl BlueTrace {
    fn new(begun: &BlueTraceBegun) -> BlueTrace {
        BlueTrace {
            hai: begun.hai.clone(),
            keys: begun.keys,
            users: Users::default(),
            cases: Cases::default(),
            short_codes: BTreeMap::new(),
            tracer: None,
            steady_since: None,
            keys_date: None,
            unneeded: BTreeMap::new(),
            federation: Federation::default(),
        }
    }

    fn register(&mut self, user: &UserRegistered, position: u64) {
        let UserRegistered { number, id, token } = *user;
        self.users.add(User { number, id, token, registered: position, token_set: position });
    }

    fn withdraw(&mut self, user: u32) {
        // Nobody may be there any more, and cases and codes of that user all the same: when the bodies
        // about a user are erased in several purges, and the log is replayed in between.
        if let Some(gone) = self.users.remove(user) {
            self.unneeded.extend([(gone.registered, None), (gone.token_set, None)]);
        }
        for position in self.cases.positions_of(user).collect::<Vec<_>>() {
            self.end_case(position);
        }
        self.end_short_codes(|made| made.user == user);
    }

    /// Unix time, in seconds, at which a case began, if it is there.
    fn since(&self, case: u64) -> Option<u64> {
        self.cases.get(case).map(|case| case.since)
    }

    /// Ends a case before its time.
    fn end_case(&mut self, position: u64) {
        let Some(case) = self.cases.remove(position) else { return };
        self.unneeded.insert(position, Some(case.code));
        self.end_upload(position, case.upload.as_ref());
    }

    /// Forgets what was uploaded for a case, and what other authorities were asked about it.
    fn end_upload(&mut self, case: u64, upload: Option<&Upload>) {
        let pieces = || upload.into_iter().flat_map(Upload::positions);
        let answers = self.federation.end_batches(pieces());
        let follow_ups = self.federation.end_follow_ups(case);
        let over = pieces().chain(answers).chain(follow_ups);
        self.unneeded.extend(over.map(|position| (position, None)));
    }

    fn end_short_codes(&mut self, is_over: impl Fn(&ShortCodeMade) -> bool) {
        let over = self.short_codes.extract_if(.., |_, made| is_over(made));
        self.unneeded.extend(over.map(|(position, _)| (position, None)));
    }

    fn bind(&mut self, bound: &CodeBound, position: u64, time: u64) {
        let CodeBound { user, code } = *bound;
        self.cases.add(position, Case { user, code, since: time, upload: None, undone: false });
        self.end_short_codes(|made| made.code == code);
    }

    fn undo(&mut self, case: u64) {
        let upload = self.cases.undo(case);
        self.end_upload(case, upload.as_ref());
    }

    /// Forgets an event. Returns the code in it.
    fn forget(&mut self, position: u64) -> Option<CodeId> {
        self.short_codes.remove(&position);
        let unneeded = self.unneeded.remove(&position).flatten();
        self.cases.remove(position).map(|case| case.code).or(unneeded)
    }

    /// Whatever has a later time is as old as if it came now, so that it is not kept for longer.
    pub(super) fn put_clock_right(&mut self, time: u64) {
        self.cases.put_clock_right(time);
        self.federation.put_clock_right(time);
        for made in self.short_codes.values_mut() {
            made.expires = made.expires.min(time.saturating_add(SHORT_CODE_SECONDS));
        }
    }

    /// A tick a day or less after the one before shows that the clock is steady.
    fn tick(&mut self, before: Option<u64>, time: u64) {
        let is_steady = before.is_some_and(|before| time.wrapping_sub(before) <= DAY_SECONDS);
        if !is_steady || self.steady_since.is_none() {
            self.steady_since = Some(time);
        }
        if let Some(time) = self.steady_time(time) {
            self.federation.forget_withdrawals(time);
        }
    }

    /// The time of the last tick, if there have been ticks for a day without a leap of the clock.
    pub fn steady_time(&self, last: u64) -> Option<u64> {
        let since = self.steady_since?;
        (last.saturating_sub(since) >= DAY_SECONDS).then_some(last)
    }
}

impl State {
    /// Applies an event of BlueTrace.
    pub(in crate::domain) fn apply_bluetrace(
        &mut self,
        event: &Event,
        position: u64,
        time: u64,
    ) -> Result<(), InconsistentEvent> {
        if let Event::BlueTraceBegun(begun) = event {
            self.bluetrace.get_or_insert_with(|| Box::new(BlueTrace::new(begun)));
            return Ok(());
        }
        if let Event::CodeBound(bound) = event {
            self.provider(bound.code.provider)?.set_used(bound.code, true);
        }
        let begun = InconsistentEvent("an event of BlueTrace before it began");
        let bluetrace = self.bluetrace.as_mut().ok_or(begun)?;
        match event {
            Event::UserRegistered(user) => bluetrace.register(user, position),
            Event::UserTokenSet(set) => {
                let unneeded = match bluetrace.users.get(set.user) {
                    Some(_) => bluetrace.users.set_token(set.user, set.token, position),
                    None => Some(position),
                };
                bluetrace.unneeded.extend(unneeded.map(|position| (position, None)));
            }
            Event::UserWithdrawn(withdrawn) => bluetrace.withdraw(withdrawn.user),
            Event::ShortCodeMade(made) => {
                // A provider who was told a wrong number makes another one.
                bluetrace.end_short_codes(|before| before.code == made.code);
                bluetrace.short_codes.insert(position, made.clone());
            }
            Event::CodeBound(bound) => bluetrace.bind(bound, position, time),
            Event::UploadAccepted(piece) => match bluetrace.since(piece.case) {
                Some(since) if bluetrace.cases.upload(piece, position, time) => {
                    bluetrace.federation.upload(piece, position, time, since);
                }
                _ => bluetrace.unneeded.extend([(position, None)]),
            },
            Event::FollowUpMade(made) => match bluetrace.since(made.case) {
                Some(since) => bluetrace.federation.follow_up(made, position, time, since),
                None => bluetrace.unneeded.extend([(position, None)]),
            },
            Event::UploadUndone(undone) => bluetrace.undo(undone.case),
            Event::TracerTokenSet(set) => bluetrace.tracer = Some(set.token),
            Event::DayKeysAdvanced(advanced) => {
                bluetrace.keys_date = bluetrace.keys_date.max(Some(advanced.date));
            }
            Event::BlueTracePurge(purge) => self.purge_bluetrace(purge)?,
            event => {
                let unneeded = bluetrace.federation.apply(event, position, time);
                bluetrace.unneeded.extend(unneeded.into_iter().map(|position| (position, None)));
            }
        }
        Ok(())
    }

    fn purge_bluetrace(&mut self, purge: &BlueTracePurge) -> Result<(), InconsistentEvent> {
        if let Some(bluetrace) = &mut self.bluetrace {
            bluetrace.federation.forget(&purge.events);
        }
        for position in &purge.events {
            let code = self.bluetrace.as_mut().and_then(|bluetrace| bluetrace.forget(*position));
            self.forget_code(code, &purge.used)?;
        }
        purge.used.iter().try_for_each(|code| {
            self.provider(code.provider)?.set_used(*code, true);
            Ok(())
        })
    }

    pub(super) fn tick_bluetrace(&mut self, before: Option<u64>, time: u64) {
        if let Some(bluetrace) = &mut self.bluetrace {
            bluetrace.tick(before, time);
        }
    }

    /// Applies a registration without its body.
    pub(super) fn register_nobody(&mut self) {
        if let Some(bluetrace) = &mut self.bluetrace {
            bluetrace.users.add_nobody();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::events::{
        MessageWithdrawn, MessagesWithdrawn, UploadAccepted, UserTokenSet, UserWithdrawn,
        VerdictCounts,
    };
    use gcs_core::live::FillerKey;

    const CODE: CodeId = CodeId { provider: 1, generation: 1, serial: 5 };

    /// What an operator says of a clock may be wrong, and a withdrawal that is forgotten cannot be made again.
    #[test]
    fn withdrawals_are_forgotten_by_a_steady_clock_alone() {
        const NOW: u64 = 1_770_000_000;
        let begun = BlueTraceBegun { hai: "SG_OTC".into(), keys: [0; 32] };
        let mut bluetrace = BlueTrace::new(&begun);
        let (hai, id, expires) = ("NZ_MOH".to_owned(), [1; 16], last_expiry(NOW));
        let ours = MessagesWithdrawn { messages: vec![(hai.clone(), id)] };
        let theirs = MessageWithdrawn { hai, id, expires, content: Default::default() };
        for event in [ours.into(), theirs.into()] {
            bluetrace.federation.apply(&event, 3, NOW);
        }
        let mut tick = |before: u64, time: u64| {
            bluetrace.tick(Some(before), time);
            let Federation { withdrawals, withdrawn, .. } = &bluetrace.federation;
            (withdrawals.len(), withdrawn.len())
        };
        let later = NOW + 40 * DAY_SECONDS;
        assert_eq!(tick(NOW, NOW + 900), (1, 1));
        assert_eq!(tick(NOW + 900, later), (1, 1), "the clock has leapt");
        assert_eq!(tick(later, later + DAY_SECONDS - 1), (1, 1));
        assert_eq!(tick(later + DAY_SECONDS - 1, later + DAY_SECONDS), (0, 0));
    }

    /// A replay between two purges of one user: the registration is erased already, and the rest is not.
    #[test]
    fn what_is_left_of_a_user_who_is_erased_in_part_is_erased_too() {
        let mut state = State::new(FillerKey::new([0; 32]));
        let begun = BlueTraceBegun { hai: "SG_OTC".into(), keys: [0; 32] };
        let piece = UploadAccepted {
            case: 4,
            digest: [0; 32],
            piece: 0,
            pieces: 1,
            counts: VerdictCounts::default(),
            sightings: Vec::new(),
            foreign: Vec::new(),
        };
        let mut apply = |position, event: Event| {
            state.apply_bluetrace(&event, position, 0).unwrap();
            if position == 1 {
                state.register_nobody(); // at 2
            }
        };
        apply(1, begun.into());
        apply(3, UserTokenSet { user: 0, token: [1; 32] }.into());
        // The body of the case at 4 is erased too.
        apply(5, piece.clone().into());
        apply(6, UploadAccepted { piece: 1, pieces: 2, ..piece }.into());
        apply(7, ShortCodeMade { user: 0, code: CODE, expires: 9 }.into());
        let bluetrace = state.bluetrace.as_mut().unwrap();
        bluetrace.bind(&CodeBound { user: 0, code: CODE }, 8, 0);
        state.apply_bluetrace(&UserWithdrawn { user: 0 }.into(), 9, 0).unwrap();
        let bluetrace = state.bluetrace.as_ref().unwrap();
        let unneeded: Vec<_> = bluetrace.unneeded.clone().into_iter().collect();
        assert_eq!(unneeded, [(3, None), (5, None), (6, None), (7, None), (8, Some(CODE))]);
        assert!(bluetrace.short_codes.is_empty());
        assert_eq!(bluetrace.cases.iter().count(), 0);
    }
}
