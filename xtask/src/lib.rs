//! What the other programs of this repository share with its tasks: how one fails, and how a cluster is asked for. It must
//! never know them, nor pull in the Kafka client.

pub mod cluster;
pub mod failure;
