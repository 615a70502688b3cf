//! What SQLite says, as our errors.

use rusqlite::ffi::{self, ErrorCode};

use super::bson::Refusal;
use crate::error::{Code, Error};
use crate::mongo::failure::{Failure, Server};

/// The result of what is done in the store.
pub type Outcome<T> = Result<T, Failure>;

/// The code that a failure of SQLite has here.
fn code_of(error: ffi::Error) -> Code {
    match error.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Code::StoreTimeout,
        ErrorCode::DiskFull => Code::StoreFull,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Code::StoreCorrupt,
        ErrorCode::SystemIoFailure if error.extended_code == ffi::SQLITE_IOERR_WRITE && is_limited() => Code::StoreFull,
        ErrorCode::TooBig => Code::InvalidValue,
        _ => Code::StoreUnavailable,
    }
}

/// Whether it was a limit that kept the last write of this thread from being carried out: of the size of files, or of a user's share
/// of the disk. To SQLite neither is a full disk.
fn is_limited() -> bool {
    use std::io::ErrorKind;
    matches!(std::io::Error::last_os_error().kind(), ErrorKind::FileTooLarge | ErrorKind::QuotaExceeded)
}

/// An error of SQLite as ours, in its own words.
#[must_use]
pub fn of(error: &rusqlite::Error) -> Error {
    let (code, words) = match error {
        rusqlite::Error::SqliteFailure(failure, words) => {
            (code_of(*failure), words.clone().unwrap_or_else(|| failure.to_string()))
        }
        other => (Code::StoreCorrupt, other.to_string()),
    };
    let what = match code {
        Code::StoreTimeout => "the store is locked by another process, longer than CC_STORE_TIMEOUT_MS",
        Code::StoreFull => "there is no room to write",
        Code::StoreCorrupt => "the file is damaged, or is no store",
        Code::InvalidValue => "the value is too large for the store",
        _ if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) => "this user may not write to the store",
        _ => "the store cannot be used",
    };
    Error::new(code, format!("{what}: {words}"))
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        of(&error).into()
    }
}

impl Refusal {
    /// As a call's failure: with this code, and the server's, where MongoDB refuses the same; else as a value that we do not take.
    #[must_use]
    pub fn into_failure(self, code: Code) -> Failure {
        match self.code {
            None => Error::new(Code::InvalidValue, self.message).into(),
            Some(server) => Failure {
                server: Some(Box::new(Server { code: server, ..Server::default() })),
                ..Error::new(code, self.message).into()
            },
        }
    }
}

/// A document or a block of the store that cannot be read.
#[must_use]
pub fn damaged(what: &str) -> Failure {
    Error::new(Code::StoreCorrupt, format!("the store is damaged: {what}")).into()
}
