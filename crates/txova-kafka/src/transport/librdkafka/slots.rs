//! The partitions a member has, as the polling thread sees them. Pure bookkeeping: no calls.

use rdkafka::TopicPartitionList;

use crate::record::TopicPartition;

/// One assigned partition.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) partition: TopicPartition,
    pub(super) epoch: u64,
    /// The offset after the last one read, or where reading starts; `None` while that is "earliest" or "latest".
    pub(super) next: Option<i64>,
    /// A record has been read.
    pub(super) began: bool,
    /// The engine has paused it.
    pub(super) paused: bool,
    /// The group has asked for it back: what still arrives is dropped, its next owner reads it again.
    pub(super) leaving: bool,
}

/// All assigned partitions.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
}

impl Slots {
    pub(super) fn add(&mut self, partition: TopicPartition, epoch: u64, next: Option<i64>) {
        self.slots.retain(|slot| slot.partition != partition);
        self.slots.push(Slot { partition, epoch, next, began: false, paused: false, leaving: false });
    }

    pub(super) fn remove(&mut self, partitions: &[TopicPartition]) {
        self.slots.retain(|slot| !partitions.contains(&slot.partition));
    }

    pub(super) fn position(&self, topic: &str, partition: i32) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.partition.partition == partition && slot.partition.topic.as_ref() == topic)
    }

    pub(super) fn at(&mut self, position: usize) -> Option<&mut Slot> {
        self.slots.get_mut(position)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    pub(super) fn has(&self, partition: &TopicPartition) -> bool {
        self.slots.iter().any(|slot| &slot.partition == partition)
    }

    pub(super) fn leave(&mut self, partitions: &[TopicPartition]) {
        for slot in self.slots.iter_mut().filter(|slot| partitions.contains(&slot.partition)) {
            slot.leaving = true;
        }
    }

    /// Marks a partition and returns it; nothing where that assignment of it is over.
    pub(super) fn pause(
        &mut self,
        partition: &TopicPartition,
        epoch: u64,
        paused: bool,
    ) -> TopicPartitionList {
        let mut marked = TopicPartitionList::new();
        let asked = |slot: &&mut Slot| slot.partition == *partition && slot.epoch == epoch;
        for slot in self.slots.iter_mut().filter(asked) {
            slot.paused = paused;
            marked.add_partition(&slot.partition.topic, slot.partition.partition);
        }
        marked
    }

    /// What the engine wants fetched.
    pub(super) fn running(&self) -> TopicPartitionList {
        self.list(|slot| !slot.paused)
    }

    /// Those of `partitions` that the engine has paused.
    pub(super) fn paused(&self, partitions: &[TopicPartition]) -> TopicPartitionList {
        self.list(|slot| slot.paused && partitions.contains(&slot.partition))
    }

    /// Those of `partitions` there are.
    pub(super) fn all(&self, partitions: &[TopicPartition]) -> TopicPartitionList {
        self.list(|slot| partitions.contains(&slot.partition))
    }

    fn list(&self, wanted: impl Fn(&Slot) -> bool) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for slot in self.slots.iter().filter(|slot| wanted(slot)) {
            list.add_partition(&slot.partition.topic, slot.partition.partition);
        }
        list
    }
}

/// The partitions of a native list.
pub(super) fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|element| TopicPartition::new(element.topic(), element.partition())).collect()
}
