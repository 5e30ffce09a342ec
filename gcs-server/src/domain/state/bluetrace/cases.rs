//! Cases: users who have used a code to upload what their phones heard.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::domain::events::{CodeId, UploadAccepted, VerdictCounts};

/// A user who has used a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The user.
    pub user: u32,
    /// The code.
    pub code: CodeId,
    /// Unix time, in seconds, at which the code was used.
    pub since: u64,
    /// What was uploaded; `None` before that, and once it is undone.
    pub upload: Option<Upload>,
    /// Whether the code was revoked afterwards.
    pub undone: bool,
}

/// An upload, without its records, which are in the log alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Position of the first piece.
    pub first: u64,
    /// Number of pieces.
    pub pieces: u32,
    /// SHA-256 of the set of records.
    pub digest: [u8; 32],
    /// Unix time in seconds.
    pub time: u64,
    /// The verdicts on its records.
    pub counts: VerdictCounts,
}

impl Upload {
    /// Positions of the pieces.
    pub fn positions(&self) -> impl Iterator<Item = u64> + use<> {
        self.first..self.first.saturating_add(self.pieces.into())
    }
}

/// Cases by the positions of the events that began them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<u64, Case>")]
pub struct Cases {
    by_position: BTreeMap<u64, Case>,
    #[serde(skip)]
    by_code: HashMap<CodeId, u64>,
    #[serde(skip)]
    by_user: BTreeSet<(u32, u64)>,
}

impl From<BTreeMap<u64, Case>> for Cases {
    fn from(by_position: BTreeMap<u64, Case>) -> Cases {
        let by_code = by_position.iter().map(|(at, case)| (case.code, *at)).collect();
        let by_user = by_position.iter().map(|(at, case)| (case.user, *at)).collect();
        Cases { by_position, by_code, by_user }
    }
}

impl Cases {
    /// A case.
    pub fn get(&self, position: u64) -> Option<&Case> {
        self.by_position.get(&position)
    }

    /// The case of a code.
    pub fn by_code(&self, code: CodeId) -> Option<(u64, &Case)> {
        let position = *self.by_code.get(&code)?;
        Some((position, self.by_position.get(&position)?))
    }

    /// All cases, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Case)> {
        self.by_position.iter().map(|(position, case)| (*position, case))
    }

    /// The cases of a user.
    pub fn of_user(&self, user: u32) -> impl Iterator<Item = &Case> {
        self.positions_of(user).filter_map(|position| self.by_position.get(&position))
    }

    /// Positions of a user's cases.
    pub fn positions_of(&self, user: u32) -> impl Iterator<Item = u64> {
        self.by_user.range((user, 0)..=(user, u64::MAX)).map(|(_, position)| *position)
    }

    pub(super) fn add(&mut self, position: u64, case: Case) {
        self.by_code.insert(case.code, position);
        self.by_user.insert((case.user, position));
        self.by_position.insert(position, case);
    }

    pub(super) fn remove(&mut self, position: u64) -> Option<Case> {
        let case = self.by_position.remove(&position)?;
        self.by_code.remove(&case.code);
        self.by_user.remove(&(case.user, position));
        Some(case)
    }

    pub(super) fn put_clock_right(&mut self, time: u64) {
        for case in self.by_position.values_mut() {
            case.since = case.since.min(time);
            if let Some(upload) = &mut case.upload {
                upload.time = upload.time.min(time);
            }
        }
    }

    /// Adds a piece of an upload: the first one begins it. Says whether it is one of the case's upload; it is not
    /// if the first one is lost, or the upload was undone.
    pub(super) fn upload(&mut self, piece: &UploadAccepted, position: u64, time: u64) -> bool {
        let Some(case) = self.by_position.get_mut(&piece.case) else { return false };
        if piece.piece == 0 {
            let UploadAccepted { pieces, digest, counts, .. } = *piece;
            case.upload = Some(Upload { first: position, pieces, digest, time, counts });
        }
        case.upload.as_ref().is_some_and(|upload| upload.positions().any(|at| at == position))
    }

    /// Undoes an upload. Returns it, if there was one.
    pub(super) fn undo(&mut self, position: u64) -> Option<Upload> {
        let case = self.by_position.get_mut(&position)?;
        case.undone = true;
        case.upload.take()
    }
}
