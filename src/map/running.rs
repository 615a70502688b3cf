//! A scan under way.

use crate::error::Error;
use crate::map::op::CallId;
use crate::map::pattern::all_under;
use crate::map::scan::Scan;

/// A scan and who waits for it.
pub(super) struct Running {
    pub(super) scan: Scan,
    /// Its keys may stand in the near cache.
    pub(super) tracked: bool,
    pub(super) pattern: Vec<u8>,
    pub(super) prefix: Vec<u8>,
    pub(super) caller: Option<CallId>,
    /// Why it cannot go on, until the next demand asks.
    pub(super) failed: Option<Error>,
}

impl Running {
    /// A scan over the keys that begin with `prefix`, which nobody waits for yet.
    pub(super) fn new(scan: Scan, prefix: &[u8], tracked: bool) -> Self {
        Self { scan, tracked, pattern: all_under(prefix), prefix: prefix.to_vec(), caller: None, failed: None }
    }
}
