//! File systems of their own, in an image, whose power can be cut. Only root can mount one.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common::process::text;

/// How long an image that was cut off may still be held.
const PATIENCE: Duration = Duration::from_secs(100);

/// How often to look meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// What is made in an image, and how.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub name: &'static str,
    pub program: &'static str,
    pub options: &'static [&'static str],
    pub megabytes: u64,
}

pub const EXT4: Kind =
    Kind { name: "ext4", program: "mkfs.ext4", options: &["-q", "-F"], megabytes: 64 };
pub const EXT4_SMALL_BLOCKS: Kind = Kind {
    name: "ext4 with blocks of 1 KiB",
    program: "mkfs.ext4",
    options: &["-q", "-F", "-b", "1024"],
    megabytes: 16,
};
pub const BTRFS: Kind =
    Kind { name: "btrfs", program: "mkfs.btrfs", options: &["-q", "-f"], megabytes: 128 };
pub const XFS: Kind =
    Kind { name: "xfs", program: "mkfs.xfs", options: &["-q", "-f"], megabytes: 320 };

/// A mounted image.
pub struct Disk {
    folder: TempDir,
    kind: Kind,
}

impl Disk {
    /// `None` if this user may not mount one, or the machine cannot make one. That is an error for the kinds
    /// that `TEST_LOOP_DISKS` in the environment names.
    pub fn mount(kind: Kind) -> Option<Disk> {
        match Disk::try_mount(kind) {
            Ok(disk) => Some(disk),
            Err(error) => {
                let expected = std::env::var("TEST_LOOP_DISKS").unwrap_or_default();
                let is_expected =
                    expected.split_whitespace().any(|name| kind.program.ends_with(name));
                assert!(!is_expected, "no image: {error}");
                // Not captured, as what the macros print of a test that passes.
                let _heard = writeln!(io::stderr(), "NOT TESTED: {}: {error}", kind.name);
                None
            }
        }
    }

    fn try_mount(kind: Kind) -> Result<Disk, String> {
        let folder = place().unwrap();
        std::fs::create_dir(folder.path().join("mounted")).unwrap();
        let image = folder.path().join("image");
        File::create(&image).unwrap().set_len(kind.megabytes << 20).unwrap();
        run(Command::new(kind.program).args(kind.options).arg(&image))?;
        let disk = Disk { folder, kind };
        run(&mut disk.mounting())?;
        Ok(disk)
    }

    fn mounting(&self) -> Command {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(self.folder.path().join("image")).arg(self.path());
        mount
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    pub fn name(&self) -> &'static str {
        self.kind.name
    }

    /// Cuts the power: nothing that is not on the disk gets there any more, and every call fails.
    pub fn cut(&self) {
        // FS_IOC_SHUTDOWN without a flush of the journal.
        let cut =
            "open F, '<', $ARGV[0] or die; $f = pack('L', 2); ioctl(F, 0x8004587d, $f) or die $!";
        run(Command::new("perl").args(["-e", cut]).arg(self.path())).unwrap();
    }

    /// Mounts the image again, as after a cut. Nobody may use it.
    pub fn mount_again(&self) {
        let began = Instant::now();
        loop {
            match self.try_mount_again() {
                Ok(()) => return,
                Err(error) => assert!(began.elapsed() < PATIENCE, "mounted again: {error}"),
            }
            std::thread::sleep(LOOK);
        }
    }

    fn try_mount_again(&self) -> Result<(), String> {
        // Who looks at new mounts may be in this one.
        run(Command::new("umount").arg(self.path()))?;
        run(&mut self.mounting()).unwrap();
        // Another process may still hold what was mounted, as one does that has a view of all mounts of its
        // own. Then this is the old mount again, on which every call fails.
        let probe = self.path().join("probe");
        let probed = File::create(&probe).and_then(|_| std::fs::remove_file(&probe));
        probed.map_err(|error| error.to_string())
    }

    /// Fills the disk until less than a page is free.
    pub fn fill(&self) {
        let mut filler = File::create(self.path().join("filler")).unwrap();
        for piece in [1 << 16, 512] {
            let full = loop {
                let written = filler.write_all(&vec![7; piece]).and_then(|()| filler.sync_data());
                if let Err(error) = written {
                    break error;
                }
            };
            assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{full}");
        }
    }

    /// Makes room again.
    pub fn clear(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
        run(Command::new("sync").arg("-f").arg(self.path())).unwrap();
    }
}

/// A folder for an image: in memory where there is room, since what a cut leaves is decided by the file system in the
/// image alone.
fn place() -> io::Result<TempDir> {
    let memory = "/dev/shm";
    match rustix::fs::statvfs(memory) {
        Ok(system) if system.f_bavail * system.f_frsize > 1 << 30 => tempfile::tempdir_in(memory),
        _ => tempfile::tempdir(),
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, because a server may still be at its end here.
        let _unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = Path::new(command.get_program()).display().to_string();
    match command.output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(output) => Err(format!("{name}: {}", text(&output.stderr).trim())),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
