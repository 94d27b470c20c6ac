//! Reads, decides and writes what was read, and does so once more where somebody else wrote in between.

use super::failure::Failure;

/// Writes that lose against others are repeated so often.
pub(super) const TRIES: u32 = 6;

/// Tries until the write does not come too late (409: what was read is not what is there), at most so often; then that is
/// the answer.
pub(super) async fn unless_overtaken<T, F>(tries: u32, attempt: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    for _ in 1..tries {
        match attempt().await {
            Err(failure) if failure.code() == Some(409) => {}
            done => return done,
        }
    }
    attempt().await
}
