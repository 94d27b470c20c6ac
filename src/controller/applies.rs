//! The applies under way: each a task of its own, so that it goes on whatever its resource waits for.

use std::future::pending;

use tokio::task::{JoinError, JoinSet};

use crate::cluster::{ApplyError, CarriedOut};
use crate::logic::queue::Work;

/// The applies under way: each a task of its own, so that it goes on whatever its resource waits for.
#[derive(Default)]
pub struct Applies(pub JoinSet<(Work, Result<CarriedOut, ApplyError>)>);

/// An apply that has ended.
pub type Landed = Result<(Work, Result<CarriedOut, ApplyError>), JoinError>;

impl Applies {
    /// Waits until one has ended. Forever where none is under way.
    pub async fn next(&mut self) -> Landed {
        match self.0.join_next().await {
            Some(landed) => landed,
            None => pending().await,
        }
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
