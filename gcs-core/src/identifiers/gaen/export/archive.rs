//! The zip archive of an export file.

use alloc::string::ToString;
use alloc::vec::Vec;
use std::io::{Cursor, Read as _};

use zip::ZipArchive;

use super::MAX_CONTENT_BYTES;
use super::deflate::deflate;
use super::directory::expect_two_files;
use super::error::ExportError;
use crate::bytes::Put as _;

const CONTENT: &str = "export.bin";
const SIGNATURES: &str = "export.sig";

/// Most bytes of `export.sig`.
const MAX_SIGNATURE_BYTES: usize = 16 << 10;

/// Most bytes of an archive. What cannot be compressed takes a little more in it.
const MAX_ARCHIVE_BYTES: usize = MAX_CONTENT_BYTES + (MAX_CONTENT_BYTES >> 8);

/// How the bytes of a file are written: as they are, or deflated.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// The version of the format that a reader must know: 2.0.
const ZIP_2: u16 = 20;

/// 1980-01-01, the first date that an archive can have.
const FIRST_DAY: u16 = 0x21;

/// The two files of an archive.
pub(super) struct Files {
    pub(super) content: Vec<u8>,
    pub(super) signatures: Vec<u8>,
}

impl Files {
    /// Unpacks an archive. A declared size is not trusted: no more is inflated than a file may have.
    pub(super) fn unpack(zip: &[u8]) -> Result<Files, ExportError> {
        if zip.len() > MAX_ARCHIVE_BYTES {
            return Err(ExportError::TooLong { part: "the archive", max: MAX_ARCHIVE_BYTES });
        }
        expect_two_files(zip)?;
        let mut archive = ZipArchive::new(Cursor::new(zip)).map_err(|e| unreadable(&e))?;
        let content = take(&mut archive, CONTENT, MAX_CONTENT_BYTES)?;
        let signatures = take(&mut archive, SIGNATURES, MAX_SIGNATURE_BYTES)?;
        Ok(Files { content, signatures })
    }

    /// An archive of the two. Its bytes are the same in every release.
    pub(super) fn pack(&self) -> Vec<u8> {
        let (mut archive, mut directory) = (Vec::new(), Vec::new());
        let files = [(CONTENT, &self.content), (SIGNATURES, &self.signatures)];
        for (name, bytes) in files {
            let offset = archive.len() as u32;
            let deflated = deflate(bytes);
            let (method, data) =
                if deflated.len() < bytes.len() { (DEFLATED, &deflated) } else { (STORED, bytes) };
            let mut header = Vec::new();
            header.put_u16(ZIP_2).put_u16(0).put_u16(method).put_u16(0).put_u16(FIRST_DAY);
            header.put_u32(crc32(bytes)).put_u32(data.len() as u32).put_u32(bytes.len() as u32);
            header.put_u16(name.len() as u16).put_u16(0);
            archive.put(b"PK\x03\x04").put(&header).put(name.as_bytes()).put(data);
            directory.put(b"PK\x01\x02").put_u16(ZIP_2).put(&header);
            directory.put(&[0; 10]).put_u32(offset).put(name.as_bytes());
        }
        let offset = archive.len() as u32;
        archive.put(&directory).put(b"PK\x05\x06").put_u32(0);
        archive.put_u16(files.len() as u16).put_u16(files.len() as u16);
        archive.put_u32(directory.len() as u32).put_u32(offset).put_u16(0);
        archive
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn take(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    part: &'static str,
    max: usize,
) -> Result<Vec<u8>, ExportError> {
    let file = archive.by_name(part).map_err(|e| unreadable(&e))?;
    let mut bytes = Vec::new();
    // One byte more than is allowed tells that there is more.
    file.take(max as u64 + 1).read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
    if bytes.len() > max { Err(ExportError::TooLong { part, max }) } else { Ok(bytes) }
}

fn unreadable(error: &dyn core::error::Error) -> ExportError {
    ExportError::Archive(error.to_string())
}
