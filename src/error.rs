//! The one error type of the crate: a code that programs can test, a text that people can read.

use std::any::Any;

use thiserror::Error as ThisError;

/// What went wrong, as the `code` that JavaScript sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// `set` was called with an empty key.
    KeyEmpty,
    /// Arguments that fit no call form, or a key that has no text.
    InvalidContext,
    /// A row with a missing field, a field of the wrong type, or no id.
    InvalidRow,
    /// A value that cannot be stored.
    InvalidValue,
    /// A time to live that Redis cannot take.
    InvalidTtl,
    /// A configuration value that cannot be used.
    InvalidConfig,
    /// No connection before the deadline.
    RedisUnavailable,
    /// Connected, but no answer before the deadline.
    RedisTimeout,
    /// The server refused the credentials.
    RedisAuth,
    /// The server answered the command with an error.
    RedisReply,
    /// No connection to MongoDB before the deadline.
    MongoUnavailable,
    /// Connected to MongoDB, but no answer before the deadline.
    MongoTimeout,
    /// MongoDB refused a write.
    MongoWrite,
    /// A write was sent and the connection lost, and what became of it cannot be told.
    MongoUnknown,
    /// MongoDB refused a read.
    MongoReply,
    /// The embedded store cannot be used: its folder, file or file system.
    StoreUnavailable,
    /// There is no room to write to the embedded store.
    StoreFull,
    /// The file of the embedded store is damaged, or is none.
    StoreCorrupt,
    /// The lock of the embedded store was not to be had before the deadline.
    StoreTimeout,
    /// The embedded store was written by a newer release.
    StoreVersion,
    /// There is no row of that id.
    NotFound,
    /// More calls wait than the configured bound allows.
    QueueFull,
    /// `close()` ended the connection before the call could finish.
    Closed,
}

/// The JavaScript constructor that an error is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// `Error`
    Error,
    /// `TypeError`
    TypeError,
    /// `RangeError`
    RangeError,
}

impl Code {
    /// The text of the `code` property.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeyEmpty => "KEY_EMPTY",
            Self::InvalidContext => "INVALID_CONTEXT",
            Self::InvalidRow => "INVALID_ROW",
            Self::InvalidValue => "INVALID_VALUE",
            Self::InvalidTtl => "INVALID_TTL",
            Self::InvalidConfig => "INVALID_CONFIG",
            Self::RedisUnavailable => "REDIS_UNAVAILABLE",
            Self::RedisTimeout => "REDIS_TIMEOUT",
            Self::RedisAuth => "REDIS_AUTH",
            Self::RedisReply => "REDIS_REPLY",
            Self::MongoUnavailable => "MONGO_UNAVAILABLE",
            Self::MongoTimeout => "MONGO_TIMEOUT",
            Self::MongoWrite => "MONGO_WRITE",
            Self::MongoUnknown => "MONGO_UNKNOWN",
            Self::MongoReply => "MONGO_REPLY",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
            Self::StoreFull => "STORE_FULL",
            Self::StoreCorrupt => "STORE_CORRUPT",
            Self::StoreTimeout => "STORE_TIMEOUT",
            Self::StoreVersion => "STORE_VERSION",
            Self::NotFound => "NOT_FOUND",
            Self::QueueFull => "QUEUE_FULL",
            Self::Closed => "CLOSED",
        }
    }

    /// The constructor that fits the code: wrong types are `TypeError`, numbers out of bounds `RangeError`.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::InvalidContext | Self::InvalidRow | Self::InvalidValue => Class::TypeError,
            Self::InvalidTtl => Class::RangeError,
            Self::KeyEmpty
            | Self::InvalidConfig
            | Self::RedisUnavailable
            | Self::RedisTimeout
            | Self::RedisAuth
            | Self::RedisReply
            | Self::MongoUnavailable
            | Self::MongoTimeout
            | Self::MongoWrite
            | Self::MongoUnknown
            | Self::MongoReply
            | Self::StoreUnavailable
            | Self::StoreFull
            | Self::StoreCorrupt
            | Self::StoreTimeout
            | Self::StoreVersion
            | Self::NotFound
            | Self::QueueFull
            | Self::Closed => Class::Error,
        }
    }
}

/// An error on its way to JavaScript. It never holds a secret: whoever builds the text leaves passwords out, and passes others'
/// words through [`crate::secrets`].
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{message}")]
pub struct Error {
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong, for people. Begins with the server's own words where there are any.
    pub message: String,
    /// The underlying failure, e.g. `connect ECONNREFUSED 127.0.0.1:6379`.
    pub cause: Option<String>,
    /// Waiting does not mend it, although other errors of its code may pass: `waitForInit` ends with it.
    pub is_final: bool,
}

impl Error {
    /// An error without a cause.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), cause: None, is_final: false }
    }

    /// What a panic of ours becomes.
    #[must_use]
    pub fn bug(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Self::new(Code::Closed, format!("backtest-kit-native has a bug: {text}"))
    }

    /// The same error with the failure that led to it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same error, which waiting does not mend.
    #[must_use]
    pub const fn finally(mut self) -> Self {
        self.is_final = true;
        self
    }
}

/// The crate's result type.
pub type Result<T> = std::result::Result<T, Error>;
