//! Revision tokens: what an app shows that publishes keys a second time (`POST /v1/publish`).
//!
//! A token is opaque to the app. It is base64 of what it says in the postcard format, and 32 bytes that only
//! the master key gives for it. Nothing is stored for it.

use data_encoding::BASE64;
use gcs_core::report::ReportType;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::domain::events::TrackingId;
use crate::domain::keys::DeploymentKeys;

/// Most publications that a token remembers: the last ones.
const REMEMBERED: usize = 8;

const CHECK_LEN: usize = 32;

/// Why keys cannot be published a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RevisionProblem {
    /// There is no token.
    #[error("no revision token, but sent existing keys")]
    Missing,
    /// The token is not of this deployment, or not for these keys.
    #[error("revision token is invalid")]
    Invalid,
    /// The keys have been revised once.
    #[error("key was already revised")]
    AlreadyRevised,
    /// Only what was likely becomes confirmed or negative.
    #[error("only keys of a likely report are revised, to confirmed or negative")]
    Transition,
}

/// What is remembered of one publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Its report.
    pub tracking: TrackingId,
    /// What its keys are published for now.
    pub report_type: ReportType,
    /// Whether that was another type before.
    pub is_revised: bool,
}

impl Publication {
    /// What is remembered of it after its keys were published with this type.
    ///
    /// # Errors
    /// [`RevisionProblem::AlreadyRevised`], [`RevisionProblem::Transition`].
    pub fn revise(self, to: ReportType) -> Result<Publication, RevisionProblem> {
        match (self.report_type, to) {
            (from, to) if from == to => Ok(self),
            _ if self.is_revised => Err(RevisionProblem::AlreadyRevised),
            (ReportType::Likely, ReportType::Confirmed | ReportType::Negative) => {
                Ok(Publication { report_type: to, is_revised: true, ..self })
            }
            _ => Err(RevisionProblem::Transition),
        }
    }
}

/// The token for these publications.
pub fn write(keys: &DeploymentKeys, publications: &[Publication]) -> String {
    let last = &publications[publications.len().saturating_sub(REMEMBERED)..];
    let mut bytes = postcard::to_allocvec(last).expect("writing to memory does not fail");
    let check = keys.revision_check(&bytes);
    bytes.extend_from_slice(&check);
    BASE64.encode(&bytes)
}

/// What a token says; `None` if this deployment did not make it.
pub fn read(keys: &DeploymentKeys, token: &str) -> Option<Vec<Publication>> {
    let bytes = BASE64.decode(token.as_bytes()).ok()?;
    let (said, check) = bytes.split_last_chunk::<CHECK_LEN>()?;
    let is_ours: bool = keys.revision_check(said).ct_eq(check).into();
    if is_ours { postcard::from_bytes(said).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::Secrets;

    fn keys(master: u8) -> DeploymentKeys {
        DeploymentKeys::new(Secrets::new([1; 32], [2; 32], [master; 32]))
    }

    fn publication(number: u8) -> Publication {
        let (tracking, report_type) = ([number; 16], ReportType::Likely);
        Publication { tracking, report_type, is_revised: false }
    }

    #[test]
    fn a_token_is_read_by_its_deployment_alone() {
        let publications: Vec<Publication> = (0..10).map(publication).collect();
        let token = write(&keys(3), &publications);
        assert_eq!(read(&keys(3), &token).unwrap(), publications[2..]);
        assert_eq!(read(&keys(4), &token), None);
        assert_eq!(read(&keys(3), &write(&keys(3), &[])), Some(vec![]));
        let bytes = BASE64.decode(token.as_bytes()).unwrap();
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(read(&keys(3), &BASE64.encode(&other)), None, "{at}");
        }
        for other in ["", "?", "AAAA", &BASE64.encode(&[0; 32])] {
            assert_eq!(read(&keys(3), other), None, "{other}");
        }
    }

    #[test]
    fn only_what_was_likely_is_revised_and_once() {
        use ReportType::{Confirmed, Likely, Negative};
        let likely = publication(1);
        let revised = |to| Publication { report_type: to, is_revised: true, ..likely };
        assert_eq!(likely.revise(Likely), Ok(likely));
        for to in [Confirmed, Negative] {
            assert_eq!(likely.revise(to), Ok(revised(to)));
            assert_eq!(revised(to).revise(to), Ok(revised(to)));
            for other in [Likely, Confirmed, Negative].into_iter().filter(|other| *other != to) {
                assert_eq!(revised(to).revise(other), Err(RevisionProblem::AlreadyRevised));
            }
        }
        let confirmed = Publication { report_type: Confirmed, ..likely };
        for to in [Likely, Negative] {
            assert_eq!(confirmed.revise(to), Err(RevisionProblem::Transition));
        }
    }
}
