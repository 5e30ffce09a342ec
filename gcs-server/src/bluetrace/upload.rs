//! What a phone uploads, judged as it comes: what is kept of a file is far less than the file.

use std::collections::{BTreeSet, HashSet};

use gcs_core::identifiers::bluetrace::{
    Hai, KeyRing, TempIdContent, UploadError, UploadPart, UploadReader, UploadRecord, UserId,
    Verdict,
};
use gcs_core::{DAY_SECONDS, Digest};

use crate::domain::events::{ForeignSighting, Sighting, VerdictCounts};
use crate::domain::judge::ReceivedUpload;
use crate::domain::problem::Problem;
use crate::domain::state::bluetrace::Users;

/// Largest upload in bytes. Three weeks among a hundred people at any time take 45 MB.
pub const MAX_UPLOAD_BYTES: usize = 64 << 20;

/// Largest number of records of an upload, without duplicates.
pub const MAX_UPLOAD_RECORDS: usize = 300_000;

/// Most bytes of what another authority has to judge.
const MAX_FOREIGN_MSG: usize = 512;

/// Most bytes that are kept of an upload for other authorities. What is beyond is counted alone.
const MAX_FOREIGN_BYTES: usize = 4 << 20;

/// Most other authorities of which records are kept: their number is what an upload takes in memory.
const MAX_FOREIGN_AUTHORITIES: usize = 64;

/// Days before today of which meetings are kept, with one for the clocks of phones.
const KEPT_DAYS: u64 = 22;

/// Reads an upload, and judges its records.
pub struct UploadJudge {
    reader: UploadReader,
    ring: KeyRing,
    hai: Hai,
    /// Unix time in seconds.
    now: u64,
    token: Option<String>,
    counts: VerdictCounts,
    /// The first half of each record's SHA-256.
    known: HashSet<[u8; 16]>,
    heard: Vec<Heard>,
    foreign: Vec<ForeignSighting>,
    foreign_bytes: usize,
    /// The other authorities whose records are kept.
    authorities: BTreeSet<String>,
}

/// A user who was heard.
struct Heard {
    user: UserId,
    sighting: Sighting,
}

impl std::fmt::Debug for UploadJudge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadJudge").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl UploadJudge {
    /// The judge of an upload that begins at a Unix time.
    pub fn new(ring: KeyRing, hai: Hai, now: u64) -> UploadJudge {
        UploadJudge {
            reader: UploadReader::new(),
            ring,
            hai,
            now,
            token: None,
            counts: VerdictCounts::default(),
            known: HashSet::new(),
            heard: Vec::new(),
            foreign: Vec::new(),
            foreign_bytes: 0,
            authorities: BTreeSet::new(),
        }
    }

    /// Reads the next bytes of the file.
    ///
    /// # Errors
    /// A file of another form; too many records.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let mut reader = std::mem::take(&mut self.reader);
        let read = reader
            .read(bytes)
            .try_for_each(|part| self.take(part.map_err(|error| invalid(&error))?));
        self.reader = reader;
        read
    }

    /// Bytes of memory that it takes, about.
    pub fn memory(&self) -> usize {
        self.known.capacity() * size_of::<[u8; 16]>() * 9 / 8
            + self.heard.capacity() * size_of::<Heard>()
            + self.foreign.capacity() * size_of::<ForeignSighting>()
            + self.foreign_bytes
    }

    /// What was uploaded, and the token in it.
    ///
    /// # Errors
    /// When the file is cut short, or has no token.
    pub fn finish(self) -> Result<JudgedUpload, Problem> {
        self.reader.finish().map_err(|error| invalid(&error))?;
        let token = self.token.ok_or(Problem::UploadTokenInvalid)?;
        let mut known: Vec<[u8; 16]> = self.known.into_iter().collect();
        known.sort_unstable();
        let unreadable = self.counts.unreadable.to_le_bytes();
        let digest = Digest::of(&[known.as_flattened(), &unreadable].concat()).0;
        let (counts, heard, foreign) = (self.counts, self.heard, self.foreign);
        Ok(JudgedUpload { token, digest, counts, heard, foreign })
    }

    fn take(&mut self, part: UploadPart) -> Result<(), Problem> {
        match part {
            UploadPart::Token(token) => self.token = Some(token),
            UploadPart::Record(Ok(record)) => self.record(&record)?,
            UploadPart::Record(Err(_)) => {
                self.counts.unreadable += 1;
                self.expect_few()?;
            }
            // What the phone's scanner did is nothing that anybody here needs.
            UploadPart::Event(_) => {}
        }
        Ok(())
    }

    fn record(&mut self, record: &UploadRecord) -> Result<(), Problem> {
        if !self.known.insert(fingerprint(record)) {
            return Ok(());
        }
        self.expect_few()?;
        let counts = &mut self.counts;
        match self.ring.judge(&self.hai, record) {
            Verdict::Valid(content) => {
                counts.valid += 1;
                self.hear(&content, record, false);
            }
            Verdict::ExpiredId(content) => {
                counts.expired_id += 1;
                self.hear(&content, record, true);
            }
            Verdict::NoMsg => counts.no_msg += 1,
            Verdict::FailedDecryption => counts.failed_decryption += 1,
            Verdict::OtherAuthority => {
                counts.other_authority += 1;
                self.hear_foreign(record);
            }
        }
        Ok(())
    }

    fn expect_few(&self) -> Result<(), Problem> {
        if self.known.len() + self.counts.unreadable as usize > MAX_UPLOAD_RECORDS {
            let message = format!("an upload has at most {MAX_UPLOAD_RECORDS} records");
            return Err(Problem::UploadInvalid { message });
        }
        Ok(())
    }

    /// The record's time in seconds, if it is of the days that are kept.
    fn time(&self, record: &UploadRecord) -> Option<u32> {
        let time = record.time_ms / 1000;
        let first = self.now.saturating_sub(KEPT_DAYS * DAY_SECONDS);
        let kept = first..=self.now.saturating_add(DAY_SECONDS);
        u32::try_from(time).ok().filter(|_| kept.contains(&time))
    }

    fn hear(&mut self, content: &TempIdContent, record: &UploadRecord, expired: bool) {
        let Some(time) = self.time(record) else { return };
        let UploadRecord { rssi, tx_power, .. } = *record;
        let sighting = Sighting { user: 0, time, rssi, tx_power, expired };
        self.heard.push(Heard { user: content.user, sighting });
    }

    /// Keeps what another authority has to judge, if it can be one.
    fn hear_foreign(&mut self, record: &UploadRecord) {
        let (Some(time), Some(msg), Some(hai)) = (self.time(record), &record.msg, &record.org)
        else {
            return;
        };
        if hai.parse::<Hai>().is_err() || msg.len() > MAX_FOREIGN_MSG {
            return;
        }
        let (hai, msg, rssi) = (hai.clone(), msg.clone(), record.rssi);
        let foreign = ForeignSighting { hai, msg, time, rssi };
        if self.foreign_bytes + foreign.size() > MAX_FOREIGN_BYTES {
            return;
        }
        if !self.authorities.contains(&foreign.hai) {
            if self.authorities.len() >= MAX_FOREIGN_AUTHORITIES {
                return;
            }
            self.authorities.insert(foreign.hai.clone());
        }
        self.foreign_bytes += foreign.size();
        self.foreign.push(foreign);
    }
}

/// An upload whose records are judged.
pub struct JudgedUpload {
    /// The upload token, as text.
    pub token: String,
    digest: [u8; 32],
    counts: VerdictCounts,
    heard: Vec<Heard>,
    foreign: Vec<ForeignSighting>,
}

impl std::fmt::Debug for JudgedUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JudgedUpload").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl JudgedUpload {
    /// The upload with the users that are known. TempIDs of others are of nobody any more.
    pub fn resolve(self, users: &Users) -> ReceivedUpload {
        let JudgedUpload { digest, counts, heard, foreign, .. } = self;
        let known = heard.into_iter().filter_map(|Heard { user, sighting }| {
            let (user, _) = users.by_id(&user)?;
            Some(Sighting { user, ..sighting })
        });
        let mut sightings: Vec<Sighting> = known.collect();
        sightings.sort_unstable();
        ReceivedUpload { digest, counts, sightings, foreign }
    }
}

fn invalid(error: &UploadError) -> Problem {
    Problem::UploadInvalid { message: error.to_string() }
}

/// Equal for equal records, and for no others.
fn fingerprint(record: &UploadRecord) -> [u8; 16] {
    let UploadRecord { time_ms, msg, org, model_p, model_c, rssi, tx_power } = record;
    let members = (time_ms, msg, org, model_p, model_c, rssi, tx_power);
    let bytes = postcard::to_allocvec(&members).expect("writing to memory does not fail");
    let digest = Digest::of(&bytes).0;
    std::array::from_fn(|at| digest[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcs_core::Date;
    use gcs_core::identifiers::bluetrace::windows_of;

    const NOW: u64 = 20_000 * DAY_SECONDS + 43_200;

    fn ring() -> KeyRing {
        let date = Date::from_days(20_000 - 21).unwrap();
        KeyRing::new(date, [7; 32], Date::of_time(NOW))
    }

    fn judge() -> UploadJudge {
        UploadJudge::new(ring(), "SG_OTC".parse().unwrap(), NOW)
    }

    /// A record as Android writes it, of a user who is heard in a window of some day.
    fn record(number: u64, ring: &KeyRing) -> String {
        let mut user = [0; 21];
        user[..8].copy_from_slice(&(number % 100).to_le_bytes());
        let date = Date::from_days(20_000 - (number / 100 % 21) as u32).unwrap();
        let window = windows_of(date).start + (number / 2100 % 96) as u32;
        let msg = ring.mint(&UserId(user), window).unwrap();
        let timestamp = u64::from(window) * 900 + number % 900;
        format!(
            r#"{{"id":{number},"modelC":"Samsung SM-G970F","modelP":"Google Pixel 3 XL","msg":"{msg}","org":"SG_OTC","rssi":-{},"timestamp":{timestamp},"txPower":-12,"v":2}}"#,
            40 + number % 60
        )
    }

    /// Research check 9: three weeks among a hundred people.
    #[test]
    fn an_upload_of_45_megabytes_takes_20_of_memory() {
        let (ring, mut judge) = (ring(), judge());
        let (mut bytes, mut most) = (0, 0);
        let mut feed = |text: &str| {
            bytes += text.len();
            judge.read(text.as_bytes()).unwrap();
            most = most.max(judge.memory());
        };
        feed(r#"{"records":["#);
        for number in 0..201_600 {
            if number > 0 {
                feed(",");
            }
            feed(&record(number, &ring));
        }
        feed(r#"],"token":"the token"}"#);
        assert!(bytes > 45_000_000, "{bytes}");
        assert!(most < 20 << 20, "{most}");
        let judged = judge.finish().unwrap();
        assert_eq!((judged.token.as_str(), judged.counts.valid), ("the token", 201_600));
        assert_eq!(judged.heard.len(), 201_600);
    }

    #[test]
    fn duplicates_take_no_memory_and_what_is_too_much_is_refused() {
        let (ring, mut judge) = (ring(), judge());
        let one = format!("{},", record(5, &ring));
        judge.read(br#"{"token":"t","records":["#).unwrap();
        (0..50_000).for_each(|_| judge.read(one.as_bytes()).unwrap());
        assert!(judge.memory() < 1000, "{}", judge.memory());
        let more = (0..=MAX_UPLOAD_RECORDS as u64)
            .find_map(|time| judge.read(format!(r#"{{"timestamp":{time}}},"#).as_bytes()).err());
        let Some(Problem::UploadInvalid { message }) = more else { panic!("{more:?}") };
        assert_eq!(message, "an upload has at most 300000 records");
    }

    #[test]
    fn what_cannot_be_read_counts_as_records_do() {
        let mut judge = judge();
        judge.read(br#"{"token":"t","records":["#).unwrap();
        judge.read(br#"{"timestamp":1},{"timestamp":2},"#).unwrap();
        let read = (0..MAX_UPLOAD_RECORDS).take_while(|_| judge.read(b"7,").is_ok()).count();
        assert_eq!(read, MAX_UPLOAD_RECORDS - 2);
    }

    #[test]
    fn four_mib_are_kept_for_other_authorities() {
        let mut judge = judge();
        judge.read(br#"{"token":"t","records":["#).unwrap();
        let msg = "x".repeat(MAX_FOREIGN_MSG);
        for at in 0..20_000 {
            let time = NOW - at;
            let record = format!(r#"{{"timestamp":{time},"org":"NZ_MOH","msg":"{msg}"}},"#);
            judge.read(record.as_bytes()).unwrap();
        }
        let kept = judge.foreign.len() * (11 + "NZ_MOH".len() + MAX_FOREIGN_MSG);
        assert!((MAX_FOREIGN_BYTES - 1000..=MAX_FOREIGN_BYTES).contains(&kept), "{kept}");
        assert_eq!(judge.counts.other_authority, 20_000);
    }

    /// Of another authority, what another can judge is kept.
    #[test]
    fn the_same_records_are_the_same_upload_in_any_order() {
        let ring = ring();
        let [one, two] = [3, 4].map(|number| record(number, &ring));
        let foreign = one.replace("SG_OTC", "NZ_MOH");
        let bad = one.replace("SG_OTC", "nz moh");
        let long = foreign.replace("\"msg\":\"", &format!("\"msg\":\"{}", "A".repeat(500)));
        let read = |records: &[&str]| {
            let mut judge = judge();
            let text = format!(r#"{{"token":"t","records":[{}]}}"#, records.join(","));
            judge.read(text.as_bytes()).unwrap();
            let judged = judge.finish().unwrap();
            (judged.digest, judged.counts, judged.foreign)
        };
        let all = read(&[&one, &two, &foreign, &bad, &long]);
        assert_eq!(all, read(&[&long, &bad, &two, &foreign, &one, &two]).clone());
        assert_eq!((all.1.valid, all.1.other_authority, all.2.len()), (2, 3, 1));
        assert_eq!((all.2[0].hai.as_str(), all.2[0].rssi), ("NZ_MOH", Some(-43)));
        assert_ne!(all.0, read(&[&one, &two, &foreign, &bad]).0);
        assert_ne!(all.0, read(&[&one, &two, &foreign, &bad, &long, "7"]).0);
    }
}
