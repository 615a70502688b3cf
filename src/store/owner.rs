//! One copy of the addon for each file and process.
//!
//! Locks on files belong to the process: where two copies of SQLite have the same file open, closing it in one takes the locks of
//! the other, and the file is damaged in the end. Copies do not see each other's memory, so the mark is one that the system
//! keeps for the process, and takes away with it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use super::os::{self, Mark};
use crate::error::{Code, Error};

/// Which file it is: the device, or the volume, and the file's number there.
pub type Identity = (u64, u64);

/// As long as it lives, this copy has the file.
pub struct Owner(#[allow(dead_code, reason = "held, not used")] Mark);

static OWNED: LazyLock<Mutex<HashMap<Identity, Weak<Owner>>>> = LazyLock::new(Mutex::default);

/// Marks a file as this copy's, or says that another copy in this process has it. A file that is not there is made, empty.
///
/// A file that is there is not opened: to close it again would take away the locks that this process has on it.
pub fn claim_file(file: &Path) -> Result<(Identity, Arc<Owner>), Error> {
    let named =
        |error: &dyn std::fmt::Display| Error::new(Code::StoreUnavailable, format!("{}: {error}", file.display()));
    let mut owned = OWNED.lock().unwrap_or_else(PoisonError::into_inner);
    match std::fs::OpenOptions::new().write(true).create_new(true).open(file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(named(&error)),
        _ => {}
    }
    let identity = os::identity(file).ok_or_else(|| named(&"the file is gone"))?;
    Ok((identity, claim(&mut owned, identity)?))
}

fn claim(marked: &mut HashMap<Identity, Weak<Owner>>, identity: Identity) -> Result<Arc<Owner>, Error> {
    if let Some(owner) = marked.get(&identity).and_then(Weak::upgrade) {
        return Ok(owner);
    }
    let mark = os::mark(identity).map_err(|error| {
        let why = if error.kind() == std::io::ErrorKind::AddrInUse {
            "another copy of backtest-kit-native in this process has the store open; one process must load one copy"
                .to_owned()
        } else {
            format!("the store cannot be marked as this process's: {error}")
        };
        Error::new(Code::StoreUnavailable, why)
    })?;
    let owner = Arc::new(Owner(mark));
    marked.retain(|_, owner| owner.strong_count() > 0);
    marked.insert(identity, Arc::downgrade(&owner));
    Ok(owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Folder;

    #[test]
    fn a_copy_may_claim_a_file_twice_and_a_second_copy_may_not() {
        let folder = Folder::new();
        let file = folder.path().join("file");
        let (identity, first) = claim_file(&file).unwrap();
        let (again, second) = claim_file(&file).unwrap();
        assert_eq!(identity, again);
        assert!(Arc::ptr_eq(&first, &second));
        // What a second copy would do.
        let refused = os::mark(identity).map(drop).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);
        drop((first, second));
        drop(os::mark(identity).unwrap());
    }
}
