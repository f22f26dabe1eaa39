//! The processes of this machine that can write to a file.

/// The first process that has one of the files, given as device and inode, open for writing. `None` proves nothing: not
/// every system tells, and not of every process.
#[cfg(target_os = "linux")]
pub fn writer_of(files: &[(u64, u64)]) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;

    let own = std::process::id();
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).filter(|pid| *pid != own);
    let has_open = |pid: &u32| {
        let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let mut numbers = open.flatten().filter(|entry| {
            // Follows the link of the kernel to the open file.
            std::fs::metadata(entry.path()).is_ok_and(|meta| files.contains(&(meta.dev(), meta.ino())))
        });
        numbers.any(|entry| {
            let info = format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_string_lossy());
            std::fs::read_to_string(info).is_ok_and(|info| can_write(&info))
        })
    };
    ids.into_iter().find(has_open)
}

/// The first process that has one of the files open for writing. This system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn writer_of(_files: &[(u64, u64)]) -> Option<u32> {
    None
}

/// Whether the flags of an open file, in octal, allow writing (proc_pid_fdinfo(5)).
#[cfg(target_os = "linux")]
fn can_write(info: &str) -> bool {
    let flags = info.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
    flags.is_some_and(|flags| flags & 0o3 != 0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_that_writes_is_found_and_one_that_reads_is_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let meta = file.as_file().metadata().unwrap();
        let place = [(meta.dev(), meta.ino())];
        let sleeps =
            |input: Stdio, output: Stdio| Command::new("sleep").arg("60").stdin(input).stdout(output).spawn().unwrap();
        let open = || std::fs::File::options().append(true).open(file.path()).unwrap();
        let mut reader = sleeps(std::fs::File::open(file.path()).unwrap().into(), Stdio::null());
        assert_eq!(writer_of(&place), None);
        let mut writer = sleeps(Stdio::null(), open().into());
        assert_eq!(writer_of(&place), Some(writer.id()));
        for child in [&mut reader, &mut writer] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(writer_of(&place), None);
    }
}
