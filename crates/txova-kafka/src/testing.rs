//! What a service tests its handlers with: a Kafka cluster in memory that a test can script. Nothing in here is for
//! production.

pub use crate::transport::memory::{Cluster, CommitFault, CommitRecord, MemberId, MemberView, ProduceFault};
