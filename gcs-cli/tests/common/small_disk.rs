//! Disks that are full: a file system of a few kilobytes.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A file system of its own, in memory, which is gone when the test is over.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` if this user may not mount one. With `TEST_SMALL_DISKS` in the environment that is an
    /// error.
    pub fn mount(kilobytes: u32) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={kilobytes}k");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(SmallDisk(folder));
        }
        assert!(std::env::var_os("TEST_SMALL_DISKS").is_none(), "no small disk can be mounted");
        eprintln!("SKIPPED: this user may not mount a small disk");
        None
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
