#![allow(unsafe_code, reason = "statfs and flock have no safe form in std")]

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::store::owner::Identity;

/// Whether a plain sync leaves what it writes in the disk's own cache.
pub const FULL_SYNC: bool = cfg!(target_os = "macos");

/// File systems whose files belong to another machine, or to a program that answers for them: by the number of statfs.
#[cfg(target_os = "linux")]
const ELSEWHERE: [(u64, &str); 17] = [
    (0x6969, "NFS"),
    (0xFF53_4D42, "CIFS"),
    (0x517B, "SMB"),
    (0xFE53_4D42, "SMB"),
    (0x6573_5546, "FUSE, or virtiofs"),
    (0x0102_1997, "9p"),
    (0x00C3_6400, "Ceph"),
    (0x7375_7245, "Coda"),
    (0x0BD0_0BD0, "Lustre"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "AFS"),
    (0x564C, "NCP"),
    (0x1983_0326, "BeeGFS"),
    (0x4750_4653, "GPFS"),
    (0xAAD7_AAEA, "Panasas"),
    (0x786F_4256, "a folder that VirtualBox shares"),
    (0xBACB_ACBC, "a folder that VMware shares"),
];

fn statfs(folder: &Path) -> io::Result<libc::statfs> {
    let name = CString::new(folder.as_os_str().as_bytes())?;
    let mut found = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the name ends with NUL, and `found` has room for what is written.
    if unsafe { libc::statfs(name.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: statfs has succeeded, so it has filled it.
    Ok(unsafe { found.assume_init() })
}

/// The kind of a folder's file system, where that is not this machine's own.
#[cfg(target_os = "linux")]
pub fn elsewhere(folder: &Path) -> io::Result<Option<String>> {
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "a number of 32 bits, of any sign")]
    let kind = u64::from(statfs(folder)?.f_type as u32);
    Ok(named(kind))
}

#[cfg(target_os = "linux")]
fn named(kind: u64) -> Option<String> {
    ELSEWHERE.iter().find(|(number, _)| *number == kind).map(|(_, name)| (*name).to_owned())
}

/// The kind of a folder's file system, where that is not this machine's own.
#[cfg(not(target_os = "linux"))]
pub fn elsewhere(folder: &Path) -> io::Result<Option<String>> {
    let found = statfs(folder)?;
    if found.f_flags & libc::MNT_LOCAL as u32 != 0 {
        return Ok(None);
    }
    let name: Vec<u8> = found.f_fstypename.iter().take_while(|c| **c != 0).map(|c| c.cast_unsigned()).collect();
    Ok(Some(String::from_utf8_lossy(&name).into_owned()))
}

/// A path without links in it.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// Which file stands at a path; none where there is none. It is not opened: to close it again would take away the locks that this
/// process has on it.
#[must_use]
pub fn identity(file: &Path) -> Option<Identity> {
    std::fs::metadata(file).ok().map(|found| (found.dev(), found.ino()))
}

/// Brings the names in a folder to the disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// A name that only this process uses.
fn name((device, inode): Identity) -> String {
    // Processes of two containers may have the same number.
    let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("backtest-kit-native-{}-{}-{device}-{inode}", space.display(), std::process::id())
}

/// What a process has at most once for a file, and what the system takes away with the process.
#[cfg(target_os = "linux")]
pub type Mark = std::os::unix::net::UnixListener;

/// Makes it; where it is there already, the error is [`io::ErrorKind::AddrInUse`].
#[cfg(target_os = "linux")]
pub fn mark(identity: Identity) -> io::Result<Mark> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};
    UnixListener::bind_addr(&SocketAddr::from_abstract_name(name(identity))?)
}

/// What a process has at most once for a file, and what the system takes away with the process.
#[cfg(not(target_os = "linux"))]
pub type Mark = std::fs::File;

/// Makes it; where it is there already, the error is [`io::ErrorKind::AddrInUse`].
#[cfg(not(target_os = "linux"))]
pub fn mark(identity: Identity) -> io::Result<Mark> {
    use std::os::fd::AsRawFd as _;
    let file = std::fs::File::create(std::env::temp_dir().join(name(identity)))?;
    // SAFETY: the descriptor is open.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(file);
    }
    let error = io::Error::last_os_error();
    Err(if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::AddrInUse.into() } else { error })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_other_machines_are_named() {
        for (kind, name) in ELSEWHERE {
            assert_eq!(named(kind).as_deref(), Some(name));
        }
        assert_eq!(named(0x6969).as_deref(), Some("NFS"));
        assert_eq!(named(0xFF53_4D42).as_deref(), Some("CIFS"));
        assert_eq!(named(0x6573_5546).as_deref(), Some("FUSE, or virtiofs"));
        assert_eq!(named(0x0102_1997).as_deref(), Some("9p"));
        // ext4, xfs, btrfs, tmpfs, overlay, ZFS, F2FS, eCryptfs.
        for kind in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630, 0x2FC1_2FC1, 0xF2F5_2010, 0xF15F] {
            assert_eq!(named(kind), None, "{kind:x}");
        }
    }
}
