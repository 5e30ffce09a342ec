//! What a start finds in the folder of a spool.

use std::io;

use super::disk::Disk;
use super::index::{Held, Index, Listed};
use super::sealed::{self, Opened, Unreadable};
use super::{DAMAGED, DRAINED, NEW, REPORTS};
use crate::domain::keys::DeploymentKeys;
use crate::domain::spooled::SpooledReport;

/// Puts the folder in order, and lists the reports that wait.
pub(super) fn load(disk: &dyn Disk, keys: &DeploymentKeys) -> io::Result<Index> {
    let mut index = Index::default();
    for name in disk.names()? {
        if name.ends_with(NEW) || name.ends_with(DRAINED) {
            // Nobody has been told of the one, and the log has everything of the other.
            if let Err(error) = disk.destroy(&name) {
                tracing::warn!(%error, name, "a file of the spool cannot be deleted; the next start tries again");
            }
        } else if name.ends_with(DAMAGED) {
            tracing::error!(name, "a damaged file is in the spool: {ADVICE}");
            index.damaged += 1;
        } else if name.ends_with(REPORTS) {
            list(disk, keys, name, &mut index);
        }
    }
    // A kill may have come before the name of a file was on disk, and its reports are answered with 202 from now on.
    disk.sync_names()?;
    Ok(index)
}

/// What people do about a damaged file.
const ADVICE: &str = "the reports in it that could be read have been judged or will be. Keep it until \
    nobody misses a report, then delete it";

fn list(disk: &dyn Disk, keys: &DeploymentKeys, name: String, index: &mut Index) {
    match read(disk, keys, &name) {
        Ok(Opened { reports, .. }) if reports.is_empty() => {
            set_aside(disk, &name);
            index.damaged += 1;
        }
        Ok(Opened { reports, is_damaged }) => {
            if is_damaged {
                tracing::error!(name, "reports in a file of the spool are damaged: {ADVICE}");
            }
            let held = reports.iter().map(|(report, bytes)| Held::new(report, *bytes));
            let listed = Listed { reports: held.collect(), is_damaged };
            index.add(name, listed);
        }
        Err(NotRead::Content(error @ (Unreadable::Foreign | Unreadable::Newer))) => {
            tracing::error!(%error, name, "a file of the spool cannot be read, and is left as it is");
            index.foreign += 1;
        }
        Err(NotRead::Content(Unreadable::Damaged)) => {
            set_aside(disk, &name);
            index.damaged += 1;
        }
        Err(NotRead::Disk(error)) => {
            tracing::error!(%error, name, "a file of the spool cannot be read; the next start tries again");
            index.damaged += 1;
        }
    }
}

/// Why a file could not be read.
pub(super) enum NotRead {
    Disk(io::Error),
    Content(Unreadable),
}

/// Reads a file.
pub(super) fn read(disk: &dyn Disk, keys: &DeploymentKeys, name: &str) -> Result<Opened, NotRead> {
    let bytes = match disk.read(name) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return Err(NotRead::Content(Unreadable::Damaged));
        }
        read => read.map_err(NotRead::Disk)?,
    };
    sealed::open(keys, &bytes).map_err(NotRead::Content)
}

/// The reports of a file.
pub(super) fn reports(opened: Opened) -> impl Iterator<Item = SpooledReport> {
    opened.reports.into_iter().map(|(report, _)| report)
}

/// Keeps a damaged file under another name, so that it is not read again.
pub(super) fn set_aside(disk: &dyn Disk, name: &str) {
    let aside = format!("{name}{DAMAGED}");
    match disk.rename(name, &aside).and_then(|()| disk.sync_names()) {
        Ok(()) => tracing::error!(name = aside, "a file of the spool is damaged: {ADVICE}"),
        Err(error) => {
            tracing::error!(%error, name, "a damaged file of the spool cannot be renamed: {ADVICE}");
        }
    }
}
