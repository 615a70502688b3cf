//! What the URL amounts to where it names nodes of a Redis Cluster.

/// Whom to ask for the nodes of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Host and port of those that the URL names, at least one; they name the others.
    pub seeds: Vec<(String, u16)>,
}
