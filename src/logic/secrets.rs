//! Which Secrets a spec refers to, and what they hold beside the settings of the connection. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::ByteString;

use super::connection::certificates::{self, BadClient, Certificates};
use super::object::Owner;
use super::rights::{Forbidden, Rights};
use super::validate::InvalidSpec;
use crate::crd::{Database, SecretKeyRef};

/// The data of one Secret.
pub type Data = BTreeMap<String, ByteString>;

/// The Secrets of a resource's database: they are all in one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretNames {
    /// Their namespace: that of the connection Secret.
    pub namespace: String,
    /// Their names.
    pub names: BTreeSet<String>,
}

impl SecretNames {
    /// What the spec refers to, where `own` is the resource's namespace.
    pub fn of(database: &Database, own: &str) -> Self {
        let connection = &database.connection_secret_ref;
        let names = certificate_refs(database).into_iter().flatten().map(|reference| reference.name.clone());
        Self {
            namespace: connection.namespace_or(own).to_owned(),
            names: names.chain([connection.name.clone()]).collect(),
        }
    }

    /// The same, if the operator may read them for this resource.
    pub fn allowed(database: &Database, owner: &Owner, rights: &Rights) -> Result<Self, Forbidden> {
        let names = Self::of(database, &owner.namespace);
        rights.secret(&names.namespace, owner)?;
        Ok(names)
    }

    /// Whether this is one of them.
    pub fn contains(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.names.contains(name)
    }
}

fn certificate_refs(database: &Database) -> [Option<&SecretKeyRef>; 3] {
    [&database.ssl_root_cert_secret_ref, &database.ssl_cert_secret_ref, &database.ssl_key_secret_ref]
        .map(Option::as_ref)
}

/// Reads certificates and key; `secrets` is by name.
pub fn certificates(database: &Database, secrets: &BTreeMap<String, Data>) -> Result<Certificates, InvalidSpec> {
    let [roots, certificate, key] = certificate_refs(database);
    let roots = match roots {
        Some(roots) => {
            let pem = value("sslRootCertSecretRef", roots, secrets)?;
            Some(certificates::roots(pem).map_err(|why| wrong("sslRootCertSecretRef", roots, why))?)
        }
        None => None,
    };
    let client = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            let pem = (value("sslCertSecretRef", certificate, secrets)?, value("sslKeySecretRef", key, secrets)?);
            let client = certificates::client(pem.0, pem.1).map_err(|bad| match bad {
                BadClient::Certificate(why) => wrong("sslCertSecretRef", certificate, why),
                BadClient::Key(why) => wrong("sslKeySecretRef", key, why),
            })?;
            Some(Arc::new(client))
        }
        _ => {
            let sentence = "database.sslCertSecretRef and database.sslKeySecretRef belong together: set both or none";
            return Err(InvalidSpec(sentence.into()));
        }
    };
    Ok(Certificates { roots, client })
}

fn value<'a>(
    field: &str,
    reference: &SecretKeyRef,
    secrets: &'a BTreeMap<String, Data>,
) -> Result<&'a [u8], InvalidSpec> {
    let value = secrets.get(&reference.name).and_then(|data| data.get(&reference.key));
    let value = value.map(|value| value.0.as_slice()).filter(|value| !value.is_empty());
    value.ok_or_else(|| wrong(field, reference, "is missing or empty"))
}

fn wrong(field: &str, reference: &SecretKeyRef, why: &str) -> InvalidSpec {
    InvalidSpec(format!("database.{field}: key `{}` of Secret {} {why}", reference.key, reference.name))
}
