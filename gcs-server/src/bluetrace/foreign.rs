//! Whom a case met of other authorities, as far as these have answered.

use std::collections::{BTreeMap, BTreeSet};

use gcs_core::Date;
use gcs_core::identifiers::bluetrace::PseudoId;

use crate::domain::events::{BatchAnswered, Event, ForeignVerdict, Sighting, UploadAccepted};
use crate::domain::problem::Problem;
use crate::domain::state::bluetrace::{Federation, Upload};
use crate::store::LogReader;

use super::log_events::{read_events, read_pieces};

/// What is known of the records of other authorities in an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignMeetings {
    /// The sightings of each user of another authority.
    pub of_users: BTreeMap<(String, PseudoId), Vec<Sighting>>,
    /// Records whose authority has not answered yet.
    pub waiting: u32,
    /// Records whose authority nobody knows here.
    pub unknown_authority: u32,
}

impl ForeignMeetings {
    /// Adds what a piece has, and the answers about it. An answer that does not fit counts as none.
    fn add(&mut self, piece: &UploadAccepted, answers: &[BatchAnswered], known: &BTreeSet<String>) {
        let mut verdicts: BTreeMap<&str, std::slice::Iter<'_, ForeignVerdict>> = BTreeMap::new();
        for answer in answers {
            verdicts.insert(&answer.hai, answer.verdicts.iter());
        }
        for sighting in &piece.foreign {
            match verdicts.get_mut(sighting.hai.as_str()).and_then(Iterator::next) {
                Some(ForeignVerdict::Valid(pseudo_id)) => {
                    let user = (sighting.hai.clone(), PseudoId(*pseudo_id));
                    let (time, rssi) = (sighting.time, sighting.rssi);
                    let met = Sighting { user: 0, time, rssi, tx_power: None, expired: false };
                    self.of_users.entry(user).or_default().push(met);
                }
                Some(ForeignVerdict::ExpiredId | ForeignVerdict::FailedDecryption) => {}
                None if known.contains(&sighting.hai) => self.waiting += 1,
                None => self.unknown_authority += 1,
            }
        }
    }

    /// The UTC date on which a user of another authority was met last.
    pub fn last_date(&self, hai: &str, pseudo_id: PseudoId) -> Option<Date> {
        let met = self.of_users.get(&(hai.to_owned(), pseudo_id))?;
        met.iter().map(|sighting| Date::of_time(sighting.time.into())).max()
    }
}

/// What has to be read of an upload.
#[derive(Clone, Debug)]
pub struct Wanted {
    upload: Upload,
    /// Positions of the answers.
    answers: BTreeSet<u64>,
    /// The authorities that are known.
    known: BTreeSet<String>,
}

impl Wanted {
    /// Of an upload, by the state of now.
    pub fn of(upload: Upload, federation: &Federation) -> Wanted {
        let answered = upload.positions().flat_map(|piece| federation.answered_of(piece));
        let answers = answered.map(|(_, batch)| batch.answer).collect();
        let known = federation.authorities.keys().cloned().collect();
        Wanted { upload, answers, known }
    }

    /// Reads it from the log: who was heard of our own users, and of others.
    ///
    /// # Errors
    /// As [`read_events`].
    pub fn read(&self, log: &LogReader) -> Result<(Vec<Sighting>, ForeignMeetings), Problem> {
        let mut answers: BTreeMap<u64, Vec<BatchAnswered>> = BTreeMap::new();
        for (_, event) in read_events(log, self.answers.iter().copied())? {
            let Event::BatchAnswered(answer) = event else { return Err(Problem::Internal) };
            answers.entry(answer.piece).or_default().push(answer);
        }
        let (mut sightings, mut foreign) = (Vec::new(), ForeignMeetings::default());
        for (position, piece) in read_pieces(log, &self.upload)? {
            let answers = answers.get(&position).map_or(&[][..], Vec::as_slice);
            foreign.add(&piece, answers, &self.known);
            sightings.extend(piece.sightings);
        }
        Ok((sightings, foreign))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::events::{ForeignSighting, VerdictCounts};

    #[test]
    fn a_verdict_is_of_the_record_in_the_same_place_of_its_authority() {
        let heard = |hai: &str, time| {
            let (hai, msg) = (hai.to_owned(), "x".to_owned());
            ForeignSighting { hai, msg, time, rssi: Some(-60) }
        };
        let foreign =
            vec![heard("A", 1), heard("B", 2), heard("A", 3), heard("C", 4), heard("A", 90_000)];
        let (digest, counts, sightings) = ([0; 32], VerdictCounts::default(), Vec::new());
        let piece =
            UploadAccepted { case: 1, digest, piece: 0, pieces: 1, counts, sightings, foreign };
        let valid = ForeignVerdict::Valid([7; 16]);
        let verdicts = vec![valid, ForeignVerdict::ExpiredId, valid];
        let answer = BatchAnswered { piece: 5, hai: "A".to_owned(), verdicts };
        let known = BTreeSet::from(["A".to_owned(), "B".to_owned()]);
        let mut meetings = ForeignMeetings::default();
        meetings.add(&piece, &[answer], &known);
        assert_eq!((meetings.waiting, meetings.unknown_authority), (1, 1));
        let times: Vec<u32> = meetings.of_users[&("A".to_owned(), PseudoId([7; 16]))]
            .iter()
            .map(|sighting| sighting.time)
            .collect();
        assert_eq!(times, [1, 90_000]);
        assert_eq!(meetings.last_date("A", PseudoId([7; 16])).unwrap().days(), 1);
        assert_eq!(meetings.last_date("B", PseudoId([7; 16])), None);
    }
}
