//! Looks for ServiceAccounts. To the API server an account that does not exist is as good as any other: in its name
//! all is allowed that some rule still allows it.

use std::sync::Arc;

use super::Cluster;
use super::failure::Failure;
use crate::logic::account::Account;
use crate::logic::object::{GroupKind, Kind, ObjectId};

/// Why there is no account to work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// There is none of that name.
    #[error("the {0} does not exist")]
    NotFound(Arc<Account>),
    /// It could not be looked for.
    #[error("could not look for the {0}: {1}")]
    Failed(Arc<Account>, Failure),
}

impl AccountError {
    /// Word for conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "ServiceAccountNotFound",
            Self::Failed(..) => "ServiceAccountUnreadable",
        }
    }
}

impl Cluster {
    /// Makes sure that an account exists.
    pub async fn find_account(&self, account: &Arc<Account>) -> Result<(), AccountError> {
        let group_kind = GroupKind { group: String::new(), kind: "ServiceAccount".into() };
        let kind = Kind {
            group_kind: group_kind.into(),
            version: "v1".into(),
            plural: "serviceaccounts".into(),
            namespaced: true,
        };
        let namespace = Some(account.namespace.as_str());
        let id = ObjectId {
            kind: kind.group_kind.clone(),
            namespace: namespace.map(Into::into),
            name: account.name.clone(),
        };
        match self.as_operator().metadata(&kind, &id).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(AccountError::NotFound(account.clone())),
            Err(failure) => Err(AccountError::Failed(account.clone(), failure)),
        }
    }
}
