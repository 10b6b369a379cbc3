//! How much is read at once from an upstream in HTTP/1.1.
//!
//! The HTTP library makes its buffers as large as its reads are, and a few of them wait until the
//! caller reads. So reads are small at first. They grow while the response keeps flowing, out of a
//! budget for all connections of the process, and are small again once little arrives.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// The bytes by which the buffers of all connections may grow.
const BUDGET: usize = 16 << 20;
/// The number of full reads in a row after which reads grow.
const FULL_READS: u32 = 8;

static GROWN: AtomicUsize = AtomicUsize::new(0);

/// The sizes of reads: the most bytes of one read, and the budget that it needs.
const SIZES: [(usize, usize); 3] = [(8 << 10, 0), (64 << 10, 256 << 10), (usize::MAX, 1 << 20)];

/// The reads of one connection.
#[derive(Debug, Default)]
pub(crate) struct ReadPace {
    /// The index of the present size.
    size: usize,
    full_reads: u32,
}

impl ReadPace {
    /// Reads as much as the present size allows.
    pub(crate) fn poll_read(
        &mut self,
        below: Pin<&mut impl AsyncRead>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let most = into.remaining().min(SIZES[self.size].0);
        if most == into.remaining() {
            ready!(below.poll_read(cx, into))?;
        } else {
            let mut piece = ReadBuf::new(into.initialize_unfilled_to(most));
            ready!(below.poll_read(cx, &mut piece))?;
            let read = piece.filled().len();
            into.advance(read);
        }
        self.record(into.filled().len() - before, most);
        Poll::Ready(Ok(()))
    }

    /// Chooses the size of the next read, after `read` bytes of at most `most`.
    fn record(&mut self, read: usize, most: usize) {
        self.full_reads = if read == most { self.full_reads + 1 } else { 0 };
        let smaller = self.size.checked_sub(1).filter(|size| read < SIZES[*size].0 / 2);
        if let Some(smaller) = smaller {
            self.change(smaller);
        } else if self.full_reads >= FULL_READS && self.size + 1 < SIZES.len() {
            self.change(self.size + 1);
        }
    }

    fn change(&mut self, size: usize) {
        let (has, needs) = (SIZES[self.size].1, SIZES[size].1);
        self.full_reads = 0;
        if needs > has {
            let grown = GROWN.fetch_add(needs - has, Ordering::Relaxed) + needs - has;
            if grown > BUDGET {
                GROWN.fetch_sub(needs - has, Ordering::Relaxed);
                return;
            }
        } else {
            GROWN.fetch_sub(has - needs, Ordering::Relaxed);
        }
        self.size = size;
    }
}

impl Drop for ReadPace {
    fn drop(&mut self) {
        GROWN.fetch_sub(SIZES[self.size].1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_grow_while_a_response_flows_out_of_one_budget() {
        let full = |pace: &mut ReadPace| {
            let most = SIZES[pace.size].0.min(400_000);
            pace.record(most, most);
        };
        let mut connections: Vec<ReadPace> = Vec::new();
        for _ in 0..100 {
            let mut pace = ReadPace::default();
            for _ in 0..3 * FULL_READS {
                full(&mut pace);
            }
            connections.push(pace);
        }
        let of_size = |connections: &[ReadPace], size| {
            connections.iter().filter(|pace| pace.size == size).count()
        };
        assert_eq!((of_size(&connections, 2), of_size(&connections, 0)), (16, 84));
        assert!(GROWN.load(Ordering::Relaxed) <= BUDGET);
        // Little arrives: the budget is free for others.
        for pace in &mut connections {
            pace.record(100, 8 << 10);
            pace.record(100, 8 << 10);
        }
        assert_eq!((of_size(&connections, 0), GROWN.load(Ordering::Relaxed)), (100, 0));
        for _ in 0..FULL_READS {
            full(&mut connections[0]);
        }
        assert_eq!((connections[0].size, GROWN.load(Ordering::Relaxed)), (1, 256 << 10));
        drop(connections);
        assert_eq!(GROWN.load(Ordering::Relaxed), 0);
    }
}
