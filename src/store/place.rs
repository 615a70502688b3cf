//! Where a store may lie: on a file system of this machine, where locks and shared memory work.
#![allow(unsafe_code, reason = "statfs has no safe form in std")]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::error::{Code, Error};

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

/// Refuses a folder on which the locks of several processes do not work.
pub fn check(folder: &Path) -> Result<(), Error> {
    match elsewhere(folder)? {
        Some(kind) => {
            let why = "its locks do not hold between processes; a folder of this machine's own disk is needed";
            Err(Error::new(Code::StoreUnavailable, format!("{}: it lies on {kind}: {why}", folder.display())))
        }
        None => Ok(()),
    }
}

fn statfs(folder: &Path) -> Result<libc::statfs, Error> {
    let name = CString::new(folder.as_os_str().as_bytes())
        .map_err(|_| Error::new(Code::StoreUnavailable, "a path cannot hold the character NUL"))?;
    let mut found = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the name ends with NUL, and `found` has room for what is written.
    if unsafe { libc::statfs(name.as_ptr(), found.as_mut_ptr()) } != 0 {
        let why = std::io::Error::last_os_error();
        return Err(Error::new(Code::StoreUnavailable, format!("{}: {why}", folder.display())));
    }
    // SAFETY: statfs has succeeded, so it has filled it.
    Ok(unsafe { found.assume_init() })
}

/// The kind of a file system that is not this machine's own.
#[cfg(target_os = "linux")]
fn elsewhere(folder: &Path) -> Result<Option<String>, Error> {
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "a number of 32 bits, of any sign")]
    let kind = u64::from(statfs(folder)?.f_type as u32);
    Ok(named(kind))
}

#[cfg(target_os = "linux")]
fn named(kind: u64) -> Option<String> {
    ELSEWHERE.iter().find(|(number, _)| *number == kind).map(|(_, name)| (*name).to_owned())
}

/// The kind of a file system that is not this machine's own.
#[cfg(not(target_os = "linux"))]
fn elsewhere(folder: &Path) -> Result<Option<String>, Error> {
    let found = statfs(folder)?;
    if found.f_flags & libc::MNT_LOCAL as u32 != 0 {
        return Ok(None);
    }
    let name: Vec<u8> = found.f_fstypename.iter().take_while(|c| **c != 0).map(|c| c.cast_unsigned()).collect();
    Ok(Some(String::from_utf8_lossy(&name).into_owned()))
}

/// Which file stands at a path: device and inode; none where there is none.
#[must_use]
pub fn identity(file: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(file).ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Folder;

    #[test]
    fn a_folder_of_this_machine_is_taken_and_others_are_named() {
        check(Folder::new().path()).unwrap();
        #[cfg(target_os = "linux")]
        {
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
        assert_eq!(check(Path::new("/no such folder")).unwrap_err().code, Code::StoreUnavailable);
    }

    #[test]
    fn another_file_at_the_same_path_is_another_file() {
        let folder = Folder::new();
        let (file, aside) = (folder.path().join("file"), folder.path().join("aside"));
        assert_eq!(identity(&file), None);
        std::fs::write(&file, "one").unwrap();
        let first = identity(&file);
        std::fs::rename(&file, aside).unwrap();
        std::fs::write(&file, "two").unwrap();
        assert!(identity(&file).is_some() && identity(&file) != first);
    }
}
