//! The functions of JavaScript that an engine calls.

/// Places in the array of hooks that JavaScript hands in.
#[derive(Clone, Copy)]
pub(super) enum Hook {
    /// `settle(...values, firstCall)`
    Settle = 0,
    /// `error(code, constructor, message, cause, isFinal)` makes an error of JavaScript's realm.
    Error = 1,
    /// `list(...values)` makes an array of JavaScript's realm.
    List = 2,
    /// `lookup(host, question)` resolves a name and calls `resolved`.
    Lookup = 3,
    /// `notice(text)` tells the logger something that an operator should know.
    Notice = 4,
    /// `mongoSettle(answers)`: what MongoDB's side has answered.
    MongoSettle = 5,
    /// `again()` has the loop turn, and then calls `storeTurn`.
    Again = 6,
    /// `settleEach(...values, ...calls)`
    SettleEach = 7,
}
