//! BlueTrace's classic mode: what the authority reads in the uploads of patients.

use std::collections::BTreeSet;

use gcs_core::identifiers::bluetrace::{
    UploadPart, UploadReader, UploadRecord, UploadToken, UserId, Verdict,
};
use gcs_examples::{Checked, ensure};

use crate::bluetrace::{Authority, Phones, user};
use crate::radio::Exchange;
use crate::reports::{LATER, in_town, recorded};
use crate::town::{Meeting, Town};
use crate::truth::{self, Judged};

/// What the authority learns in classic mode.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learned {
    /// Bytes that a patient's phone uploads, on average.
    pub(crate) sent: u64,
    /// Records that it opened.
    pub(crate) records: usize,
    /// Records whose TempID was not valid at the time, and why.
    pub(crate) expired: Expired,
    /// For each patient, who was heard and when by the patient's clock, if the TempID was valid.
    pub(crate) heard: Vec<(usize, Vec<(u64, usize)>)>,
    /// Contacts with somebody who was not there.
    pub(crate) false_alarms: usize,
    /// Of how many replayed TempIDs of people who met no patient the authority makes contacts, and
    /// how many there were.
    pub(crate) replayed: (usize, usize),
}

impl Learned {
    /// Whether the authority knows of a person's meeting with a patient.
    pub(crate) fn knows(&self, town: &Town, person: usize, meeting: &Meeting) -> bool {
        self.heard.iter().any(|(patient, heard)| {
            let at = |clock| town.people[*patient].time_of(clock);
            let is_it = |clock: u64| meeting.is_of([*patient, person], at(clock));
            heard.iter().any(|(clock, who)| *who == person && is_it(*clock))
        })
    }

    /// How many people the authority learns of that a patient met, on average.
    pub(crate) fn people(&self) -> usize {
        let people = |(_, heard): &(usize, Vec<(u64, usize)>)| {
            heard.iter().map(|(_, person)| person).collect::<BTreeSet<_>>().len()
        };
        self.heard.iter().map(people).sum::<usize>() / self.heard.len()
    }
}

/// Why TempIDs were not valid when they were heard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expired {
    /// The app for iOS goes on with the first of a batch.
    pub(crate) ios: usize,
    /// The phone had no network, and its batch had come to an end.
    pub(crate) offline: usize,
    /// Two clocks differ, and a window had just begun or ended.
    pub(crate) clocks: usize,
}

/// Every patient uploads, and the authority opens what came.
///
/// # Errors
/// If any verdict is not what it should be.
pub(crate) fn uploads(
    town: &Town,
    exchanges: &[Exchange],
    authority: &Authority,
    phones: &Phones<'_>,
) -> Checked<Learned> {
    let mut learned = Learned::default();
    let patients = in_town(town).filter(|(person, _)| town.people[*person].is_patient());
    for (patient, now) in patients {
        let file = phones.upload(patient, &phones.token(patient, now)?)?;
        learned.sent += file.len() as u64;
        let judged = read(town, authority, patient, now + 60, &file)?;
        let expected = truth::classic(town, exchanges, patient);
        ensure(judged == expected, || {
            let wrong = judged.iter().zip(&expected).find(|(got, expected)| got != expected);
            format!("the upload of {patient} was judged otherwise: {wrong:?}")
        })?;
        learned.records += judged.len();
        learned.expired.count(town, patient, &judged);
        let valid = judged.iter().filter(|(.., reason)| reason.is_none());
        let valid: Vec<_> = valid.map(|(clock, person, _)| (*clock, *person)).collect();
        let is_false = |(clock, person): &&(u64, usize)| {
            let time = town.people[patient].time_of(*clock);
            !town.meetings.iter().any(|meeting| meeting.is_of([patient, *person], time))
        };
        learned.false_alarms += valid.iter().filter(is_false).count();
        learned.heard.push((patient, valid));
    }
    learned.sent /= learned.heard.len() as u64;
    learned.replayed = replayed(town, authority, phones)?;
    ensure(learned.false_alarms + learned.replayed.0 == 0, || format!("false: {learned:?}"))?;
    Ok(learned)
}

impl Expired {
    fn count(&mut self, town: &Town, patient: usize, judged: &[Judged]) {
        for (clock, person, _) in judged.iter().filter(|(.., reason)| reason.is_some()) {
            let time = town.people[patient].time_of(*clock);
            *(if town.people[*person].is_ios {
                &mut self.ios
            } else if !truth::is_current(town, *person, time) {
                &mut self.offline
            } else {
                &mut self.clocks
            }) += 1;
        }
    }
}

/// Replays to a patient's phone what people broadcast who met no patient.
fn replayed(town: &Town, authority: &Authority, phones: &Phones<'_>) -> Checked<(usize, usize)> {
    let (patient, time) = recorded(town);
    let (mut believed, mut all) = (0, 0);
    for person in town.strangers() {
        let record = UploadRecord {
            time_ms: town.people[patient].clock(time + LATER[0]) * 1000,
            msg: Some(phones.temp_id(person, time)?.to_string()),
            org: Some(authority.hai.to_string()),
            model_p: None,
            model_c: None,
            rssi: Some(-60),
            tx_power: None,
        };
        let verdict = authority.ring.judge(&authority.hai, &record);
        believed += usize::from(verdict.invalid_reason().is_none());
        all += 1;
    }
    Ok((believed, all))
}

/// Reads an upload file in pieces, as they come over the network, and judges its records.
fn read(
    town: &Town,
    authority: &Authority,
    patient: usize,
    now: u64,
    file: &[u8],
) -> Checked<Vec<Judged>> {
    let known: Vec<UserId> = (0..town.people.len()).map(|person| user(person as u64)).collect();
    let person = |user| known.iter().position(|known| *known == user).ok_or("an unknown user");
    let (mut reader, mut judged, mut uploader) = (UploadReader::new(), Vec::new(), None);
    for piece in file.chunks(4096) {
        for part in reader.read(piece) {
            match part? {
                UploadPart::Token(text) => {
                    let token = UploadToken::open(&authority.token_key, &text, now * 1000)?;
                    uploader = Some(person(token.user)?);
                }
                UploadPart::Record(record) => {
                    let record = record?;
                    let verdict = authority.ring.judge(&authority.hai, &record);
                    let (Verdict::Valid(content) | Verdict::ExpiredId(content)) = verdict else {
                        return Err(format!("a record of {patient} is {verdict:?}").into());
                    };
                    let heard = person(content.user)?;
                    judged.push((record.time_ms / 1000, heard, verdict.invalid_reason()));
                }
                UploadPart::Event(event) => return Err(format!("no phone wrote {event:?}").into()),
            }
        }
    }
    reader.finish()?;
    ensure(uploader == Some(patient), || format!("{uploader:?} uploaded for {patient}"))?;
    judged.sort_unstable();
    Ok(judged)
}
