//! Configuration: the variables, their bounds and defaults, and what they amount to.
//!
//! Pure: the environment comes in as a map, so that a worker thread's own `process.env` counts and tests need none.
//!
//! * [`variables`]: the table of variables, and how their texts are read.
//! * [`url`]: where a Redis server is.
//! * [`redis`], [`mongo`], [`store`]: what they amount to for each side, and for the embedded store.
//! * [`sentinel`]: whom to ask which Redis server is the master.
//! * [`cluster`]: whom to ask for the nodes of a Redis Cluster.
//! * [`shown`]: checking one variable, and showing all of them without secrets.

pub mod cluster;
pub mod mongo;
pub mod redis;
pub mod sentinel;
pub mod shown;
pub mod store;
#[cfg(test)]
mod tests;
pub mod url;
pub mod variables;

pub use self::cluster::ClusterConfig;
pub use self::redis::{Config, TLS_VARIABLES, Tls, resolve};
pub use self::sentinel::SentinelConfig;
pub use self::shown::{check, show};
pub use self::url::{Address, Credentials};
pub use self::variables::{SETUP, Values, invalid};
