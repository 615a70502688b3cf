//! The `MATCH` pattern of a map: its name taken literally, a colon, anything.

/// The pattern that matches exactly the keys that begin with `prefix`.
///
/// The original puts the name into the pattern as it is, so that a map called `a*b` finds, and clears, the keys of
/// others. Redis gives a meaning to `*`, `?`, `[` and the backslash; `]`, `^` and `-` have one only after a `[`.
#[must_use]
pub fn all_under(prefix: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(prefix.len() + 1);
    for &byte in prefix {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern.push(b'*');
    pattern
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Redis's stringmatchlen without character classes, which an escaped pattern cannot contain.
    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|at| matches(rest, &text[at..])),
            ([b'?', p @ ..], [_, t @ ..]) => matches(p, t),
            ([b'[', ..], _) => panic!("an unescaped class"),
            ([b'\\', c, p @ ..] | [c, p @ ..], [d, t @ ..]) => c == d && matches(p, t),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_the_keys_of_its_map_and_no_others(
            prefix in r"[ab*?\[\]\\:^-]{0,8}", key in r"[ab*?\[\]\\:]{0,8}"
        ) {
            let pattern = all_under(format!("{prefix}:").as_bytes());
            let own = format!("{prefix}:{key}");
            prop_assert!(matches(&pattern, own.as_bytes()));
            prop_assert_eq!(matches(&pattern, key.as_bytes()), key.starts_with(&format!("{prefix}:")));
        }
    }

    #[test]
    fn golden_names_have_their_patterns() {
        let spec = crate::spec::load("glob");
        for case in crate::spec::cases(&spec, "cases") {
            let prefix = format!("{}:", case["connectionKey"].as_str().unwrap());
            let pattern = all_under(prefix.as_bytes());
            assert_eq!(case["match"], *String::from_utf8_lossy(&pattern), "{}", case["name"]);
            for own in crate::spec::cases(case, "own") {
                assert!(matches(&pattern, format!("{prefix}{}", own.as_str().unwrap()).as_bytes()), "{own}");
            }
            for foreign in case["foreign"].as_array().unwrap() {
                assert!(!matches(&pattern, foreign.as_str().unwrap().as_bytes()), "{foreign}");
            }
        }
    }
}
