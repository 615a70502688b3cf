//! Times to live: seconds, -1 for none.

use crate::error::{Code, Error, Result};

/// The longest time to live: the largest whole number that JavaScript represents exactly. Redis takes a little more
/// (it counts in milliseconds up to 2^63), but nothing that JavaScript could tell apart.
pub const MAX: f64 = 9_007_199_254_740_991.0;

/// Checks a time to live. `None` means that keys do not expire.
///
/// The original lets Redis find out, after the value was written: a time of zero deletes the key at once, a fraction
/// leaves it for ever.
pub fn check(seconds: f64) -> Result<Option<u64>> {
    // `==` on floats: both sides are exact whole numbers or the comparison is meant to fail.
    #[allow(clippy::float_cmp, reason = "-1 is a marker, not a measurement")]
    if seconds == -1.0 {
        return Ok(None);
    }
    if seconds.fract() == 0.0 && (1.0..=MAX).contains(&seconds) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within bounds")]
        return Ok(Some(seconds as u64));
    }
    Err(refused(&seconds.to_string()))
}

/// The error for a time to live, shown as it was given.
#[must_use]
pub fn refused(shown: &str) -> Error {
    Error::new(
        Code::InvalidTtl,
        format!("ttlExpireSeconds is {shown}; it must be -1 (no expiry) or a whole number of seconds from 1 to {MAX}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_minus_one_and_whole_positive_seconds_pass() {
        assert_eq!(check(-1.0).unwrap(), None);
        assert_eq!(check(1.0).unwrap(), Some(1));
        assert_eq!(check(MAX).unwrap(), Some(9_007_199_254_740_991));
        for bad in [0.0, -0.0, -2.0, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 9.3e15] {
            assert_eq!(check(bad).unwrap_err().code, Code::InvalidTtl, "{bad}");
        }
    }

    #[test]
    fn golden_times_to_live() {
        let spec = crate::spec::load("ttl");
        // Text and what JSON cannot hold is read by JavaScript before it comes here.
        for case in crate::spec::cases(&spec, "cases").iter().filter(|case| case["ttl"].is_number()) {
            let seconds = check(case["ttl"].as_f64().unwrap());
            match seconds {
                Ok(seconds) => assert_eq!(case["seconds"].as_u64(), seconds, "{}", case["name"]),
                Err(error) => assert_eq!(case["code"], error.code.as_str(), "{}", case["name"]),
            }
        }
    }
}
