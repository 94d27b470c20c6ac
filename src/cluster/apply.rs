//! Server-side apply of one object: creates what is not there, shares what is nobody's whom we know, updates what is
//! ours, and never touches anything else.

mod error;

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::claims::UNDER_WAY;
use super::failure::Failure;
use super::request::{APPLY, Answer, Call, METADATA, Metadata, asked, object_path};
use super::{Cluster, Deleted};
use crate::crd::ConflictPolicy;
use crate::logic::conflict::{self, Verdict};
use crate::logic::object::{Desired, FIELD_MANAGER, Hold, Known, Owner, Ownership, marks_lost, ownership};
use crate::logic::pointer::Pointer;

pub use error::{ApplyError, Conflict};

/// The API server takes no larger request, and breaks the connection instead of saying so.
const LARGEST: usize = 3 * 1024 * 1024;
/// An object whose fields change hands while we look is tried again so often.
const TRIES: u32 = 4;

/// How an owner's objects are applied.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// What becomes of objects and fields that others have.
    pub policy: ConflictPolicy,
    /// Fields that are set at creation alone.
    pub ignored: Arc<[Pointer]>,
}

/// What was done to an object so that it is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It did not exist.
    Created,
    /// It existed and is shared from now on.
    Adopted,
    /// It existed and is ours.
    Updated,
    /// It could not be updated, and was deleted and created anew.
    Recreated,
}

/// An object is as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What was done.
    pub change: Change,
    /// How it is now.
    pub known: Known,
    /// Fields that were left to others, and to whom.
    pub yielded: Vec<(String, String)>,
}

impl Cluster {
    /// Creates an object that was looked up and not found, and leaves to others what is to be left to them.
    pub async fn make(&self, owner: &Arc<Owner>, desired: &Desired, terms: &Terms) -> Result<Applied, ApplyError> {
        let made = self.create(owner, desired).await?;
        if !desired.begins_otherwise() {
            return Ok(made);
        }
        // Boxed, as an update may end in a creation.
        let settled = Box::pin(self.update(owner, desired, &made.known, terms)).await?;
        Ok(Applied { change: made.change, ..settled })
    }

    /// Creates an object that was looked up and not found, and nothing else: where it appeared meanwhile, be it by an
    /// earlier attempt whose answer was lost, it is not touched. So whatever carries our marks and not the one of what
    /// existed is known to be made by us, also by a process that knows nothing of the attempt.
    pub async fn create(&self, owner: &Arc<Owner>, desired: &Desired) -> Result<Applied, ApplyError> {
        let body = sendable(desired.first_body())?;
        self.claimed(owner, desired).await?;
        let failure = match self.apply(desired, body, Force::Never).await {
            Ok(answer) => {
                self.shared.claims.made(&desired.id);
                return self.applied(owner, Change::Created, Hold::Created, &metadata(&answer)?);
            }
            Err(failure) => failure,
        };
        if failure.nothing_happened() {
            self.shared.claims.drop(&desired.id);
        }
        match failure {
            Failure::Refused(refused) if refused.is_write_conflict() => Err(ApplyError::Conflict(Conflict::Exists)),
            failure => Err(self.not_applied(failure, desired)),
        }
    }

    /// Applies to an object with this uid that was looked up and is nobody's whom we know. Under `Force` all fields are
    /// taken; else one that somebody holds leaves the object as it was.
    pub async fn adopt(
        &self,
        owner: &Arc<Owner>,
        desired: &Desired,
        uid: &str,
        terms: &Terms,
    ) -> Result<Applied, ApplyError> {
        let body = sendable(desired.body(Hold::Adopted, Some(uid)))?;
        self.claimed(owner, desired).await?;
        let claim = if terms.policy == ConflictPolicy::Force { conflict::Claim::All } else { conflict::Claim::None };
        match self.contend(desired, body, claim).await {
            Ok((answer, yielded)) => {
                self.shared.claims.made(&desired.id);
                Ok(Applied { yielded, ..self.applied(owner, Change::Adopted, Hold::Adopted, &metadata(&answer)?)? })
            }
            Err(error) => {
                self.shared.claims.drop(&desired.id);
                Err(error)
            }
        }
    }

    /// Applies an object of ours. Takes back what is ours to take. Touches no other object that has its name by now.
    pub async fn update(
        &self,
        owner: &Arc<Owner>,
        desired: &Desired,
        known: &Known,
        terms: &Terms,
    ) -> Result<Applied, ApplyError> {
        let body = sendable(desired.body(known.hold, Some(&known.uid)))?;
        if !terms.ignored.is_empty() {
            self.hand_over(desired, &known.uid, &terms.ignored).await?;
        }
        let as_before = known.hash.as_ref() == Some(&desired.hash);
        let claim = if known.hold != Hold::Adopted || terms.policy == ConflictPolicy::Force || as_before {
            conflict::Claim::All
        } else {
            conflict::Claim::Earlier(known.applied.as_ref())
        };
        match self.contend(desired, body, claim).await {
            Ok((answer, yielded)) => {
                Ok(Applied { yielded, ..self.applied(owner, Change::Updated, known.hold, &metadata(&answer)?)? })
            }
            // Whatever else a conflict may be: the uid we know does not help any more.
            Err(ApplyError::Failed(Failure::Refused(refused))) if refused.is_write_conflict() => {
                Err(ApplyError::Replaced)
            }
            Err(ApplyError::Failed(Failure::Refused(refused)))
                if refused.is_of_immutable_fields() && desired.wishes.recreate && known.hold != Hold::Adopted =>
            {
                self.recreate(owner, desired, &known.uid, terms).await
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes an object that cannot be updated, and creates it anew once it is gone.
    async fn recreate(
        &self,
        owner: &Arc<Owner>,
        desired: &Desired,
        uid: &str,
        terms: &Terms,
    ) -> Result<Applied, ApplyError> {
        let (kind, id) = (&desired.kind, &desired.id);
        match self.delete_created(kind, id, uid, owner).await.map_err(ApplyError::from)? {
            Some(Deleted::Deleted | Deleted::AlreadyGone) => {}
            Some(Deleted::Protected) => return Err(ApplyError::Protected),
            _ => return Err(ApplyError::Replaced),
        }
        if self.metadata(kind, id).await.map_err(ApplyError::from)?.is_some() {
            return Err(ApplyError::BeingDeleted);
        }
        Ok(Applied { change: Change::Recreated, ..self.make(owner, desired, terms).await? })
    }

    /// Applies without force first, and then as far as the claim to fields that others hold goes.
    async fn contend(
        &self,
        desired: &Desired,
        mut body: Vec<u8>,
        claim: conflict::Claim<'_>,
    ) -> Result<(Answer, Vec<(String, String)>), ApplyError> {
        let (mut force, mut yielded, mut tries) = (Force::IfNeeded, Vec::new(), 1);
        loop {
            let failure = match self.apply(desired, body.clone(), force).await {
                Ok(answer) => return Ok((answer, yielded)),
                Err(failure) => failure,
            };
            let held = match &failure {
                Failure::Refused(refused) if tries < TRIES => refused.held_fields(),
                _ => Vec::new(),
            };
            if held.is_empty() {
                return Err(self.not_applied(failure, desired));
            }
            let (without, by_force) = match conflict::resolve(held, claim) {
                Verdict::Again { without, force } => (without, force),
                Verdict::Wait(fields) => return Err(managers(&fields)),
            };
            for field in without {
                body = conflict::without(&body, &field.path).ok_or_else(|| managers(std::slice::from_ref(&field)))?;
                yielded.push(error::named(&field));
            }
            if by_force {
                force = Force::Always;
            }
            tries += 1;
        }
    }

    fn applied(&self, owner: &Owner, change: Change, hold: Hold, meta: &ObjectMeta) -> Result<Applied, ApplyError> {
        if meta.deletion_timestamp.is_some() {
            return Err(ApplyError::BeingDeleted);
        }
        let lost = marks_lost(meta, owner);
        if !lost.is_empty() {
            return Err(ApplyError::Unmarked(lost));
        }
        let seen = self.noted(meta, owner);
        let hold = match (seen.hold, hold) {
            (Hold::Adopted, _) => Hold::Adopted,
            // So it was sent: the user protects it.
            (Hold::Independent, Hold::Created) if !seen.referring => Hold::Independent,
            _ => hold,
        };
        Ok(Applied { change, known: Known { hold, ..seen }, yielded: Vec::new() })
    }

    async fn apply(&self, desired: &Desired, body: Vec<u8>, force: Force) -> Result<Answer, Failure> {
        let path = format!(
            "{}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict&force={}",
            object_path(&desired.kind, &desired.id),
            force == Force::Always
        );
        let asked = asked("patch", &desired.kind, desired.id.namespace.as_deref());
        let call = Call { accept: METADATA, ..Call::patch(path, APPLY, body, asked) };
        // Asked twice, a creation meets itself.
        self.call(Call { repeatable: force != Force::Never, ..call }).await
    }

    /// Refuses what another owner has created or adopted, or does so at the moment.
    async fn claimed(&self, owner: &Arc<Owner>, desired: &Desired) -> Result<(), ApplyError> {
        let Err(other) = self.shared.claims.claim(&desired.id, owner) else { return Ok(()) };
        let conflict = || Err(ApplyError::Conflict(Conflict::Owner(other.owner.to_string())));
        let under_way = !other.made && other.at.elapsed() < UNDER_WAY;
        // The claim may be history; the object knows.
        let whose = self.metadata(&desired.kind, &desired.id).await.map_err(ApplyError::from)?;
        match whose.map(|meta| ownership(&meta, owner)) {
            Some(Ownership::Ours) => Err(ApplyError::Replaced),
            Some(Ownership::OtherOwner { owner }) => Err(ApplyError::Conflict(Conflict::Owner(owner))),
            _ if under_way => conflict(),
            _ => {
                self.shared.claims.drop(&desired.id);
                self.shared.claims.claim(&desired.id, owner).or_else(|_| conflict())
            }
        }
    }

    fn not_applied(&self, failure: Failure, desired: &Desired) -> ApplyError {
        self.shared.kinds.forget_if_gone(&failure, &desired.kind);
        failure.into()
    }
}

/// Whether fields are taken from others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Force {
    /// No, and a failure is not repeated either.
    Never,
    /// Not yet.
    IfNeeded,
    /// Yes.
    Always,
}

fn managers(fields: &[conflict::HeldField]) -> ApplyError {
    ApplyError::Conflict(Conflict::Managers(fields.iter().map(error::named).collect()))
}

fn metadata(answer: &Answer) -> Result<ObjectMeta, ApplyError> {
    Ok(answer.read::<Metadata>().map_err(ApplyError::Failed)?.metadata)
}

fn sendable(body: Option<Vec<u8>>) -> Result<Vec<u8>, ApplyError> {
    let body = body.ok_or(ApplyError::Empty)?;
    if body.len() > LARGEST { Err(ApplyError::TooLarge) } else { Ok(body) }
}
