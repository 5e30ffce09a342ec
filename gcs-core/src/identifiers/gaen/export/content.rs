//! What is in an export file.

use alloc::string::String;
use alloc::vec::Vec;

use prost::Message as _;

use super::archive::Files;
use super::error::ExportError;
use super::proto::{self, ALGORITHM, KeyExport, SignatureInfo, SignatureList};
use super::signing::{ExportPublicKey, ExportSigningKey};
use super::{MAX_CONTENT_BYTES, MAX_KEYS, MAX_SIGNATURES};
use crate::digest::Digest;
use crate::identifiers::gaen::export_key::{MAX_RISK, MAX_VARIANT};
use crate::identifiers::gaen::{ExportKey, ExposureKey, INTERVALS_A_DAY, ReportType};

/// What `export.bin` begins with.
const HEADER: &[u8; 16] = b"EK Export v1    ";

/// The keys of an export file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Unix time in seconds from which the keys arrived.
    pub start: u64,
    /// Unix time in seconds until which the keys arrived.
    pub end: u64,
    /// Where the keys come from, such as a country's code.
    pub region: String,
    /// The number of this file among those of its time, from 1. Apple's system wants 1.
    pub batch: u32,
    /// How many files there are for its time. Apple's system wants 1.
    pub batches: u32,
    /// Keys that are new.
    pub keys: Vec<ExportKey>,
    /// Keys that were published before and have another type of report now, or are revoked.
    pub revised_keys: Vec<ExportKey>,
}

impl Export {
    /// Reads an archive, and verifies that one of its signatures was made with a key. O(n) time
    /// for n bytes; no more memory than an export may take, whatever the archive declares.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn from_zip(zip: &[u8], key: &ExportPublicKey) -> Result<Export, ExportError> {
        let Files { content, signatures } = Files::unpack(zip)?;
        let list = SignatureList::read(&signatures)?;
        let signed = batch_of(&list, key, &content).ok_or(ExportError::Signature)?;
        let export = Export::from_bin(&content)?;
        let got = (export.batch, export.batches);
        if signed == got { Ok(export) } else { Err(ExportError::Batch { signed, got }) }
    }

    /// Reads `export.bin`. Its signature must have been verified: this reads what anyone wrote.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn from_bin(content: &[u8]) -> Result<Export, ExportError> {
        if content.len() > MAX_CONTENT_BYTES {
            return Err(ExportError::TooLong { part: "export.bin", max: MAX_CONTENT_BYTES });
        }
        let message = content.strip_prefix(HEADER).ok_or(ExportError::Header)?;
        let message = KeyExport::read(message)?;
        let keys =
            |keys: Vec<proto::Key>| keys.iter().map(ExportKey::read).collect::<Result<Vec<_>, _>>();
        let (batch, batches) = read_batch(message.batch_num, message.batch_size)?;
        let missing = |field| ExportError::Field { field, got: None };
        Ok(Export {
            start: message.start_timestamp.ok_or(missing("start_timestamp"))?,
            end: message.end_timestamp.ok_or(missing("end_timestamp"))?,
            region: message.region.unwrap_or_default(),
            batch,
            batches,
            keys: keys(message.keys)?,
            revised_keys: keys(message.revised_keys)?,
        })
    }

    /// The archive, signed with each of the keys, the newest first. Keys are sorted, so that their
    /// order does not tell who sent them together.
    ///
    /// # Errors
    /// [`ExportError::NoSigningKey`]; [`ExportError::TooMany`],
    /// [`ExportError::TooLong`] and [`ExportError::Field`] if no phone could read it.
    pub fn to_zip(&self, signing_keys: &[ExportSigningKey]) -> Result<Vec<u8>, ExportError> {
        let (max, got) = (MAX_SIGNATURES, signing_keys.len());
        if got == 0 {
            return Err(ExportError::NoSigningKey);
        } else if got > max {
            return Err(ExportError::TooMany { what: "signatures", max, got });
        }
        let content = self.to_bin(signing_keys.iter().map(ExportSigningKey::info).collect())?;
        let signature = |key: &ExportSigningKey| proto::Signature {
            info: Some(key.info()),
            batch_num: i32::try_from(self.batch).ok(),
            batch_size: i32::try_from(self.batches).ok(),
            signature: Some(key.sign(&content)),
        };
        let list = SignatureList { signatures: signing_keys.iter().map(signature).collect() };
        Ok(Files { signatures: list.encode_to_vec(), content }.pack())
    }

    /// `export.bin`.
    pub(super) fn to_bin(
        &self,
        signature_infos: Vec<SignatureInfo>,
    ) -> Result<Vec<u8>, ExportError> {
        let (max, got) = (MAX_KEYS, self.keys.len() + self.revised_keys.len());
        if got > max {
            return Err(ExportError::TooMany { what: "keys", max, got });
        }
        let (batch_num, batch_size) =
            (i32::try_from(self.batch).ok(), i32::try_from(self.batches).ok());
        read_batch(batch_num, batch_size)?;
        let message = KeyExport {
            start_timestamp: Some(self.start),
            end_timestamp: Some(self.end),
            region: Some(self.region.clone()),
            batch_num,
            batch_size,
            signature_infos,
            keys: sorted(&self.keys)?,
            revised_keys: sorted(&self.revised_keys)?,
        };
        let mut content = HEADER.to_vec();
        match message.encode(&mut content) {
            Ok(()) if content.len() <= MAX_CONTENT_BYTES => Ok(content),
            _ => Err(ExportError::TooLong { part: "export.bin", max: MAX_CONTENT_BYTES }),
        }
    }
}

/// The batch that a signature of the key names.
fn batch_of(list: &SignatureList, key: &ExportPublicKey, content: &[u8]) -> Option<(u32, u32)> {
    let digest = Digest::of(content); // Once, however many signatures there are.
    let of_key = list.signatures.iter().find(|signature| {
        let algorithm = signature.info.as_ref().and_then(|info| info.algorithm.as_deref());
        let bytes = signature.signature.as_deref().unwrap_or_default();
        algorithm == Some(ALGORITHM) && key.verifies(&digest, bytes)
    })?;
    read_batch(of_key.batch_num, of_key.batch_size).ok()
}

fn read_batch(number: Option<i32>, size: Option<i32>) -> Result<(u32, u32), ExportError> {
    let batches = whole("batch_size", size, 1, i32::MAX)?;
    Ok((whole("batch_num", number, 1, batches as i32)?, batches))
}

/// A field that must be there, within bounds that are not negative.
fn whole(
    field: &'static str,
    value: Option<i32>,
    least: i32,
    most: i32,
) -> Result<u32, ExportError> {
    let legal = value.filter(|value| (least..=most).contains(value));
    legal
        .and_then(|value| u32::try_from(value).ok())
        .ok_or(ExportError::Field { field, got: value.map(i64::from) })
}

/// A field that may be missing, at most `most`.
fn small(field: &'static str, value: Option<i32>, most: u8) -> Result<Option<u8>, ExportError> {
    let read = |value| whole(field, Some(value), 0, i32::from(most)).map(|value| value as u8);
    value.map(read).transpose()
}

/// The messages of keys, sorted by the bytes of the keys.
fn sorted(keys: &[ExportKey]) -> Result<Vec<proto::Key>, ExportError> {
    let mut messages = keys.iter().map(ExportKey::write).collect::<Result<Vec<_>, _>>()?;
    // Stable: what is equal in both keeps its order, whatever the release of the compiler.
    messages.sort_by(|a, b| (&a.data, a.rolling_start).cmp(&(&b.data, b.rolling_start)));
    Ok(messages)
}

impl ExportKey {
    fn read(message: &proto::Key) -> Result<ExportKey, ExportError> {
        let data = message.data.as_deref().unwrap_or_default();
        let length = ExportError::KeyLength { got: data.len() };
        let start = whole("rolling_start_interval_number", message.rolling_start, 0, i32::MAX)?;
        let period = message.rolling_period.unwrap_or(INTERVALS_A_DAY as i32);
        let period = whole("rolling_period", Some(period), 1, INTERVALS_A_DAY as i32)?;
        let report_type = small("report_type", message.report_type, ReportType::Revoked as u8)?;
        Ok(ExportKey {
            key: ExposureKey::new(data.try_into().map_err(|_| length)?, start, period)?,
            transmission_risk: small(
                "transmission_risk_level",
                message.transmission_risk,
                MAX_RISK,
            )?,
            report_type: report_type.and_then(ReportType::of_number),
            days_since_onset: message.days_since_onset,
            variant: small("variant_of_concern", message.variant, MAX_VARIANT)?,
        })
    }

    fn write(&self) -> Result<proto::Key, ExportError> {
        let start = self.key.rolling_start();
        let rolling_start = i32::try_from(start).map_err(|_| ExportError::Field {
            field: "rolling_start_interval_number",
            got: Some(i64::from(start)),
        })?;
        let (risk, variant) = (self.transmission_risk.map(i32::from), self.variant.map(i32::from));
        small("transmission_risk_level", risk, MAX_RISK)?;
        small("variant_of_concern", variant, MAX_VARIANT)?;
        Ok(proto::Key {
            data: Some(self.key.to_bytes().to_vec()),
            transmission_risk: risk,
            rolling_start: Some(rolling_start),
            rolling_period: Some(self.key.rolling_period() as i32),
            report_type: self.report_type.map(|report_type| report_type as i32),
            days_since_onset: self.days_since_onset,
            variant,
        })
    }
}
