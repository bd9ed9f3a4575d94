//! What a replay promises, on the in-memory cluster.
