//! Configuration: the variables, their bounds and defaults, and what they amount to.
//!
//! Pure: the environment comes in as a map, so that a worker thread's own `process.env` counts and tests need none.
//!
//! * [`variables`]: the table of variables, and how their texts are read.
//! * [`redis`], [`mongo`], [`store`]: what they amount to for each side, and for the embedded store.
//! * [`shown`]: checking one variable, and showing all of them without secrets.

pub mod mongo;
pub mod redis;
pub mod shown;
pub mod store;
#[cfg(test)]
mod tests;
pub mod variables;

pub use self::redis::{Address, Config, Credentials, TLS_VARIABLES, Tls, resolve};
pub use self::shown::{check, show};
pub use self::variables::{SETUP, Values, invalid};
