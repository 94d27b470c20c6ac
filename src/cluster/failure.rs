//! Why a request to the API server failed, holding only what may be shown. An API server's message
//! quotes values of the object it refuses, and so do webhooks: no text of a message but names that
//! are not the object's is ever stored here, so that neither `Display` nor `Debug` can leak one. Pure.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::logic::account::Account;
use crate::logic::conflict::HeldField;

/// The reason of a cause that a field cannot be changed: made by us of several that mean it.
pub(super) const IMMUTABLE: &str = "FieldImmutable";

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The API server answered with an error.
    #[error("{0}")]
    Refused(Box<Refused>),
    /// No answer in time. What was asked may or may not have happened.
    #[error("the API server did not answer in time")]
    Timeout,
    /// No connection, or it broke. What was asked may or may not have happened.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(&'static str),
    /// The answer is not what was asked for.
    #[error("the answer of the API server could not be read")]
    Unreadable,
}

/// An error answer of the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// HTTP status; 403 where it was a webhook that said no, whatever that answered, unless it finds fields wrong.
    pub code: u16,
    /// The API's reason where it is one of those Kubernetes defines (webhooks may send any text).
    pub reason: &'static str,
    /// The fields it is about.
    pub causes: Vec<Cause>,
    /// What else could be told from the answer.
    pub finding: Finding,
    /// The admission webhook or policy that was in the way, as the cluster's configuration names it.
    pub denier: Option<String>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// What was asked for.
    pub asked: Asked,
    /// In whose name, where that was not the operator's own.
    pub account: Option<Arc<Account>>,
}

/// One field that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Path of the field; keys in brackets other than numbers are values and left out.
    pub field: String,
    /// Kind of fault, such as `FieldValueInvalid`.
    pub reason: &'static str,
    /// For `FieldManagerConflict`: the field and who holds it.
    pub held: Option<HeldField>,
}

/// What was recognised in an error message, as a fact without its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finding {
    /// Nothing more.
    #[default]
    None,
    /// Our account lacks the right, or the one in whose name we asked.
    Rbac,
    /// Our account may not ask in the name of the other one.
    Impersonation,
    /// A ResourceQuota is used up.
    Quota,
    /// The namespace's Pod Security level forbids it.
    PodSecurity,
    /// An admission webhook said no.
    Webhook,
    /// An admission webhook could not be asked.
    WebhookAway,
    /// A ValidatingAdmissionPolicy said no.
    Policy,
    /// The object does not fit the schema of its kind; the server calls this 500.
    Schema,
    /// A value is not of the form that its field takes, and the server does not say which; it calls this 500.
    Malformed(Form),
    /// The object is not the one with the uid we named, or is gone.
    OtherUid,
    /// The namespace does not exist.
    NoNamespace,
    /// The server does not serve this kind.
    NoKind,
    /// The object is too large to store.
    TooLarge,
    /// The cluster's own storage takes nothing more.
    StorageFull,
}

/// What a value would have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Such as `500m` or `2Gi`.
    Quantity,
    /// Such as `2006-01-02T15:04:05Z`.
    Time,
    /// Encoded bytes.
    Base64,
    /// The server does not say.
    Unknown,
}

/// What was asked of the server, as we know it ourselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// RBAC verb.
    pub verb: &'static str,
    /// Resource as in an RBAC rule, such as `deployments.apps`.
    pub resource: String,
    /// Namespace, where there is one.
    pub namespace: Option<Arc<str>>,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.finding, &self.account) {
            (Finding::Rbac, None) => return write!(f, "not allowed to {}", self.asked),
            (Finding::Rbac, Some(account)) => return write!(f, "the {account} is not allowed to {}", self.asked),
            (Finding::Impersonation, Some(account)) => {
                return write!(f, "the operator is not allowed to impersonate the {account}");
            }
            _ => {}
        }
        write!(f, "{} {}", self.code, if self.reason.is_empty() { "error" } else { self.reason })?;
        match (self.finding, &self.denier) {
            (Finding::Webhook, Some(name)) => write!(f, " (denied by the admission webhook {name})")?,
            (Finding::WebhookAway, Some(name)) => write!(f, " (the admission webhook {name} cannot be reached)")?,
            (Finding::Policy, Some(name)) => write!(f, " (denied by the admission policy {name})")?,
            (finding, _) => f.write_str(finding.text())?,
        }
        for (i, cause) in self.causes.iter().take(5).enumerate() {
            write!(f, "{} {} {}", if i == 0 { ":" } else { "," }, cause.field, cause.reason)?;
        }
        if self.causes.len() > 5 { write!(f, " and {} more", self.causes.len() - 5) } else { Ok(()) }
    }
}

impl Refused {
    /// Whether it lost against another write to the same object, and nothing else is wrong.
    pub(super) fn is_write_conflict(&self) -> bool {
        self.code == 409 && self.causes.is_empty() && self.finding == Finding::None && self.reason != "AlreadyExists"
    }

    /// Fields that others hold and that nothing but them is in the way of.
    pub(super) fn held_fields(&self) -> Vec<HeldField> {
        let held = self.causes.iter().map(|cause| cause.held.clone());
        held.collect::<Option<_>>().filter(|_| self.code == 409).unwrap_or_default()
    }

    /// Whether it could be created like this and never updated.
    pub(super) fn is_of_immutable_fields(&self) -> bool {
        self.code == 422 && !self.causes.is_empty() && self.causes.iter().all(|cause| cause.reason == IMMUTABLE)
    }
}

impl Finding {
    fn text(self) -> &'static str {
        match self {
            Self::None | Self::Rbac | Self::Impersonation => "",
            Self::Quota => " (a quota is exceeded)",
            Self::PodSecurity => " (the namespace's Pod Security level forbids it)",
            Self::Webhook => " (denied by an admission webhook)",
            Self::WebhookAway => " (an admission webhook cannot be reached)",
            Self::Policy => " (denied by an admission policy)",
            Self::Schema => " (does not fit the schema of its kind)",
            Self::Malformed(Form::Quantity) => {
                " (the server could not decode the object: a quantity, such as 500m, is malformed)"
            }
            Self::Malformed(Form::Time) => " (the server could not decode the object: a time is malformed)",
            Self::Malformed(Form::Base64) => " (the server could not decode the object: a value is not base64)",
            Self::Malformed(Form::Unknown) => " (the server could not decode the object: a value is malformed)",
            Self::OtherUid => " (it is another object by now, or gone)",
            Self::NoNamespace => " (no such namespace)",
            Self::NoKind => " (the server does not serve this kind)",
            Self::TooLarge => " (too large)",
            Self::StorageFull => " (the cluster's storage is full)",
        }
    }
}

impl Failure {
    /// Word for conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refused) if refused.reason.is_empty() => "Refused",
            Self::Refused(refused) => refused.reason,
            Self::Timeout => "Timeout",
            Self::Unreachable(_) => "Unreachable",
            Self::Unreadable => "Unreadable",
        }
    }

    /// Whether the same request may succeed later although nothing on our side changes.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(refused) => {
                !matches!(refused.finding, Finding::Schema | Finding::Malformed(_) | Finding::TooLarge)
                    && !matches!(refused.code, 400 | 405 | 406 | 413 | 415 | 422)
            }
            _ => true,
        }
    }

    /// Whether it is certain that the server did not do what was asked.
    pub fn nothing_happened(&self) -> bool {
        let is_of_object = |finding| matches!(finding, Finding::Schema | Finding::Malformed(_));
        matches!(self, Self::Refused(refused) if refused.code < 500 || is_of_object(refused.finding))
    }

    /// The HTTP status, where there was an answer.
    pub fn code(&self) -> Option<u16> {
        if let Self::Refused(refused) = self { Some(refused.code) } else { None }
    }

    /// Whether what was asked may have been done all the same: no answer came, or that of something in between.
    pub fn may_be_done(&self) -> bool {
        self.code().is_none_or(|code| code >= 500)
    }

    /// What was recognised in the answer.
    pub fn finding(&self) -> Finding {
        if let Self::Refused(refused) = self { refused.finding } else { Finding::None }
    }

    /// Whether our account lacks the right.
    pub fn is_forbidden(&self) -> bool {
        self.code() == Some(403)
    }

    /// Whether a rule is missing for whoever asked; not one by which the operator may ask in its name.
    pub fn lacks_rule(&self) -> bool {
        self.finding() == Finding::Rbac
    }

    /// Whether the server says there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Whether it says so of an object. That it does not serve the kind is no proof that nothing is there.
    pub fn is_no_object(&self) -> bool {
        self.is_not_found() && self.finding() != Finding::NoKind
    }
}
