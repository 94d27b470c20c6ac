//! Server-side apply of one object: creates what is not there and updates what is ours, and never keeps hold of
//! anything else.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use super::Cluster;
use super::claims::{Claim, UNDER_WAY};
use super::failure::{Failure, Finding};
use super::request::{APPLY, Answer, Call, METADATA, Metadata, asked, object_path};
use crate::logic::fields::Fields;
use crate::logic::object::{Desired, FIELD_MANAGER, Owner, Ownership, written_by_others};

/// The API server takes no larger request, and breaks the connection instead of saying so.
const LARGEST: usize = 3 * 1024 * 1024;

/// An object is as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Whether it did not exist before.
    pub created: bool,
    /// Its uid.
    pub uid: Arc<str>,
    /// What we own of it.
    pub fields: Option<Fields>,
}

/// Whose way we would be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The object exists and is not ours.
    Exists {
        /// Whether our marks, which it got by the attempt, are off again. If not, that is tried again at every
        /// further attempt, and the object is treated as foreign meanwhile.
        released: bool,
    },
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
    /// It came without a body: it was taken to be applied already.
    #[error("there is nothing to apply")]
    Empty,
    /// Anything else.
    #[error("{0}")]
    Failed(Failure),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists { released: true } => {
                f.write_str("the object exists and is not managed by this resource; it was left as it was")
            }
            Self::Exists { released: false } => f.write_str(
                "the object exists and is not managed by this resource; our marks on it could not be removed yet",
            ),
            Self::Owner(owner) => write!(f, "the object belongs to the DatabaseQueryResource {owner}"),
            Self::Managers(fields) => {
                f.write_str("others manage its fields: ")?;
                for (i, (field, manager)) in fields.iter().take(5).enumerate() {
                    write!(f, "{}{field} ({manager})", if i == 0 { "" } else { ", " })?;
                }
                if fields.len() > 5 { write!(f, " and {} more", fields.len() - 5) } else { Ok(()) }
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
            Self::Empty => "Empty",
            Self::Failed(failure) => failure.reason(),
        }
    }

    /// Whether it may succeed later although neither row nor template change.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::TooLarge | Self::Empty => false,
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
                refused.causes.iter().filter_map(|c| Some((c.field.clone(), c.manager.clone()?))).collect(),
            )),
            _ => Self::Failed(failure),
        }
    }
}

impl Cluster {
    /// Applies an object that was looked up and not found. Takes nothing by force. Where it appeared meanwhile and is
    /// not ours, what the attempt left on it is taken off at once.
    pub async fn create(&self, owner: &Arc<Owner>, desired: &Desired) -> Result<Applied, ApplyError> {
        let body = sendable(desired, None)?;
        let earlier = self.claimed(owner, desired).await?;
        match self.apply(desired, body, false).await {
            Ok(answer) if answer.status == StatusCode::CREATED => {
                self.shared.claims.made(&desired.id);
                self.applied(&answer, true)
            }
            Ok(answer) => self.met(owner, desired, answer, earlier).await,
            Err(failure) => {
                if failure.nothing_happened() {
                    self.shared.claims.drop(&desired.id);
                }
                Err(self.not_applied(failure, desired))
            }
        }
    }

    /// Applies an object of ours, by force. Touches no other object that has its name by now.
    pub async fn update(&self, desired: &Desired, uid: &str) -> Result<Applied, ApplyError> {
        let body = sendable(desired, Some(uid))?;
        let answer = self.apply(desired, body, true).await.map_err(|failure| match failure {
            // Whatever else a conflict may be: the uid we know does not help any more.
            Failure::Refused(refused) if refused.is_write_conflict() => ApplyError::Replaced,
            failure => self.not_applied(failure, desired),
        })?;
        self.applied(&answer, false)
    }

    fn applied(&self, answer: &Answer, created: bool) -> Result<Applied, ApplyError> {
        let meta = answer.read::<Metadata>().map_err(ApplyError::Failed)?.metadata;
        if meta.deletion_timestamp.is_some() {
            return Err(ApplyError::BeingDeleted);
        }
        Ok(Applied { created, uid: meta.uid.as_deref().unwrap_or_default().into(), fields: self.fields(&meta) })
    }

    async fn apply(&self, desired: &Desired, body: Vec<u8>, ours: bool) -> Result<Answer, Failure> {
        let path = format!(
            "{}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict&force={ours}",
            object_path(&desired.kind, &desired.id)
        );
        let asked = asked("patch", &desired.kind, desired.id.namespace.as_deref());
        let call = Call { accept: METADATA, ..Call::patch(path, APPLY, body, asked) };
        // Asked twice, a creation cannot tell its own first half from a foreign object.
        self.call(Call { repeatable: ours, ..call }).await
    }

    /// Refuses what another owner has created or creates at the moment.
    async fn claimed(&self, owner: &Arc<Owner>, desired: &Desired) -> Result<Option<Claim>, ApplyError> {
        let other = match self.shared.claims.claim(&desired.id, owner) {
            Ok(earlier) => return Ok(earlier),
            Err(other) => other,
        };
        let conflict = || Err(ApplyError::Conflict(Conflict::Owner(other.owner.to_string())));
        // The claim may be history; the object knows.
        match self.metadata(&desired.kind, &desired.id).await.map_err(ApplyError::from)? {
            Some(meta) => match self.ownership(&meta, owner) {
                Ownership::Ours => Err(ApplyError::Replaced),
                Ownership::OtherOwner { owner } => Err(ApplyError::Conflict(Conflict::Owner(owner))),
                Ownership::Foreign => Err(ApplyError::Conflict(Conflict::Exists { released: true })),
            },
            None if !other.made && other.at.elapsed() < UNDER_WAY => conflict(),
            None => {
                self.shared.claims.drop(&desired.id);
                self.shared.claims.claim(&desired.id, owner).or_else(|_| conflict())
            }
        }
    }

    /// The object was there already: either by an earlier attempt of ours whose answer was lost, or it is foreign.
    async fn met(
        &self,
        owner: &Arc<Owner>,
        desired: &Desired,
        answer: Answer,
        earlier: Option<Claim>,
    ) -> Result<Applied, ApplyError> {
        let meta = answer.read::<Metadata>().map_err(ApplyError::Failed)?.metadata;
        let uid: Arc<str> = meta.uid.as_deref().unwrap_or_default().into();
        let lost_answer = earlier.is_some_and(|claim| !claim.made);
        if lost_answer || !written_by_others(&meta) {
            self.shared.claims.made(&desired.id);
            return self.applied(&answer, false);
        }
        self.shared.claims.drop(&desired.id);
        let released = self.release(&desired.kind, &desired.id, &uid, owner).await.is_ok();
        Err(ApplyError::Conflict(Conflict::Exists { released }))
    }

    fn not_applied(&self, failure: Failure, desired: &Desired) -> ApplyError {
        self.shared.kinds.forget_if_gone(&failure, &desired.kind);
        failure.into()
    }
}

fn sendable(desired: &Desired, uid: Option<&str>) -> Result<Vec<u8>, ApplyError> {
    let body = desired.body(uid).ok_or(ApplyError::Empty)?;
    if body.len() > LARGEST { Err(ApplyError::TooLarge) } else { Ok(body) }
}
