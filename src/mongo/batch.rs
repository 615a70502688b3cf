//! What travels together: statements of one tick as few commands as possible, no key twice in one of them.

use std::collections::HashSet;

/// The most statements of one command; the server allows 100,000.
const STATEMENTS: usize = 1_000;
/// The most bytes of one command; the server allows 48 MB, and 16 MB a document.
const BYTES: usize = 8 * 1024 * 1024;

/// Something that can be a statement of a command.
pub trait Statement {
    /// Equal for statements that touch the same document.
    fn key(&self) -> &[u8];
    /// How many bytes it adds.
    fn size(&self) -> usize;
}

/// Splits statements into commands that are sent one after the other. Statements of one key stay in their order, in
/// commands of their own: within one unordered command nothing says which comes first.
#[must_use]
pub fn rounds<S: Statement>(statements: Vec<S>) -> Vec<Vec<S>> {
    let mut rounds = Vec::new();
    let mut rest = statements;
    while !rest.is_empty() {
        let mut later = Vec::new();
        let mut round = Vec::new();
        let mut keys = HashSet::new();
        let (mut bytes, mut full) = (0, false);
        for statement in rest {
            // A statement that waits makes all later ones of its key wait.
            let first = keys.insert(statement.key().to_vec());
            full = full || round.len() >= STATEMENTS || (!round.is_empty() && bytes + statement.size() > BYTES);
            if first && !full {
                bytes += statement.size();
                round.push(statement);
            } else {
                later.push(statement);
            }
        }
        rounds.push(round);
        rest = later;
    }
    rounds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    struct Fake(Vec<u8>, usize, usize);

    impl Statement for Fake {
        fn key(&self) -> &[u8] {
            &self.0
        }
        fn size(&self) -> usize {
            self.1
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_each_keys_order_is_kept(keys in prop::collection::vec((0_u8..5, 0_usize..BYTES), 0..3_000)) {
            let statements: Vec<_> = keys.iter().enumerate().map(|(at, (key, size))| Fake(vec![*key], size % 100, at)).collect();
            let rounds = rounds(statements.clone());
            let mut seen = [None; 5];
            for round in &rounds {
                prop_assert!(!round.is_empty() && round.len() <= STATEMENTS);
                let keys: HashSet<_> = round.iter().map(|s| s.0.clone()).collect();
                prop_assert_eq!(keys.len(), round.len());
                for statement in round {
                    let last = &mut seen[usize::from(statement.0[0])];
                    prop_assert!(last.is_none_or(|last| last < statement.2));
                    *last = Some(statement.2);
                }
            }
            prop_assert_eq!(rounds.iter().map(Vec::len).sum::<usize>(), statements.len());
        }
    }

    #[test]
    fn commands_are_bounded_by_count_and_bytes() {
        let many: Vec<_> = (0..2_500_u32).map(|n| Fake(n.to_le_bytes().to_vec(), 1, 0)).collect();
        assert_eq!(rounds(many).iter().map(Vec::len).collect::<Vec<_>>(), [1_000, 1_000, 500]);
        let large: Vec<_> = (0..3_u8).map(|n| Fake(vec![n], BYTES / 2 + 1, 0)).collect();
        assert_eq!(rounds(large).len(), 3);
        assert_eq!(rounds(vec![Fake(vec![1], BYTES * 2, 0)]).len(), 1);
    }
}
