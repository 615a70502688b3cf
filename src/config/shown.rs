//! Checking one variable as somebody gives it, and showing all of them without secrets.

use super::mongo;
use super::url::parse_url;
use super::variables::{Kind, VARIABLES, Values, find, invalid, one_of, switch, text, whole};
use crate::error::Result;
use crate::pem::Pem;
use crate::secrets::MASK;

/// Checks one variable as `setConfig` was given it. The text of an error shows the value unless it is secret.
pub fn check(name: &str, text: &str) -> Result<()> {
    let variable = find(name)?;
    match variable.kind {
        Kind::Secret if text == MASK => {
            Err(invalid(name, "this is the mask that getConfig() shows in place of the password"))
        }
        Kind::Pem if text == MASK => Err(invalid(name, "this is the mask that getConfig() shows in place of PEM text")),
        Kind::Text | Kind::Secret | Kind::Pem | Kind::Folder => Ok(()),
        Kind::Url | Kind::MongoUrl if text.contains(MASK) => {
            Err(invalid(name, "this holds the mask that getConfig() shows in place of the password"))
        }
        Kind::Url | Kind::MongoUrl if text.is_empty() => Ok(()),
        Kind::Url => parse_url(name, text).map(drop),
        Kind::MongoUrl => mongo::check(name, text),
        Kind::Whole(..) => whole(variable, text).map(drop),
        Kind::Switch => switch(variable, text).map(drop),
        Kind::OneOf(words) => one_of(variable, words, text).map(drop),
    }
}

/// All variables as `getConfig()` shows them: numbers as numbers, secrets masked, an unset URL or file as null.
#[must_use]
pub fn show(values: &Values) -> serde_json::Value {
    let shown = VARIABLES.iter().map(|variable| {
        let text = text(values, variable.name);
        let value = match variable.kind {
            Kind::Secret if text.is_empty() => "".into(),
            Kind::Secret => MASK.into(),
            Kind::Url | Kind::Pem | Kind::Folder if text.is_empty() => serde_json::Value::Null,
            Kind::Pem if Pem::of(text).shown().is_none() => MASK.into(),
            Kind::Text | Kind::Switch | Kind::Pem | Kind::Folder | Kind::OneOf(_) => text.into(),
            Kind::Url | Kind::MongoUrl => mask_url(text).into(),
            // An unusable number is shown as it stands, so that the person who looks can see it.
            Kind::Whole(..) => whole(variable, text).map_or_else(|_| text.into(), Into::into),
        };
        (variable.name.to_owned(), value)
    });
    serde_json::Value::Object(shown.collect())
}

/// Parameters of URLs that are secrets: of a Unix socket's URL, and of MongoDB's connection strings.
const SECRET_PARAMETERS: [&str; 3] = ["pass", "tlsCertificateKeyFilePassword", "authMechanismProperties"];

/// Hides the password of a URL: everything between the user's colon and the last `@` before the path; and secret
/// parameters.
fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once(':') else { return MASK.to_owned() };
    // In a Unix socket's URL a parameter may hold an `@`; in others, what stands before one may be a password with a `?`.
    let (rest, query) = match rest.split_once('?') {
        Some((path, query)) if scheme.contains("unix") || !query.contains('@') => (path, Some(query)),
        _ => (rest, None),
    };
    let (authority, tail) = rest.rsplit_once('@').map_or((None, rest), |(before, after)| (Some(before), after));
    let authority = authority.map_or(String::new(), |before| match before.find(':') {
        Some(colon) => format!("{}:{MASK}@", &before[..colon]),
        None => format!("{before}@"),
    });
    let query = match query {
        Some(query) => {
            let masked: Vec<_> = query
                .split('&')
                .map(|pair| match pair.split_once('=') {
                    Some((name, _)) if SECRET_PARAMETERS.iter().any(|secret| secret.eq_ignore_ascii_case(name)) => {
                        format!("{name}={MASK}")
                    }
                    _ => pair.to_owned(),
                })
                .collect();
            format!("?{}", masked.join("&"))
        }
        None => String::new(),
    };
    format!("{scheme}:{authority}{tail}{query}")
}
