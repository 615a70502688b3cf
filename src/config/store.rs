//! What the variables amount to for the embedded store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::variables::{Values, number, size, text, word};
use crate::error::{Error, Result};

/// How a store is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Its folder, absolute.
    pub folder: PathBuf,
    /// How long the lock is waited for.
    pub timeout: Duration,
    /// Whether what is written is synced before it is acknowledged.
    pub full: bool,
    /// Bound of waiting calls.
    pub queue_max: usize,
    /// Bound of their bytes.
    pub queue_max_bytes: usize,
}

/// What variables say of the store; none where there are servers. A relative folder is one of `here`.
pub fn resolve(values: &Values, here: &Path) -> Result<Option<StoreConfig>> {
    let folder = text(values, "CC_STORE_PATH");
    let timeout = Duration::from_millis(number(values, "CC_STORE_TIMEOUT_MS")?);
    let full = word(values, "CC_STORE_SYNC")? == "full";
    let least = |one, other| Ok::<_, Error>(size(values, one)?.min(size(values, other)?));
    let queue_max = least("CC_REDIS_QUEUE_MAX", "CC_MONGO_QUEUE_MAX")?;
    let queue_max_bytes = least("CC_REDIS_QUEUE_MAX_BYTES", "CC_MONGO_QUEUE_MAX_BYTES")?;
    // As it is shown: without the dot of "./dump".
    let folder_of = || here.join(folder).components().collect();
    let config = || StoreConfig { folder: folder_of(), timeout, full, queue_max, queue_max_bytes };
    Ok((!folder.is_empty()).then(config))
}
