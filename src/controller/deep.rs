//! Runs template work on threads with a deep stack: a hostile template may nest deeply, and on a small stack that would
//! end the process for everybody. A thread that has nothing to do waits a while for more, as to make one takes longer than
//! to render a row.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::lock::lock;

/// 64 KiB of the worst template need less.
const STACK: usize = 32 << 20;
/// So many threads wait for work at most.
const IDLE: usize = 4;
/// How long they wait. What a template has used of a stack is given back with its thread.
const PATIENCE: Duration = Duration::from_secs(10);

type Work = Box<dyn FnOnce() + Send>;

/// The threads. Each works on one thing at a time; nothing ever waits for one that is at work.
#[derive(Default)]
pub struct Deep {
    idle: Arc<Idle>,
}

#[derive(Default)]
struct Idle {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

/// There is never more work than threads that wait for it.
#[derive(Default)]
struct Queue {
    threads: usize,
    work: VecDeque<Work>,
}

impl Deep {
    /// Runs `work` on a thread that does nothing else meanwhile; None if it panicked or no thread could be had. Work that
    /// takes long asks whether its result is still waited for.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        let work = Box::new(move || {
            let result = work(&|| !done.is_closed());
            // The receiver is gone where the pass was given up: nothing to tell then.
            let _ = done.send(result);
        });
        if let Some(work) = self.idle.hand_over(work) {
            let idle = self.idle.clone();
            let thread = std::thread::Builder::new().name("template".into()).stack_size(STACK);
            thread.spawn(move || idle.work_from(work)).ok()?;
        }
        result.await.ok()
    }
}

impl Idle {
    /// To a thread that waits for it; back where there is none.
    fn hand_over(&self, work: Work) -> Option<Work> {
        let mut queue = lock(&self.queue);
        if queue.work.len() >= queue.threads {
            return Some(work);
        }
        queue.work.push_back(work);
        self.arrived.notify_one();
        None
    }

    /// What a thread does all its life. One that panics is never waited for: it has not come back.
    fn work_from(&self, first: Work) {
        let mut next = Some(first);
        while let Some(work) = next {
            work();
            next = self.wait();
        }
    }

    fn wait(&self) -> Option<Work> {
        let mut queue = lock(&self.queue);
        if queue.threads >= IDLE {
            return None;
        }
        queue.threads += 1;
        let waited = self.arrived.wait_timeout_while(queue, PATIENCE, |queue| queue.work.is_empty());
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.threads -= 1;
        queue.work.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{ThreadId, current};

    use super::*;

    async fn thread(deep: &Deep) -> ThreadId {
        deep.run(|_| current().id()).await.unwrap()
    }

    /// Waits until so many threads have nothing to do.
    async fn idle(deep: &Deep, threads: usize) {
        while lock(&deep.idle.queue).threads != threads {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_thread_that_has_nothing_to_do_is_used_again() {
        let deep = Deep::default();
        let first = thread(&deep).await;
        idle(&deep, 1).await;
        assert_eq!(thread(&deep).await, first);
    }

    #[tokio::test]
    async fn nothing_waits_for_work_that_does_not_end() {
        let deep = Deep::default();
        thread(&deep).await;
        idle(&deep, 1).await;
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let endless = deep.run(move |_| ended.recv());
        tokio::pin!(endless);
        assert!(futures::poll!(&mut endless).is_pending());
        for _ in 0..3 {
            thread(&deep).await;
        }
        drop(end);
        assert!(endless.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn work_that_panics_takes_only_its_own_thread_with_it() {
        let deep = Deep::default();
        let first = thread(&deep).await;
        idle(&deep, 1).await;
        assert_eq!(deep.run(|_| std::panic::resume_unwind(Box::new(()))).await, None::<()>);
        assert_ne!(thread(&deep).await, first);
        idle(&deep, 1).await;
    }

    #[tokio::test]
    async fn no_more_threads_wait_than_may() {
        let deep = Deep::default();
        let barrier = Arc::new(std::sync::Barrier::new(2 * IDLE));
        let all = (0..2 * IDLE).map(|_| {
            let barrier = barrier.clone();
            deep.run(move |_| barrier.wait().is_leader())
        });
        assert_eq!(futures::future::join_all(all).await.len(), 2 * IDLE);
        // Until each waits or is gone.
        while Arc::strong_count(&deep.idle) != 1 + lock(&deep.idle.queue).threads {
            tokio::task::yield_now().await;
        }
        assert_eq!(lock(&deep.idle.queue).threads, IDLE);
    }
}
