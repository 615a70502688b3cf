//! What differs between systems where the store lies: `unix.rs` is for Linux and macOS. The event loop's side has a place of its own
//! for that, `napi::os`; nothing else knows which system it is on.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod system;

pub use system::{FULL_SYNC, Mark, canonical, elsewhere, identity, mark, sync_folder};
