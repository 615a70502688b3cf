//! Native `ioc` cache services for backtest-kit.
//!
//! # Layout
//!
//! Each layer knows only what stands below it; only [`napi`] speaks to JavaScript, and only it and its event-loop
//! driver contain unsafe code.
//!
//! * [`error`], [`host`], [`pem`]: used by all.
//! * [`secrets`]: what is not shown of what a server says. Pure.
//! * [`config`]: the variables, and what they amount to. Pure.
//! * [`clients`]: the configuration as ioredis and mongoose take it. Pure.
//! * [`services`]: the table of cache services, call forms and keys. Pure.
//! * [`redis`]: the protocol and the rules of one connection, as state machines without sockets or a clock.
//! * [`sentinel`]: which server is the master, as Redis Sentinel says it. Pure.
//! * [`cluster`]: which server of a Redis Cluster a command goes to. Pure.
//! * [`near`]: the in-process cache of ids: coherence rules, pure, and storage.
//! * [`map`]: the ten operations of a map over a backend, and scans. Pure.
//! * [`mongo`]: the collections of the MongoDB services: documents, filters, batches, pure; and the driver, on a thread
//!   of its own.
//! * [`store`]: the same without servers, in a SQLite file: layout and calls; and its thread.
//! * [`napi`]: the boundary, and the driver that binds a socket to Node's event loop.

pub mod clients;
pub mod cluster;
pub mod config;
pub mod error;
pub mod host;
pub mod map;
pub mod mongo;
pub mod napi;
pub mod near;
pub mod pem;
pub mod redis;
pub mod secrets;
pub mod sentinel;
pub mod services;
pub mod store;

#[cfg(test)]
mod spec;
