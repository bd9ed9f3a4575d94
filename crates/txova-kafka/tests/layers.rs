//! Says which layers of the test ladder this run covers. Nothing is proved here; it is what a captured test cannot say.

#![allow(clippy::print_stdout)] // saying it is the point

fn main() {
    println!("layers: pure, in-memory cluster, librdkafka's mock cluster over TCP");
    match std::env::var("TXOVA_KAFKA_BROKERS") {
        Ok(brokers) if !brokers.is_empty() => println!("layers: real Kafka at {brokers}"),
        _ => println!(
            "left out: real Kafka (TXOVA_KAFKA_BROKERS names none; `cargo xtask kafka start` starts one)"
        ),
    }
}
