//! What can go wrong in a pass: one variant per step.

use std::time::Duration;

use crate::cluster;
use crate::logic::invalid::InvalidSpec;
use crate::logic::outcome::Failed;
use crate::postgres;

/// A step that failed. Texts hold no value of a row, an object, a Secret or a DSN.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The finalizer could not be put on.
    #[error("could not put on the finalizer: {0}")]
    Guard(#[source] cluster::Error),
    /// The Secret could not be read.
    #[error("{0}")]
    Fetch(#[source] cluster::FetchError),
    /// The account is not there.
    #[error("{0}")]
    Account(#[source] cluster::AccountError),
    /// Spec or Secret make no sense.
    #[error("{0}")]
    Validate(#[source] InvalidSpec),
    /// The database did not answer as it should.
    #[error("{0}")]
    Query(#[source] postgres::Error),
    /// Rendering ended before its time.
    #[error("rendering was aborted; see the operator's log")]
    Render,
    /// The template costs too much.
    #[error("rendering was given up: {rows} rows took {took:.1?}; the template costs too much")]
    Costly {
        /// Rows rendered by then.
        rows: u64,
        /// How long they took.
        took: Duration,
    },
    /// What exists could not be listed.
    #[error("could not list what exists: {0}")]
    Recall(#[source] cluster::Error),
    /// Objects that are to stay could not be made independent.
    #[error("could not take the references to the resource from its objects: {0}")]
    Orphan(String),
    /// Kinds could not be recorded.
    #[error("could not record the kinds of objects: {0}")]
    Track(#[source] cluster::Error),
    /// What exists under the names of new objects could not be looked up.
    #[error("could not look up existing objects: {0}")]
    LookUp(#[source] cluster::Error),
    /// The clean-up of a deleted resource did not succeed.
    #[error("could not clean up: {0}")]
    CleanUp(String),
    /// The process is being stopped or the resource deleted.
    #[error("stopped")]
    Stopped,
}

impl Error {
    /// Reason of conditions and events.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Guard(_) => "FinalizerFailed",
            Self::Fetch(error) => error.reason(),
            Self::Account(error) => error.reason(),
            Self::Validate(_) => "InvalidSpec",
            Self::Query(error) => error.reason(),
            Self::Render | Self::Costly { .. } => "RenderFailed",
            Self::Recall(_) | Self::LookUp(_) => "ListFailed",
            Self::Orphan(_) => "OrphanFailed",
            Self::Track(_) => "TrackFailed",
            Self::CleanUp(_) => "CleanUpFailed",
            Self::Stopped => "Stopped",
        }
    }

    /// Whether trying again is in vain until the spec or the Secret changes.
    pub fn is_stalled(&self) -> bool {
        matches!(self, Self::Validate(_))
    }

    /// For the report.
    pub fn failed(&self) -> Failed {
        Failed {
            reason: self.reason(),
            message: self.to_string(),
            stalled: self.is_stalled(),
            database: match self {
                Self::Query(error) if error.is_of_database() => Some(false),
                // It has answered by then.
                Self::LookUp(_) | Self::Track(_) | Self::Costly { .. } => Some(true),
                _ => None,
            },
            blind: self.is_blind(),
        }
    }

    /// Whether no rows are read until it is mended.
    fn is_blind(&self) -> bool {
        matches!(self, Self::Fetch(_) | Self::Account(_) | Self::Validate(_) | Self::Query(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::Busy;

    #[test]
    fn a_lack_of_connections_says_nothing_of_the_database_and_passes() {
        let busy = postgres::Error::Busy { busy: Busy::Pool(4), waited: Duration::from_secs(30) };
        let failed = Error::Query(busy).failed();
        assert_eq!((failed.reason, failed.stalled, failed.database), ("NoFreeConnection", false, None));
        let failed = Error::Query(postgres::Error::Unreachable("why")).failed();
        assert_eq!((failed.reason, failed.stalled, failed.database), ("DatabaseUnreachable", false, Some(false)));
        assert!(failed.blind);
    }

    #[test]
    fn where_rows_were_read_changes_are_noticed_whatever_failed_then() {
        let failed = Error::Costly { rows: 1, took: Duration::from_secs(9) }.failed();
        assert_eq!((failed.database, failed.blind), (Some(true), false));
        let failed = Error::CleanUp("why".into()).failed();
        assert_eq!((failed.database, failed.blind), (None, false));
        let invalid = Error::Validate(InvalidSpec("why".into())).failed();
        assert_eq!((invalid.database, invalid.blind), (None, true));
    }

    #[test]
    fn a_server_that_is_too_old_is_tried_again_it_may_be_upgraded() {
        let old = crate::logic::version::check(Some("13.4")).unwrap_err();
        let failed = Error::Query(postgres::Error::Version(old)).failed();
        assert_eq!((failed.reason, failed.stalled, failed.database), ("UnsupportedVersion", false, Some(false)));
        assert!(failed.message.contains("PostgreSQL 13"), "{}", failed.message);
    }
}
