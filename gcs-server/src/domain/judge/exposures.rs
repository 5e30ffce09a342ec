//! Keys that apps publish as they do to Apple's and Google's key server.

use gcs_core::live::Act;
use gcs_core::report::{Item, ProblemItem, PublishRequest, ReportType};
use gcs_core::{Date, Element};

use super::corrections::parse_tracking;
use super::reports::report;
use super::{Decision, Judgement, RequestContext};
use crate::domain::events::{Correction, Event, TrackingId};
use crate::domain::keys::DeploymentKeys;
use crate::domain::problem::Problem;
use crate::domain::revision::{self, Publication, RevisionProblem};
use crate::domain::state::State;

/// The answer to keys that are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishAnswer {
    /// Number of keys that are accepted, duplicates counted once; none if they are taken back.
    pub accepted: u32,
    /// The keys that are not.
    pub problems: Vec<ProblemItem>,
    /// What the app shows when it publishes the same keys again.
    pub revision_token: String,
}

/// Accepts keys as a report, takes them back with the reports that brought them, or gives a retry its first
/// answer.
///
/// # Errors
/// As [`report`].
pub fn publish_keys(
    state: &State,
    keys: &DeploymentKeys,
    context: RequestContext,
    request: &PublishRequest,
) -> Judgement<Result<PublishAnswer, RevisionProblem>> {
    let Decision { mut events, answer } = report(state, keys, context, &request.report)?;
    let mut known = Known::read(state, keys, request);
    if let Some(Event::ReportAccepted(accepted)) = events.first_mut() {
        let samples = accepted.items.iter().filter_map(|item| sample(item, context.now));
        let revised = known.expect(&samples.collect::<Vec<_>>(), request);
        if let Err(problem) = revised {
            return Ok(Decision::nothing(Err(problem)));
        }
        if request.report_type == ReportType::Negative {
            accepted.items.clear();
            events.extend(known.retraction().map(Event::from));
        }
    }
    known.revise(request.report_type);
    if request.report_type != ReportType::Negative {
        let tracking = parse_tracking(&answer.tracking_id).map_err(|_| Problem::Internal)?;
        let (report_type, is_revised) = (request.report_type, false);
        known.add(Publication { tracking, report_type, is_revised });
    }
    let accepted = if request.report_type == ReportType::Negative { 0 } else { answer.accepted };
    let revision_token = revision::write(keys, &known.publications);
    let answer = PublishAnswer { accepted, problems: answer.problems, revision_token };
    Ok(Decision { events, answer: Ok(answer) })
}

/// An element by which it is known whether a key has been published.
type Sample = (Date, Element);

fn sample(item: &Item, now: u64) -> Option<Sample> {
    item.elements(now).next()
}

/// What the app published before, by its revision token.
struct Known<'a> {
    state: &'a State,
    /// Whether the app showed a token, and whether it is one.
    token: Result<(), RevisionProblem>,
    publications: Vec<Publication>,
    /// Places of those which brought keys that are published again.
    again: Vec<usize>,
}

impl<'a> Known<'a> {
    fn read(state: &'a State, keys: &DeploymentKeys, request: &PublishRequest) -> Known<'a> {
        let publications = revision::read(keys, &request.revision_token);
        let token = match &publications {
            Some(_) => Ok(()),
            None if request.revision_token.is_empty() => Err(RevisionProblem::Missing),
            None => Err(RevisionProblem::Invalid),
        };
        let publications = publications.unwrap_or_default();
        let mut known = Known { state, token, publications, again: Vec::new() };
        let items = request.report.items.iter().flatten();
        let samples: Vec<Sample> = items.filter_map(|item| sample(item, 0)).collect();
        let brought = |publication: &Publication| known.has_one(publication.tracking, &samples);
        known.again =
            (0..known.publications.len()).filter(|at| brought(&known.publications[*at])).collect();
        known
    }

    fn has_one(&self, tracking: TrackingId, samples: &[Sample]) -> bool {
        samples.iter().any(|sample| self.has(tracking, sample))
    }

    fn has(&self, tracking: TrackingId, (date, element): &Sample) -> bool {
        let report = self.state.tracked(&tracking);
        report.is_some_and(|report| self.state.live.brought(report, *date, element))
    }

    /// Makes sure that keys which are live were published by this app, and may be revised.
    fn expect(&self, samples: &[Sample], request: &PublishRequest) -> Result<(), RevisionProblem> {
        let is_live = |(date, element): &&Sample| self.state.live.is_supported(*date, element);
        for sample in samples.iter().filter(is_live) {
            self.token?;
            let is_own = |at: &usize| self.has(self.publications[*at].tracking, sample);
            if !self.again.iter().any(is_own) {
                return Err(RevisionProblem::Invalid);
            }
        }
        let again = self.again.iter().map(|at| self.publications[*at]);
        again
            .map(|publication| publication.revise(request.report_type))
            .try_for_each(|to| to.map(|_| ()))
    }

    /// Takes back the reports that brought these keys, as a whole.
    fn retraction(&self) -> Option<Correction> {
        let again = self.again.iter().map(|at| self.publications[*at].tracking);
        let mut reports: Vec<u64> = again.filter_map(|at| self.state.tracked(&at)).collect();
        reports.sort_unstable();
        reports.dedup();
        let selection = "keys that their app took back".to_owned();
        let act = Act::Retract;
        (!reports.is_empty()).then_some(Correction { act, reports, selection })
    }

    /// A retry has revised them before, which changes nothing.
    fn revise(&mut self, to: ReportType) {
        for at in &self.again {
            let publication = &mut self.publications[*at];
            *publication = publication.revise(to).unwrap_or(*publication);
        }
    }

    fn add(&mut self, publication: Publication) {
        if self.publications.iter().all(|known| known.tracking != publication.tracking) {
            self.publications.push(publication);
        }
    }
}
