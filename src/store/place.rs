//! Where a store may lie: on a file system of this machine, where locks and shared memory work.

use std::path::Path;

use super::os::elsewhere;
use crate::error::{Code, Error};

/// Refuses a folder on which the locks of several processes do not work.
pub fn check(folder: &Path) -> Result<(), Error> {
    let unavailable = |what: String| Err(Error::new(Code::StoreUnavailable, format!("{}: {what}", folder.display())));
    match elsewhere(folder) {
        Ok(None) => Ok(()),
        Ok(Some(kind)) => {
            let why = "its locks do not hold between processes; a folder of this machine's own disk is needed";
            unavailable(format!("it lies on {kind}: {why}"))
        }
        Err(why) => unavailable(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::os::identity;
    use crate::store::testing::Folder;

    #[test]
    fn a_folder_of_this_machine_is_taken_and_one_that_is_not_there_is_named() {
        check(Folder::new().path()).unwrap();
        let error = check(Path::new("/no such folder")).unwrap_err();
        assert_eq!(error.code, Code::StoreUnavailable);
        assert!(error.message.contains("no such folder"), "{error}");
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
