//! Reading ranges without a group.

use super::super::super::{ReadRange, Transport as _};
use super::super::mock::MockKafka;
use super::harness::*;
use crate::client_error::ClientErrorKind;
use crate::record::TopicPartition;

fn range(partition: i32, start: i64, end: i64) -> ReadRange {
    ReadRange { partition: TopicPartition::new("orders", partition), start, end }
}

#[tokio::test]
async fn each_range_is_read_from_its_start_to_before_its_end() {
    let kafka = MockKafka::start(1, &[("orders", 3)]).unwrap();
    let client = client(kafka.bootstrap());
    for partition in 0..3 {
        fill(&client, "orders", partition, 10).await;
    }
    let ranges = vec![range(0, 2, 5), range(1, 0, 10), range(2, 4, 4)];
    let mut records = client.read(ranges).unwrap();
    let mut read = Vec::new();
    while let Some(item) = tokio::time::timeout(PATIENCE, records.recv()).await.unwrap() {
        let (partition, record) = item.unwrap();
        read.push((partition.partition, record.offset));
    }
    let expected = (2..5).map(|offset| (0, offset)).chain((0..10).map(|offset| (1, offset)));
    assert_eq!(read, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_start_or_an_end_that_is_not_in_the_log_is_an_error_that_names_the_partition() {
    let kafka = MockKafka::start(1, &[("orders", 1)]).unwrap();
    let client = client(kafka.bootstrap());
    fill(&client, "orders", 0, 10).await;
    for wrong in [range(0, 50, 60), range(0, 5, 60)] {
        let mut records = client.read(vec![wrong]).unwrap();
        let error = loop {
            let item = tokio::time::timeout(PATIENCE, records.recv()).await.unwrap();
            if let Err(error) = item.expect("an error before the end") {
                break error;
            }
        };
        assert_eq!(error.kind, ClientErrorKind::OffsetOutOfRange);
        assert!(error.message.contains("orders-0"), "{}", error.message);
        assert!(records.recv().await.is_none());
    }
    assert_eq!(client.read(vec![range(0, -1, 3)]).unwrap_err().kind, ClientErrorKind::Config);
}
