//! BlueTrace's phones and the authority that gives them their TempIDs.

use gcs_core::Date;
use gcs_core::identifiers::bluetrace::{
    self, Batch, Hai, KeyRing, MintedTempId, Packet, Role, TempId, TokenKey, UploadToken, UserId,
};
use gcs_core::sync::Heard;
use gcs_examples::Checked;
use serde_json::{Value, json};

use crate::design::Dated;
use crate::radio::Exchange;
use crate::random::secret;
use crate::town::{DAYS, Town};

/// A received packet, as a phone stores it.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// When, by the phone's clock.
    pub(crate) clock: u64,
    temp_id: TempId,
    model_p: String,
    model_c: String,
    rssi: i8,
}

/// The authority: who its users are, and its keys.
pub(crate) struct Authority {
    pub(crate) hai: Hai,
    pub(crate) ring: KeyRing,
    pub(crate) token_key: TokenKey,
}

/// Everybody's phone.
pub(crate) struct Phones<'t> {
    town: &'t Town,
    authority: &'t Authority,
    /// Of each phone, with the time at which it came.
    batches: Vec<Vec<(u64, Batch)>>,
    /// The packets that each phone has received.
    pub(crate) records: Vec<Vec<Record>>,
}

/// The user that a person is to the authority.
pub(crate) fn user(person: u64) -> UserId {
    UserId(secret("user", &[person]))
}

impl Authority {
    /// An authority whose first key is of the day before the first.
    pub(crate) fn new(town: &Town) -> Checked<Authority> {
        let before = town.first.previous().ok_or("no date before the first")?;
        let today = Date::from_days(town.first.days() + DAYS as u32)?;
        Ok(Authority {
            hai: "SG_OTC".parse()?,
            ring: KeyRing::new(before, secret("ring", &[]), today),
            token_key: TokenKey::new(secret("tokens", &[])),
        })
    }

    /// The elements that the authority publishes for a user who consents at a given time: those of every window from a date on.
    pub(crate) fn publish(&self, person: u64, first: Date, now: u64) -> Checked<Dated> {
        let last = bluetrace::window_of(now).ok_or("a time beyond all windows")?;
        let windows = bluetrace::windows_of(first).start..=last;
        let dated = |window: u32| {
            let temp_id = self.ring.mint(&user(person), window)?;
            let date = Date::of_time(u64::from(window) * bluetrace::WINDOW_SECONDS);
            Ok((date, bluetrace::element(&self.hai, window, &temp_id).into()))
        };
        windows.map(dated).collect()
    }
}

impl<'t> Phones<'t> {
    /// Phones that have fetched TempIDs whenever they should and could, and have heard nothing.
    pub(crate) fn new(town: &'t Town, authority: &'t Authority) -> Checked<Phones<'t>> {
        let batches = (0..town.people.len()).map(|person| batches(town, authority, person));
        let batches = batches.collect::<Checked<_>>()?;
        Ok(Phones { town, authority, batches, records: vec![Vec::new(); town.people.len()] })
    }

    /// The TempID that a phone broadcasts.
    pub(crate) fn temp_id(&self, person: usize, time: u64) -> Checked<TempId> {
        let batch = self.batches[person].iter().rev().find(|(came, _)| *came <= time);
        let ids = &batch.ok_or("a phone without TempIDs")?.1.temp_ids;
        let phone = &self.town.people[person];
        let clock = phone.clock(time);
        // Android goes on to the last one that has begun, iOS stays with the first.
        let begun = |id: &&MintedTempId| !phone.is_ios && u64::from(id.start) <= clock;
        let id = ids.iter().take_while(begun).last().or(ids.first());
        Ok(id.ok_or("an empty batch")?.temp_id)
    }

    /// Connects two phones.
    pub(crate) fn exchange(&mut self, exchange: &Exchange) -> Checked<()> {
        let Exchange { time, central, peripheral, rssi, is_written } = *exchange;
        let id = |person| self.temp_id(person, time).map(|id| id.to_string());
        let (org, models) = (self.authority.hai, [model(peripheral), model(central)]);
        let [model_p, model_c] = models.clone();
        let read = Packet { id: id(peripheral)?, org, model: model_p, role: Role::Peripheral };
        let role = Role::Central { rssi, tx_power: None };
        let written = Packet { id: id(central)?, org, model: model_c, role };
        self.keep(central, time, &read.to_json()?, rssi, &models)?;
        if is_written {
            self.keep(peripheral, time, &written.to_json()?, rssi, &models)?;
        }
        Ok(())
    }

    /// Keeps a packet that came over the air.
    fn keep(
        &mut self,
        person: usize,
        time: u64,
        packet: &[u8],
        measured: i8,
        models: &[String; 2],
    ) -> Checked<()> {
        let packet = Packet::from_json(packet)?;
        let rssi = match packet.role {
            Role::Central { rssi, .. } => rssi,
            Role::Peripheral => measured,
        };
        let [model_p, model_c] = models.clone();
        let clock = self.town.people[person].clock(time);
        let temp_id = packet.id.parse()?;
        self.records[person].push(Record { clock, temp_id, model_p, model_c, rssi });
        Ok(())
    }

    /// The elements that an app in published mode tests, for each phone.
    pub(crate) fn heard(&self) -> Vec<Vec<Heard>> {
        let hai = &self.authority.hai;
        let heard = |record: &Record| {
            let time = record.clock;
            let elements = bluetrace::sighting_elements(hai, &record.temp_id, time);
            elements.map(|element| Heard { time, element: element.into() }).collect::<Vec<_>>()
        };
        self.records.iter().map(|records| records.iter().flat_map(heard).collect()).collect()
    }

    /// A patient's upload file, as the two apps write it.
    pub(crate) fn upload(&self, patient: usize, token: &str) -> Checked<Vec<u8>> {
        let (org, is_ios) = (self.authority.hai.as_str(), self.town.people[patient].is_ios);
        let record = |(number, record): (usize, &Record)| {
            let Record { clock, temp_id, model_p, model_c, rssi } = record;
            let rssi = if is_ios { json!(f64::from(*rssi)) } else { json!(rssi) };
            let mut members = json!({
                "timestamp": clock, "msg": temp_id.to_string(), "org": org,
                "modelP": model_p, "modelC": model_c, "rssi": rssi, "v": 2,
            });
            if is_ios {
                members["txPower"] = Value::Null;
            } else {
                members["id"] = json!(number + 1);
            }
            members
        };
        let records: Vec<Value> = self.records[patient].iter().enumerate().map(record).collect();
        Ok(serde_json::to_vec(&json!({ "token": token, "records": records, "events": [] }))?)
    }

    /// The token with which a patient uploads at a time.
    pub(crate) fn token(&self, patient: usize, now: u64) -> Checked<String> {
        let upload_code = format!("{patient:06}");
        let token = UploadToken { user: user(patient as u64), created_ms: now * 1000, upload_code };
        Ok(token.seal(&self.authority.token_key, secret("token", &[patient as u64]))?)
    }

    /// Bytes of the answer that brings a phone its TempIDs.
    pub(crate) fn batch_bytes(&self) -> Checked<u64> {
        let (_, batch) = self.batches[0].first().ok_or("a phone without TempIDs")?;
        let id = |id: &MintedTempId| {
            let MintedTempId { temp_id, start, expiry } = id;
            json!({ "tempID": temp_id.to_string(), "startTime": start, "expiryTime": expiry })
        };
        let ids: Vec<Value> = batch.temp_ids.iter().map(id).collect();
        let refresh = batch.refresh_time;
        let answer = json!({ "status": "SUCCESS", "tempIDs": ids, "refreshTime": refresh });
        Ok(serde_json::to_vec(&answer)?.len() as u64)
    }
}

/// Every batch that a phone fetches until the end.
fn batches(town: &Town, authority: &Authority, person: usize) -> Checked<Vec<(u64, Batch)>> {
    let phone = &town.people[person];
    let mut batches = Vec::new();
    let mut time = phone.registered;
    while Date::of_time(time).days() < town.first.days() + DAYS as u32 {
        let batch = authority.ring.batch(&user(person as u64), time)?;
        let next = phone.online_from(phone.time_of(batch.refresh_time));
        batches.push((time, batch));
        time = next;
    }
    Ok(batches)
}

fn model(person: usize) -> String {
    format!("Phone {}", person % 7)
}
