//! Why nothing that is notified can be relied on, for all tables of a server.

use crate::postgres::Ping;

/// Above this it may be that triggers have not notified since the last look. They do not where the queue is more than a
/// quarter full, so that it never fills up because of us; between two looks it does not rise by more than the difference.
const FULL: f64 = 0.2;

/// Why nothing can be relied on to be notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// The server's queue is too full.
    Full,
    /// Whoever notifies waits for somebody else's commit.
    Stuck,
}

impl Held {
    /// What a look tells, and who was about to commit at the last one. Where nobody waits for long, since all give up
    /// before, it is told by that it is still the same one.
    pub(super) fn of(ping: &Ping, before: Option<&str>) -> Option<Self> {
        let is_the_same = ping.committing.is_some() && ping.committing.as_deref() == before;
        if ping.is_stuck || is_the_same { Some(Self::Stuck) } else { (ping.usage > FULL).then_some(Self::Full) }
    }

    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Full => {
                "the server's queue of notifications is more than a fifth full: somebody listens and does not take what \
                 is notified (pg_notification_queue_usage), and above a quarter nothing is sent"
            }
            Self::Stuck => {
                "transactions that notify wait for another one to commit (maybe that waits for a synchronous standby), \
                 so none is to notify until that is over"
            }
        }
    }
}
