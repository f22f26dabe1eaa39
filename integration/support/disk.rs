//! A small file system for one test on a loop device: full, out of inodes, read-only.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::user::User;

/// Name of the file that fills the file system. It does not belong to the user.
const FILLER: &str = ".filler";

/// Mounted in a user's home, and unmounted when dropped.
pub struct Disk {
    pub path: PathBuf,
    _image: tempfile::TempPath,
}

impl Disk {
    /// Mounts an ext4 of `megabytes` on `~/.handoff` of a user. `None` if no loop device can be mounted.
    pub fn mount(user: &User, megabytes: u64, inodes: Option<u32>) -> Option<Disk> {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(megabytes << 20).unwrap();
        let image = image.into_temp_path();
        let path = user.home.join(".handoff");
        std::fs::create_dir(&path).unwrap();
        let mut make = Command::new("mkfs.ext4");
        make.args(["-q", "-F", "-m", "0", "-O", "^has_journal"]);
        if let Some(inodes) = inodes {
            make.args(["-N", &inodes.to_string()]);
        }
        let made = runs(make.arg(&image))
            && runs(Command::new("mount").args(["-o", "loop,errors=remount-ro"]).arg(&image).arg(&path));
        if !made {
            std::fs::remove_dir(&path).unwrap();
            return None;
        }
        std::fs::remove_dir(path.join("lost+found")).unwrap();
        chown(&path, Some(user.uid), Some(user.uid)).unwrap();
        Some(Disk { path, _image: image })
    }

    /// Fills all free blocks.
    pub fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.path.join(FILLER)).unwrap();
        // Large writes fail before the last blocks are used.
        for size in [1 << 20, 4096] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    /// Frees the blocks.
    pub fn free(&self) {
        std::fs::remove_file(self.path.join(FILLER)).unwrap();
    }

    /// Makes the kernel find an error in the file system, which becomes read-only at once, even for open files.
    pub fn fail(&self) {
        let device = rustix::fs::stat(&self.path).unwrap().st_dev;
        let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
        let device = Path::new("/sys/dev/block").join(device);
        let name = device.canonicalize().unwrap().file_name().unwrap().to_owned();
        std::fs::write(Path::new("/sys/fs/ext4").join(name).join("trigger_fs_error"), "test").unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The unmount is lazy, because the user's processes end after it.
        runs(Command::new("umount").arg("-l").arg(&self.path));
    }
}

fn runs(command: &mut Command) -> bool {
    let ran = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ran.is_ok_and(|status| status.success())
}
