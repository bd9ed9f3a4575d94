//! The client over librdkafka.
