//! Changes flow in one by one, batches of bounded size flow out to the sink (L-03).

use crate::edge::{Batch, BatchSink, Change, SinkClosed, SourceState};

/// Changes in one batch: enough to make a transaction cheap, few enough to repeat after a crash.
pub const BATCH_CHANGES_MAX: usize = 1_000;
/// Decoded size of one batch. A single larger change is a batch of its own.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Gathers the changes of one partition and commits them whenever a batch is full.
pub struct Batches<'a> {
    sink: &'a mut dyn BatchSink,
    partition: &'a str,
    changes: Vec<Change>,
    bytes: usize,
}

impl<'a> Batches<'a> {
    pub fn new(sink: &'a mut dyn BatchSink, partition: &'a str) -> Self {
        Self { sink, partition, changes: vec![], bytes: 0 }
    }

    /// Adds a change of about `bytes`; commits what was there before if it would not fit.
    pub async fn push(&mut self, change: Change, bytes: usize) -> Result<(), SinkClosed> {
        let full = self.changes.len() == BATCH_CHANGES_MAX;
        if full || (self.bytes + bytes > BATCH_BYTES_MAX && !self.changes.is_empty()) {
            self.commit(None).await?;
        }
        self.changes.push(change);
        self.bytes += bytes;
        Ok(())
    }

    /// Commits what is gathered, together with the state that covers it and all before it.
    pub async fn close(&mut self, next: SourceState) -> Result<(), SinkClosed> {
        self.commit(Some(next)).await
    }

    async fn commit(&mut self, next: Option<SourceState>) -> Result<(), SinkClosed> {
        let changes = std::mem::take(&mut self.changes);
        self.bytes = 0;
        self.sink.commit(Batch { partition: self.partition.to_owned(), changes, next }).await
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use kakehi_engine::object::Anchor;

    use super::*;

    #[derive(Default)]
    struct Sizes(Vec<(usize, bool)>);

    #[async_trait]
    impl BatchSink for Sizes {
        async fn commit(&mut self, batch: Batch) -> Result<(), SinkClosed> {
            self.0.push((batch.changes.len(), batch.next.is_some()));
            Ok(())
        }
    }

    async fn check(changes: &[usize], expected: &[(usize, bool)]) {
        let mut sizes = Sizes::default();
        let mut batches = Batches::new(&mut sizes, "dc=x");
        for bytes in changes {
            let change = Change::Delete { anchor: Anchor(vec![1]) };
            batches.push(change, *bytes).await.unwrap();
        }
        batches.close(SourceState::default()).await.unwrap();
        assert_eq!(sizes.0, expected);
    }

    #[tokio::test]
    async fn l03_a_batch_is_bounded_and_only_the_last_one_carries_the_state() {
        check(&[], &[(0, true)]).await;
        check(&[1; 1_000], &[(1_000, true)]).await;
        check(&[1; 1_001], &[(1_000, false), (1, true)]).await;
        check(&[BATCH_BYTES_MAX, 1], &[(1, false), (1, true)]).await;
        check(&[BATCH_BYTES_MAX - 1, 1], &[(2, true)]).await;
        check(&[BATCH_BYTES_MAX + 1, BATCH_BYTES_MAX + 1], &[(1, false), (1, true)]).await;
    }
}
