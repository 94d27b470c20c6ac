//! Why an object was not applied.

use std::fmt;

use super::super::failure::{Failure, Finding};
use crate::logic::conflict::HeldField;
use crate::logic::few::few;

/// So many fields are named.
const NAMED: usize = 5;

/// Whose way we would be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The object appeared between the look that did not find it and its creation. The next look tells whose it is.
    Exists,
    /// Another DatabaseQueryResource has it, or is about to create it: `namespace/name`.
    Owner(String),
    /// Others hold fields: paths and managers.
    Managers(Vec<(String, String)>),
}

/// Why an object was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It is somebody else's.
    #[error("{0}")]
    Conflict(Conflict),
    /// The object is gone, or another one has its name now: look it up anew.
    #[error("the object was deleted or replaced meanwhile")]
    Replaced,
    /// The object is being deleted and waits for finalizers.
    #[error("the object is being deleted")]
    BeingDeleted,
    /// Its namespace is being deleted.
    #[error("its namespace is being deleted")]
    NamespaceTerminating,
    /// Its namespace does not exist.
    #[error("its namespace does not exist")]
    NamespaceMissing,
    /// The server serves its kind no longer.
    #[error("the server does not serve its kind any longer")]
    KindGone,
    /// It is larger than the API server takes.
    #[error("the object is too large")]
    TooLarge,
    /// It cannot be updated, and may be neither deleted nor created anew.
    #[error("its fields cannot be changed, and konnektr.io/prune: disabled keeps it from being created anew")]
    Protected,
    /// A field to ignore cannot be left to others alone.
    #[error("ignoreFields: {0} is part of a field that is only ever set as a whole")]
    Whole(String),
    /// It came without a body: it was taken to be applied already.
    #[error("there is nothing to apply")]
    Empty,
    /// It was applied, and is not marked as it was sent.
    #[error("admission in the cluster, such as a mutating webhook, takes off or changes {}", .0.join(", "))]
    Unmarked(Vec<&'static str>),
    /// Anything else.
    #[error("{0}")]
    Failed(Failure),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => {
                f.write_str("the object was created meanwhile; it was left as it is, and is looked at again")
            }
            Self::Owner(owner) => write!(f, "the object belongs to the DatabaseQueryResource {owner}"),
            Self::Managers(fields) => {
                let fields = fields.iter().map(|(field, manager)| format!("{field} ({manager})"));
                write!(f, "others manage its fields: {}", few(fields, NAMED))
            }
        }
    }
}

impl ApplyError {
    /// Word for conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "Conflict",
            Self::Replaced => "Replaced",
            Self::BeingDeleted => "BeingDeleted",
            Self::NamespaceTerminating => "NamespaceTerminating",
            Self::NamespaceMissing => "NamespaceNotFound",
            Self::KindGone => "UnknownKind",
            Self::TooLarge => "TooLarge",
            Self::Protected => "Protected",
            Self::Whole(_) => "InvalidObject",
            Self::Empty => "Empty",
            Self::Unmarked(_) => "Unmarked",
            Self::Failed(failure) => failure.reason(),
        }
    }

    /// Whether what was asked may have been done all the same.
    pub fn may_be_done(&self) -> bool {
        match self {
            Self::Unmarked(_) => true,
            Self::Failed(failure) => failure.may_be_done(),
            _ => false,
        }
    }

    /// Whether it may succeed later although neither row nor template change.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::TooLarge | Self::Whole(_) | Self::Empty => false,
            Self::Failed(failure) => failure.is_retryable(),
            _ => true,
        }
    }
}

impl From<Failure> for ApplyError {
    fn from(failure: Failure) -> Self {
        let Failure::Refused(refused) = &failure else { return Self::Failed(failure) };
        let has = |reason| refused.causes.iter().any(|cause| cause.reason == reason);
        match refused.finding {
            Finding::OtherUid => Self::Replaced,
            Finding::NoNamespace => Self::NamespaceMissing,
            Finding::NoKind => Self::KindGone,
            Finding::TooLarge => Self::TooLarge,
            _ if has("NamespaceTerminating") => Self::NamespaceTerminating,
            _ if has("FieldManagerConflict") => Self::Conflict(Conflict::Managers(
                refused.causes.iter().filter_map(|cause| Some(named(cause.held.as_ref()?))).collect(),
            )),
            _ => Self::Failed(failure),
        }
    }
}

/// A field and its manager, as they may be shown.
pub(super) fn named(field: &HeldField) -> (String, String) {
    (field.shown.clone(), field.manager.clone())
}
