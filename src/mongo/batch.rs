//! What travels together: statements of one tick as few commands as possible, no key twice in one of them.

use std::collections::HashMap;

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

/// How full the commands are.
#[derive(Default)]
struct Rounds {
    statements: Vec<usize>,
    bytes: Vec<usize>,
    /// For each command, the number of the next one that may have room; its own, where it has.
    open: Vec<usize>,
    /// How many commands were looked at.
    #[cfg(test)]
    looks: usize,
}

impl Rounds {
    /// The first command from `from` on that may have room. Full commands that are passed over point to it afterwards, so that
    /// each is passed over once.
    fn first_open(&mut self, from: usize) -> usize {
        while self.open.len() <= from {
            self.open.push(self.open.len());
            self.statements.push(0);
            self.bytes.push(0);
        }
        let mut at = from;
        while self.open[at] != at {
            #[cfg(test)]
            {
                self.looks += 1;
            }
            let next = self.open[at];
            if next == self.open.len() {
                return self.first_open(next);
            }
            self.open[at] = self.open[next];
            at = next;
        }
        at
    }

    /// Takes a statement into the first command from `from` on that has room for it.
    fn take(&mut self, from: usize, size: usize) -> usize {
        loop {
            let at = self.first_open(from);
            let room = self.statements[at] < STATEMENTS && self.bytes[at] + size <= BYTES;
            if room || self.statements[at] == 0 {
                self.statements[at] += 1;
                self.bytes[at] += size;
                return at;
            }
            self.open[at] = at + 1;
        }
    }
}

/// Splits statements into commands that are sent one after the other. Statements of one key stay in their order, in
/// commands of their own: within one unordered command nothing says which comes first.
#[must_use]
pub fn rounds<S: Statement>(statements: Vec<S>) -> Vec<Vec<S>> {
    split(statements, &mut Rounds::default())
}

fn split<S: Statement>(statements: Vec<S>, filled: &mut Rounds) -> Vec<Vec<S>> {
    let mut next_of_key: HashMap<&[u8], usize> = HashMap::new();
    let places: Vec<_> = statements
        .iter()
        .map(|statement| {
            let next = next_of_key.entry(statement.key()).or_default();
            let place = filled.take(*next, statement.size());
            *next = place + 1;
            place
        })
        .collect();
    let mut rounds: Vec<Vec<S>> = filled.statements.iter().map(|count| Vec::with_capacity(*count)).collect();
    for (place, statement) in places.into_iter().zip(statements) {
        rounds[place].push(statement);
    }
    rounds
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashSet;

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
        fn nothing_is_lost_and_each_keys_order_is_kept(
            keys in prop::collection::vec((0_u8..5, prop_oneof![9 => 0_usize..100, 1 => 0..2 * BYTES]), 0..3_000)
        ) {
            let statements: Vec<_> = keys.iter().enumerate().map(|(at, (key, size))| Fake(vec![*key], *size, at)).collect();
            let rounds = rounds(statements.clone());
            let mut seen = [None; 5];
            for round in &rounds {
                prop_assert!(!round.is_empty() && round.len() <= STATEMENTS);
                prop_assert!(round.len() == 1 || round.iter().map(Statement::size).sum::<usize>() <= BYTES);
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

    /// Counts how often it is asked.
    struct Counted<'a>(Fake, &'a Cell<usize>);

    impl Statement for Counted<'_> {
        fn key(&self) -> &[u8] {
            self.1.set(self.1.get() + 1);
            self.0.key()
        }
        fn size(&self) -> usize {
            self.1.set(self.1.get() + 1);
            self.0.size()
        }
    }

    #[test]
    fn the_work_grows_with_the_statements_and_no_faster() {
        type Of = fn(usize) -> usize;
        const MANY: usize = 20_000;
        let fill = |key: Of, size: Of| {
            let asked = Cell::new(0);
            let statements = (0..MANY).map(|at| Counted(Fake(key(at).to_le_bytes().to_vec(), size(at), at), &asked));
            let mut filled = Rounds::default();
            let rounds = split(statements.collect(), &mut filled);
            assert_eq!(rounds.iter().map(Vec::len).sum::<usize>(), MANY);
            (asked.get(), filled.looks)
        };
        let one_size: Of = |_| 1;
        let cases: [(Of, Of); 5] = [
            // One key, all keys different, a few keys in turn, one key before each of many, and each command full of bytes.
            (|_| 7, one_size),
            (|at| at, one_size),
            (|at| at % 30, one_size),
            (|at| if at % 2 == 0 { 0 } else { at }, one_size),
            (|at| at / 3, |at| if at % 2 == 0 { BYTES } else { 1 }),
        ];
        for (key, size) in cases {
            let (asked, looks) = fill(key, size);
            assert!(asked <= 2 * MANY, "{asked} questions");
            assert!(looks <= 4 * MANY, "{looks} looks");
        }
    }
}
