//! What a DatabaseQueryResource may touch: its own namespace, and what the operator's flags add; or, with an account,
//! what the API server allows that. Pure.

use std::collections::BTreeSet;

use super::denied::DeniedHosts;
use super::object::{GroupKind, Owner};

/// What the flags allow beyond a resource's own namespace, and what they deny.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// `--allow-namespaces`: namespaces that objects may be written to; `*` is all.
    pub namespaces: Vec<String>,
    /// `--allow-cluster-scoped`: cluster-scoped kinds (`Namespace`, `ClusterRole.rbac.authorization.k8s.io`); `*` is all.
    pub cluster_scoped: Vec<String>,
    /// `--allow-secret-namespaces`: namespaces that connection Secrets, and certificates beside them, may be read
    /// from; `*` is all.
    pub secret_namespaces: Vec<String>,
    /// `--deny-database-hosts`: hosts that no database may be on.
    pub denied_database_hosts: DeniedHosts,
    /// `--require-service-account`: whether every resource has to name an account.
    pub require_account: bool,
}

/// Something the flags do not allow; the message names the flag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Objects in a foreign namespace.
    #[error("objects in namespace {0} need spec.serviceAccountName, or the operator's --allow-namespaces={0}")]
    Namespace(String),
    /// A cluster-scoped object.
    #[error("cluster-scoped {0} objects need spec.serviceAccountName, or the operator's --allow-cluster-scoped={0}")]
    ClusterScoped(GroupKind),
    /// A Secret of a foreign namespace.
    #[error(
        "connectionSecretRef.namespace: Secrets of namespace {0} need the operator's --allow-secret-namespaces={0}"
    )]
    Secret(String),
    /// No account where there has to be one.
    #[error("serviceAccountName must be set: the operator runs with --require-service-account")]
    NoAccount,
}

impl Rights {
    /// Whether objects of this kind may be written (and deleted) there.
    pub fn place(&self, kind: &GroupKind, namespace: Option<&str>, owner: &Owner) -> Result<(), Forbidden> {
        match namespace {
            Some(namespace) if namespace == owner.namespace || listed(&self.namespaces, namespace) => Ok(()),
            Some(namespace) => Err(Forbidden::Namespace(namespace.into())),
            None if listed(&self.cluster_scoped, &kind.to_string()) => Ok(()),
            None => Err(Forbidden::ClusterScoped(kind.clone())),
        }
    }

    /// Whether a Secret of that namespace may be read.
    pub fn secret(&self, namespace: &str, owner: &Owner) -> Result<(), Forbidden> {
        if namespace == owner.namespace || listed(&self.secret_namespaces, namespace) {
            Ok(())
        } else {
            Err(Forbidden::Secret(namespace.into()))
        }
    }

    /// The same for a resource whose objects are written in the name of an account: what that may do and where is
    /// for the API server to say. Secrets and hosts are the operator's to reach, so its flags go on to count for them.
    pub fn of_account(&self) -> Self {
        Self { namespaces: vec!["*".into()], cluster_scoped: vec!["*".into()], ..self.clone() }
    }

    /// Whether a resource may be without an account.
    pub fn account(&self, name: Option<&str>) -> Result<(), Forbidden> {
        if self.require_account && name.is_none() { Err(Forbidden::NoAccount) } else { Ok(()) }
    }

    /// Whether objects may only ever be in the resource's own namespace.
    pub fn own_namespace_only(&self) -> bool {
        self.namespaces.is_empty()
    }

    /// The namespaces that objects may be in; None where that may be any.
    pub fn places<'a>(&'a self, owner: &'a Owner) -> Option<BTreeSet<&'a str>> {
        let places = self.namespaces.iter().map(String::as_str).chain([owner.namespace.as_str()]).collect();
        Some(places).filter(|places: &BTreeSet<_>| !places.contains("*"))
    }
}

fn listed(list: &[String], item: &str) -> bool {
    list.iter().any(|entry| entry == "*" || entry == item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_beyond_the_own_namespace_without_a_flag_and_the_message_names_it() {
        let owner = Owner { name: "a".into(), namespace: "team".into(), uid: "u".into() };
        let kind = GroupKind { group: String::new(), kind: "ConfigMap".into() };
        let none = Rights::default();
        assert_eq!(none.place(&kind, Some("team"), &owner), Ok(()));
        let refused = none.place(&kind, Some("kube-system"), &owner).unwrap_err();
        assert!(refused.to_string().contains("--allow-namespaces=kube-system"));
        assert!(none.place(&kind, None, &owner).unwrap_err().to_string().contains("--allow-cluster-scoped=ConfigMap"));
        assert!(none.secret("other", &owner).unwrap_err().to_string().contains("--allow-secret-namespaces=other"));
        let all = Rights { namespaces: vec!["*".into()], ..Rights::default() };
        assert_eq!(all.place(&kind, Some("kube-system"), &owner), Ok(()));
        assert!(all.place(&kind, None, &owner).is_err());
    }

    #[test]
    fn what_an_account_writes_needs_no_flag_but_what_the_operator_reads_does() {
        let owner = Owner { name: "a".into(), namespace: "team".into(), uid: "u".into() };
        let kind = GroupKind { group: String::new(), kind: "Namespace".into() };
        let rights = Rights { namespaces: vec!["a".into()], ..Rights::default() }.of_account();
        assert_eq!(rights.place(&kind, Some("kube-system"), &owner), Ok(()));
        assert_eq!(rights.place(&kind, None, &owner), Ok(()));
        assert_eq!(rights.secret("other", &owner), Err(Forbidden::Secret("other".into())));
        assert!(!rights.own_namespace_only());
    }

    #[test]
    fn a_flag_makes_the_account_compulsory_and_the_message_names_flag_and_field() {
        assert_eq!(Rights::default().account(None), Ok(()));
        let rights = Rights { require_account: true, ..Rights::default() };
        assert_eq!(rights.account(Some("writer")), Ok(()));
        let refused = rights.account(None).unwrap_err().to_string();
        assert!(refused.contains("serviceAccountName") && refused.contains("--require-service-account"), "{refused}");
    }

    #[test]
    fn objects_may_be_in_the_own_namespace_and_the_listed_ones_or_anywhere() {
        let owner = Owner { name: "a".into(), namespace: "team".into(), uid: "u".into() };
        let listed = Rights { namespaces: vec!["b".into(), "a".into()], ..Rights::default() };
        assert_eq!(Rights::default().places(&owner), Some(["team"].into()));
        assert_eq!(listed.places(&owner), Some(["a", "b", "team"].into()));
        assert_eq!(listed.of_account().places(&owner), None);
    }
}
