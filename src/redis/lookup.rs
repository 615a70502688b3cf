//! Questions to the resolver that are under way. Pure.
//!
//! A question cannot be taken back: until it is answered it occupies one of the few threads that libuv has for such work, and
//! keeps the process from ending. So a slow resolver is not asked again and again. An attempt that gives up waiting leaves its
//! question open, and the answer serves whichever attempt needs it when it comes.

/// So many questions for one name at a time. The second one is for a resolver that has lost the first, or is another one by
/// now, which only a new question notices.
const AT_ONCE: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub struct Lookups {
    last: u32,
    /// The numbers of questions, and their names.
    open: Vec<(u32, String)>,
}

impl Lookups {
    /// An attempt needs the addresses of a name. The number of the question that is to be put to the resolver; `None`: those
    /// that are open are enough.
    pub fn ask(&mut self, name: &str) -> Option<u32> {
        if self.open_for(name) >= AT_ONCE {
            return None;
        }
        self.last = self.last.wrapping_add(1);
        self.open.push((self.last, name.to_owned()));
        Some(self.last)
    }

    /// A question is answered, or could not be put. Its name, where that is of use: a failure is none while another question for
    /// the same name is open.
    pub fn answered(&mut self, number: u32, has_addresses: bool) -> Option<String> {
        let at = self.open.iter().position(|question| question.0 == number)?;
        let (_, name) = self.open.swap_remove(at);
        (has_addresses || self.open_for(&name) == 0).then_some(name)
    }

    fn open_for(&self, name: &str) -> usize {
        self.open.iter().filter(|question| question.1 == name).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_resolver_is_not_asked_again_and_again_and_its_late_answer_counts() {
        let mut lookups = Lookups::default();
        let first = lookups.ask("redis").unwrap();
        let second = lookups.ask("redis").unwrap();
        assert_ne!(first, second);
        for _ in 0..100 {
            assert_eq!(lookups.ask("redis"), None);
        }
        assert_eq!(lookups.answered(first, true).as_deref(), Some("redis"));
        assert!(lookups.ask("redis").is_some(), "there is room for one more");
        assert_eq!(lookups.answered(second, true).as_deref(), Some("redis"));
    }

    #[test]
    fn a_failure_counts_where_no_other_answer_is_to_come() {
        let mut lookups = Lookups::default();
        let (first, second) = (lookups.ask("redis").unwrap(), lookups.ask("redis").unwrap());
        assert_eq!(lookups.answered(second, false), None);
        assert_eq!(lookups.answered(first, false).as_deref(), Some("redis"));
    }

    #[test]
    fn an_answer_is_for_its_own_name_and_comes_once() {
        let mut lookups = Lookups::default();
        let (old, older) = (lookups.ask("old").unwrap(), lookups.ask("old").unwrap());
        let new = lookups.ask("new").expect("questions for another name do not count");
        assert_eq!(lookups.answered(old, true).as_deref(), Some("old"));
        assert_eq!(lookups.answered(new, false).as_deref(), Some("new"));
        assert_eq!(lookups.answered(new, true), None);
        assert_eq!(lookups.answered(older, true).as_deref(), Some("old"));
        assert_eq!(lookups.answered(77, true), None);
    }
}
