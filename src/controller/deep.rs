//! Runs template work on a thread with a deep stack: a hostile template may nest deeply, and on a small stack that
//! would end the process for everybody.

use tokio::sync::oneshot;

/// 64 KiB of the worst template need less.
const STACK: usize = 32 << 20;

/// Runs `work` on a thread of its own; None if it panicked or no thread could be had. Work that takes long asks
/// whether its result is still waited for.
pub async fn run<T: Send + 'static>(work: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static) -> Option<T> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("template".into()).stack_size(STACK).spawn(move || {
        let result = work(&|| !done.is_closed());
        // The receiver is gone where the pass was given up: nothing to tell then.
        let _ = done.send(result);
    });
    match thread {
        Ok(_) => result.await.ok(),
        Err(_) => None,
    }
}
