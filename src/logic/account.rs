//! The ServiceAccount in whose name the objects of a DatabaseQueryResource are read and written. Pure.

use std::fmt;
use std::sync::Arc;

use crate::crd::Dbqr;

/// A ServiceAccount: always one of the namespace of the DatabaseQueryResource that names it, so that nobody borrows
/// the rights of other namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Account {
    /// The one that a resource names, also where its spec as a whole does not decode.
    pub fn of(dbqr: &Dbqr) -> Option<Arc<Self>> {
        let name = dbqr.service_account_name.clone()?;
        Some(Self { namespace: dbqr.name().1.into(), name }.into())
    }

    /// Whom the API server takes it for. Of a ServiceAccount it knows the groups by itself.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceAccount {}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::api::{ApiResource, DynamicObject};

    #[test]
    fn an_account_is_of_the_resources_namespace_and_is_known_where_the_rest_of_the_spec_is_not() {
        let kind = ApiResource::erase::<crate::crd::DatabaseQueryResource>(&());
        let mut object = DynamicObject::new("q", &kind).within("team");
        assert_eq!(Account::of(&Dbqr::read(&object)), None);
        object.data = serde_json::json!({"spec": {"serviceAccountName": "writer", "pollInterval": 5}});
        let dbqr = Dbqr::read(&object);
        assert!(dbqr.spec.is_err());
        let account = Account::of(&dbqr).unwrap();
        assert_eq!(account.user(), "system:serviceaccount:team:writer");
        assert_eq!(account.to_string(), "ServiceAccount team/writer");
    }
}
