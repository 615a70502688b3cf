#![allow(unsafe_code, reason = "std has no form of these calls")]

use std::fs::OpenOptions;
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::{Component, Path, PathBuf, Prefix};
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, GetLastError};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_READ_ATTRIBUTES, GetDriveTypeW, GetFileInformationByHandle, GetVolumePathNameW,
};
use windows_sys::Win32::System::Threading::CreateMutexW;

use crate::store::owner::Identity;

/// Whether a plain sync leaves what it writes in the disk's own cache.
pub const FULL_SYNC: bool = false;

/// `DRIVE_REMOTE` of GetDriveTypeW.
const REMOTE: u32 = 4;

fn wide(text: impl AsRef<std::ffi::OsStr>) -> io::Result<Vec<u16>> {
    let mut wide: Vec<u16> = text.as_ref().encode_wide().collect();
    if wide.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a path cannot hold the character NUL"));
    }
    wide.push(0);
    Ok(wide)
}

/// The kind of a folder's file system, where that is not this machine's own.
pub fn elsewhere(folder: &Path) -> io::Result<Option<String>> {
    let folder = folder.canonicalize()?;
    if let Some(Component::Prefix(prefix)) = folder.components().next()
        && matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..))
    {
        return Ok(Some("a share of the network".to_owned()));
    }
    let name = wide(&folder)?;
    let mut root = vec![0_u16; name.len().max(260)];
    let room = u32::try_from(root.len()).unwrap_or(u32::MAX);
    // SAFETY: the name ends with zero, and `root` has as much room as is said.
    if unsafe { GetVolumePathNameW(name.as_ptr(), root.as_mut_ptr(), room) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: what it has written ends with zero.
    Ok((unsafe { GetDriveTypeW(root.as_ptr()) } == REMOTE).then(|| "a drive of the network".to_owned()))
}

/// A path without links in it, as people write it where that is possible.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    let canonical = path.canonicalize()?;
    let mut parts = canonical.components();
    let plain = match parts.next() {
        Some(Component::Prefix(prefix)) => match prefix.kind() {
            Prefix::VerbatimDisk(letter) => {
                let root = format!("{}:\\", char::from(letter));
                Some(
                    parts
                        .filter(|part| *part != Component::RootDir)
                        .fold(PathBuf::from(root), |all, part| all.join(part)),
                )
            }
            _ => None,
        },
        _ => None,
    };
    // Longer paths work only in the other form; SQLite appends to the names of its files.
    Ok(plain.filter(|plain| plain.as_os_str().len() < 200).unwrap_or(canonical))
}

/// Which file stands at a path; none where there is none. Locks belong to handles here, so opening it disturbs none.
#[must_use]
pub fn identity(file: &Path) -> Option<Identity> {
    let file = OpenOptions::new().access_mode(FILE_READ_ATTRIBUTES).open(file).ok()?;
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and `found` is written to.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut found) } == 0 {
        return None;
    }
    let index = u64::from(found.nFileIndexHigh) << 32 | u64::from(found.nFileIndexLow);
    Some((found.dwVolumeSerialNumber.into(), index))
}

/// Brings the names in a folder to the disk: they are in the file system's own log, and a folder cannot be synced.
#[allow(clippy::unnecessary_wraps, reason = "other systems can fail")]
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// What a process has at most once for a file, and what the system takes away with the process.
pub struct Mark(#[allow(dead_code, reason = "held, not used")] OwnedHandle);

/// Makes it; where it is there already, the error is [`io::ErrorKind::AddrInUse`].
pub fn mark((volume, index): Identity) -> io::Result<Mark> {
    let name = wide(format!("Local\\backtest-kit-native-{}-{volume}-{index}", std::process::id()))?;
    // SAFETY: the name ends with zero; the handle, where there is one, is ours.
    unsafe {
        let handle = CreateMutexW(ptr::null(), 0, name.as_ptr());
        let taken = GetLastError() == ERROR_ALREADY_EXISTS;
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        let mark = Mark(OwnedHandle::from_raw_handle(handle));
        if taken { Err(io::ErrorKind::AddrInUse.into()) } else { Ok(mark) }
    }
}
