//! What a service tests its handlers with: a Kafka cluster in memory that a test can script. Nothing in here is for
//! production.

pub use crate::transport::memory::{Cluster, CommitFault, CommitRecord, MemberId, MemberView, ProduceFault};

use std::sync::Arc;

use crate::config::KafkaConfig;
use crate::kafka::Kafka;

pub use crate::transport::librdkafka::mock::MockKafka;

impl Cluster {
    /// This cluster, as services see it, with default settings.
    pub fn kafka(&self) -> Kafka {
        Kafka::over(Arc::new(self.clone()), KafkaConfig::default())
    }
}
