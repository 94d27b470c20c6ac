//! What a DatabaseQueryResource may touch: its own namespace, and what the operator's flags add. Pure.

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
}

/// Something the flags do not allow; the message names the flag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Objects in a foreign namespace.
    #[error("objects in namespace {0} need the operator's --allow-namespaces={0}")]
    Namespace(String),
    /// A cluster-scoped object.
    #[error("cluster-scoped {0} objects need the operator's --allow-cluster-scoped={0}")]
    ClusterScoped(GroupKind),
    /// A Secret of a foreign namespace.
    #[error(
        "connectionSecretRef.namespace: Secrets of namespace {0} need the operator's --allow-secret-namespaces={0}"
    )]
    Secret(String),
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

    /// Whether objects may only ever be in the resource's own namespace.
    pub fn own_namespace_only(&self) -> bool {
        self.namespaces.is_empty()
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
}
