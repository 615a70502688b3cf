//! What the variables amount to where sentinels say which server is the master.

use super::url::{Address, Credentials};
use super::variables::{Values, invalid, text};
use crate::error::Result;

/// User and password for sentinels.
pub const SENTINEL_VARIABLES: [&str; 2] = ["CC_REDIS_SENTINEL_USER", "CC_REDIS_SENTINEL_PASSWORD"];

/// Whom to ask for the master. No `Debug`: it holds the password.
#[derive(Clone, PartialEq, Eq)]
pub struct SentinelConfig {
    /// The name that the sentinels know the master by.
    pub master: String,
    /// Host and port of those that the URL names, at least one; they name the others.
    pub seeds: Vec<(String, u16)>,
    /// What they are told; `None` where they ask for nothing.
    pub credentials: Option<Credentials>,
}

/// Whom to ask, where the URL names sentinels. Without them the variables would be of no effect, which nobody who sets them wants.
pub(super) fn resolve(values: &Values, address: &Address, seeds: Vec<(String, u16)>) -> Result<Option<SentinelConfig>> {
    let given = |name| Some(text(values, name).to_owned()).filter(|text| !text.is_empty());
    let [user, password] = SENTINEL_VARIABLES.map(given);
    let [user_name, password_name] = SENTINEL_VARIABLES;
    let Address::Master(master) = address else {
        let set = [(user, user_name), (password, password_name)].into_iter().find(|(text, _)| text.is_some());
        return set.map_or(Ok(None), |(_, name)| {
            Err(invalid(name, "it needs sentinels: CC_REDIS_URL must be a redis+sentinel:// URL"))
        });
    };
    let credentials = match (user, password) {
        (user, Some(password)) => Some(Credentials { user, password }),
        (Some(_), None) => return Err(invalid(password_name, format!("{user_name} needs its password"))),
        (None, None) => None,
    };
    Ok(Some(SentinelConfig { master: master.clone(), seeds, credentials }))
}
