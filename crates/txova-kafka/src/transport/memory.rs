//! The in-memory cluster.
