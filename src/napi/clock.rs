//! The clock that the near cache's lease is measured in.

pub(super) use super::os::wall;
