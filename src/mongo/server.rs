//! What a server says of itself.

use mongodb::bson::Document;

/// Whether the server that answered `hello` so knows a command that is sent again by its number: members of replica sets
/// and routers of sharded clusters, where they have sessions. A standalone server refuses numbers.
#[must_use]
pub fn knows_numbers(hello: &Document) -> bool {
    let sessions = hello.get("logicalSessionTimeoutMinutes").is_some_and(|minutes| minutes.as_null().is_none());
    sessions && (hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid"))
}

/// The server's code for what it does not do at all.
const ILLEGAL: i32 = 20;

/// Whether a server refused a command because it has a number: it has become a standalone server.
#[must_use]
pub fn refuses_numbers(code: i32, message: &str) -> bool {
    code == ILLEGAL && message.starts_with("Transaction numbers")
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Bson, doc};

    use super::*;

    #[test]
    fn members_of_replica_sets_and_routers_know_numbers() {
        assert!(knows_numbers(&doc! { "setName": "rs0", "logicalSessionTimeoutMinutes": 30 }));
        assert!(knows_numbers(&doc! { "msg": "isdbgrid", "logicalSessionTimeoutMinutes": 30 }));
    }

    #[test]
    fn standalone_servers_and_those_without_sessions_do_not() {
        assert!(!knows_numbers(&doc! { "logicalSessionTimeoutMinutes": 30 }));
        assert!(!knows_numbers(&doc! { "setName": "rs0" }));
        assert!(!knows_numbers(&doc! { "setName": "rs0", "logicalSessionTimeoutMinutes": Bson::Null }));
        assert!(!knows_numbers(&doc! {}));
    }

    #[test]
    fn a_refused_number_is_told_from_other_refusals() {
        let words = "Transaction numbers are only allowed on a replica set member or mongos";
        assert!(refuses_numbers(20, words));
        assert!(!refuses_numbers(20, "This MongoDB deployment does not support"));
        assert!(!refuses_numbers(251, words));
    }
}
