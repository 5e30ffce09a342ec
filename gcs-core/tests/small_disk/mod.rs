//! Disks that are full: a limit on the size of files, and a file system of a few kilobytes. The
//! tests of other packages share it.

#![allow(dead_code, unreachable_pub, reason = "not every test uses everything")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// The same command once more.
pub fn again(of: &Command) -> Command {
    let mut command = Command::new(of.get_program());
    command.args(of.get_args());
    copy_environment(of, &mut command);
    command
}

/// A command that can make no file longer than some blocks, of 512 or 1024 bytes as the shell counts.
/// What goes beyond that is an error, or, as in most shells, a signal that kills.
pub fn limited(blocks: u32, is_signalled: bool, of: &Command) -> Command {
    let trap = if is_signalled { "" } else { "trap '' XFSZ; " };
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{trap}ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    command.arg(of.get_program()).args(of.get_args());
    copy_environment(of, &mut command);
    command
}

fn copy_environment(of: &Command, command: &mut Command) {
    for (name, value) in of.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

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
        // Not captured, as what the macros print of a test that passes.
        let _heard = writeln!(
            io::stderr(),
            "NOT TESTED: small disks, which this user may not mount. To test them: run as root"
        );
        None
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Mounts it again with other options, such as `ro`.
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let mount = Command::new("mount").args(["-o", &options]).arg(self.path()).status();
        assert!(mount.unwrap().success(), "{options}");
    }

    /// Fills the disk until less than a page is free.
    pub fn fill(&self) {
        let mut filler = File::create(self.path().join("filler")).unwrap();
        let full = loop {
            if let Err(error) = filler.write_all(&[7; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }

    /// Makes room again.
    pub fn clear(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a server may still be at its end here.
        let _unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
