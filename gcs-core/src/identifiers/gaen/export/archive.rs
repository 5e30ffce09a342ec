//! The zip archive of an export file.

use alloc::string::ToString;
use alloc::vec::Vec;
use std::io::{Cursor, Read as _, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::MAX_CONTENT_BYTES;
use super::directory::expect_two_files;
use super::error::ExportError;

const CONTENT: &str = "export.bin";
const SIGNATURES: &str = "export.sig";

/// Most bytes of `export.sig`.
const MAX_SIGNATURE_BYTES: usize = 16 << 10;

/// Most bytes of an archive. What cannot be compressed takes a little more in it.
const MAX_ARCHIVE_BYTES: usize = MAX_CONTENT_BYTES + (MAX_CONTENT_BYTES >> 8);

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

    pub(super) fn pack(&self) -> Result<Vec<u8>, ExportError> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default());
        for (name, bytes) in [(CONTENT, &self.content), (SIGNATURES, &self.signatures)] {
            archive.start_file(name, options).map_err(|e| unreadable(&e))?;
            archive.write_all(bytes).map_err(|e| unreadable(&e))?;
        }
        Ok(archive.finish().map_err(|e| unreadable(&e))?.into_inner())
    }
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
