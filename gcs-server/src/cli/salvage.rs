//! `recover --salvage`: what is damaged of a log, and what it goes on with.

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::offline::{Allow, append, expect_recoverable, say_codes, say_removed};
use super::output::{say, say_done};
use super::{CommandResult, Error};
use crate::app::config::Config;
use crate::app::{DamagedEvent, Salvage, publishing};
use crate::domain::events::{
    AuthorityRemoved, AuthoritySet, BackendTokenSet, BatchAnswered, BatchJudged, BlueTraceBegun,
    BlueTracePurge, ClockResumed, CodeBound, CodeRevoked, Correction, Deployment, FirstPolicySet,
    FirstSeriesStarted, FollowUpDelivered, FollowUpMade, FollowUpReceived, FourthPolicySet,
    KeyListSet, KeyRenewed, LogRecovered, MessageWithdrawn, MessagesWithdrawn, OperatorTokenSet,
    PolicySet, PresentRangeClosed, ProviderAdded, ProviderKeyRaised, ProviderStatusSet,
    ProviderTokenSet, Purge, RangeClosed, RangeOpened, ReportAccepted, SecondPolicySet,
    SeriesStarted, ThirdPolicySet, TickMade, TracerTokenSet, UploadAccepted, UploadUndone,
    UserRegistered, UserTokenSet, UserWithdrawn, WithdrawalDelivered,
};
use crate::domain::judge::{self, Decision, LostBody, RequestContext};
use crate::time::utc;

/// Most events that are listed.
const LISTED: usize = 1000;

pub(super) fn salvage(config: &Config, yes: bool, allow: Allow) -> CommandResult {
    let salvage = Salvage::look(config)?;
    if salvage.damaged.is_empty() && salvage.lost.is_empty() {
        say("no event is damaged: start the server")?;
        return Ok(ExitCode::SUCCESS);
    }
    say_damaged(&salvage)?;
    let now = config.clock().now();
    if !salvage.lost.is_empty() {
        say_lost(&salvage)?;
        expect_recoverable(config, &salvage.state, allow)?;
        let _it_can_go_on = go_on_without(&salvage, now, 0, allow)?;
    }
    if !yes {
        let series = if salvage.lost.is_empty() { "" } else { ", and begins a new series" };
        say(format_args!(
            "`gcs-server recover --salvage{} --yes` moves the damaged log to a folder replaced-TIME in {}, puts what is \
             left in its place{series}",
            allow.flags(),
            config.data_dir.display()
        ))?;
        return Ok(ExitCode::FAILURE);
    }
    let mut series = None;
    let aside = salvage.install(now, |store, salvage| {
        if salvage.lost.is_empty() {
            return Ok(());
        }
        let published = super::offline::block_on(async {
            let publishing = publishing(&salvage.folder, config, salvage.keys.root(), 0)?;
            publishing.forget().await.map_err(Error::from)
        })?;
        let Decision { events, answer } = go_on_without(salvage, now, published, allow)?;
        append(config, store, &salvage.state, &events)?;
        say_removed(&events)?;
        series = Some(answer.series);
        say_codes(&salvage.state, now, allow)
    })?;
    let aside = aside.map_or_else(String::new, |aside| {
        format!("what was there is in {}: keep it. ", aside.display())
    });
    let series = series
        .map_or_else(String::new, |series| format!("Series {series} begins with the next tick; "));
    say_done(&format!("the log can be used. {aside}{series}start the server if it does not run"))?;
    Ok(ExitCode::SUCCESS)
}

fn go_on_without(
    salvage: &Salvage,
    now: u64,
    published: u32,
    allow: Allow,
) -> Result<Decision<LogRecovered>, Error> {
    let Salvage { state, keys, lost, .. } = salvage;
    let context = RequestContext { now, leap: None, random: [0; 32] };
    Ok(judge::go_on_without(state, keys, context, published, lost, allow.into())?)
}

/// Names every damaged event.
fn say_damaged(salvage: &Salvage) -> Result<(), Error> {
    let damaged = &salvage.damaged;
    for DamagedEvent { position, kind, time, is_mended } in damaged.iter().take(LISTED) {
        let (what, time) = (words(*kind).0, utc(*time));
        let found = if *is_mended {
            "is put right: the chain of hashes proves what it was"
        } else {
            "is lost: its body is damaged"
        };
        say(format_args!("event {position}, {what} of {time}, {found}"))?;
    }
    if damaged.len() > LISTED {
        say(format_args!("and {} more", damaged.len() - LISTED))?;
    }
    let mended = damaged.iter().filter(|event| event.is_mended).count();
    let whole = salvage.state.position - damaged.len() as u64;
    say(format_args!(
        "{whole} events are as they were written, {mended} are put right, {} are lost",
        damaged.len() - mended
    ))?;
    if let Some(end) = salvage.end {
        let first = salvage.state.position + 1;
        say(format_args!("the log has lost its end too: events {first} to {end}"))?;
    }
    Ok(())
}

/// Says what the log goes on without.
fn say_lost(salvage: &Salvage) -> Result<(), Error> {
    let kinds: BTreeSet<u16> = salvage.lost.iter().map(|LostBody { kind, .. }| *kind).collect();
    for kind in kinds {
        let (what, meaning) = words(kind);
        say(format_args!("without {what}: {meaning}"))?;
    }
    if salvage.is_in_checkpoint {
        say(
            "the server still starts on this log, from its checkpoint, which has what these events did. It is better \
             to keep it running, and to go on without them only when it does not start any more",
        )?;
    }
    Ok(())
}

/// A kind of event, and what is so when one is lost.
fn words(kind: u16) -> (&'static str, &'static str) {
    match kind {
        Deployment::KIND => ("the first event", NEEDED),
        FirstPolicySet::KIND
        | SecondPolicySet::KIND
        | ThirdPolicySet::KIND
        | FourthPolicySet::KIND
        | PolicySet::KIND => ("a change of the policy", NEEDED),
        KeyListSet::KIND => ("a list of online keys", "a new list is signed"),
        OperatorTokenSet::KIND => (
            "a new operator's token",
            "the operator's token is void: before the start, make another one with `gcs-server reset-token`",
        ),
        BackendTokenSet::KIND => (
            "a new backends' token",
            "the backends' token is void: make another one with `gcs-server backend-token`",
        ),
        ProviderAdded::KIND => (
            "a new provider",
            "its name is lost, and its token is void: give it another one with `gcs-server provider token`",
        ),
        ProviderStatusSet::KIND => (
            "a provider's new status",
            "all providers are suspended, since any of them may have been: resume or revoke each of them",
        ),
        ProviderTokenSet::KIND => (
            "a provider's new token",
            "the tokens of all providers are void, since any of them may have been: give each another one",
        ),
        ProviderKeyRaised::KIND => ("a provider's new key", VOID),
        KeyRenewed::KIND => {
            ("a provider's next key", "nothing is lost: all providers get another key")
        }
        RangeOpened::KIND => (
            "a new range of codes",
            "its codes bring no reports any more, whoever has one needs a new one; reports that they have brought stay",
        ),
        PresentRangeClosed::KIND | RangeClosed::KIND => ("the end of a range of codes", VOID),
        CodeRevoked::KIND => ("a revoked code", VOID),
        ReportAccepted::KIND => (
            "a report",
            "its elements are not published any more, and its code can bring a report again: it has to be sent again. \
             Other reports may wait for company again, for as long as the policy's max_hold",
        ),
        Correction::KIND => (
            "a correction",
            "what it retracted is published again, and what it reinstated is retracted again: do it again right after \
             the start",
        ),
        TickMade::KIND => ("a tick", "nothing is lost: its number and time are known"),
        FirstSeriesStarted::KIND | SeriesStarted::KIND => {
            ("a new series", "nothing is lost: another one begins")
        }
        ClockResumed::KIND => ("a clock that is right again", "nothing is lost"),
        Purge::KIND => ("a purge", VOID),
        LogRecovered::KIND => ("a recovery", VOID),
        BlueTraceBegun::KIND => ("the beginning of BlueTrace", NEEDED),
        UserRegistered::KIND => {
            ("a user of BlueTrace", "the user's phone has to register again, with another UserID")
        }
        UserTokenSet::KIND => (
            "a user's new token",
            "the token before it is good again, and the new one is not: the user's phone has to register again",
        ),
        UserWithdrawn::KIND => (
            "a user who has withdrawn",
            "with --users-return, the user is registered again: whoever withdrew has to do it again",
        ),
        CodeBound::KIND | UploadAccepted::KIND => (
            "a code or an upload of BlueTrace",
            "what was uploaded with it is lost, and needs another code",
        ),
        UploadUndone::KIND => ("a revoked upload", "it counts again: revoke its code again"),
        TracerTokenSet::KIND => (
            "a new token for tracers",
            "the tracers' token is void: give them another one with `gcs-server tracer token`",
        ),
        BlueTracePurge::KIND => ("a purge of BlueTrace", VOID),
        AuthoritySet::KIND | AuthorityRemoved::KIND => (
            "a change to the table of other authorities",
            "all of them are removed, since any of them may have been: enter each again with `gcs-server authority set`",
        ),
        BatchAnswered::KIND | FollowUpDelivered::KIND | WithdrawalDelivered::KIND => {
            ("an answer of another authority", "nothing is lost: it is asked again")
        }
        BatchJudged::KIND => {
            ("verdicts for another authority", "if it asks for them again, it gets those of now")
        }
        MessagesWithdrawn::KIND => (
            "what another authority should forget",
            "it may not be told: tell its operator that the upload was undone",
        ),
        MessageWithdrawn::KIND => (
            "what another authority has withdrawn",
            "it counts again until it expires: ask the operators of the others what they have withdrawn",
        ),
        FollowUpMade::KIND => (
            "contacts for another authority",
            "it may not have been told of them: ask for them again",
        ),
        FollowUpReceived::KIND => (
            "contacts of another authority",
            "nobody here can call them: have the other authority ask for them again",
        ),
        _ => ("an event", "what it did is lost"),
    }
}

const NEEDED: &str = "nobody can tell what the later events did";

const VOID: &str = "which codes it made void, or found used, is not known: with --void-codes, all codes that are out are \
                    made void";
