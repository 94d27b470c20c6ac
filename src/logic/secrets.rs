//! Which Secrets a spec refers to, and what they hold beside the settings of the connection. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::ByteString;

use super::connection::certificates::{self, BadClient, Certificates};
use super::invalid::InvalidSpec;
use super::object::Owner;
use super::rights::{Forbidden, Rights};
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
        let notify = database.notify_connection_secret_ref.as_ref().map(|reference| reference.name.clone());
        let names = certificate_refs(database).into_iter().flatten().map(|reference| reference.name.clone());
        Self {
            namespace: connection.namespace_or(own).to_owned(),
            names: names.chain([connection.name.clone()]).chain(notify).collect(),
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

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    const CANARY: &str = "CANARY";

    /// A certificate and its key, in PEM.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["db.example".into()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn database(refs: &[(&str, &str, &str)]) -> Database {
        let mut database = serde_json::json!({"connectionSecretRef": {"name": "db", "namespace": "other"}});
        for (field, name, key) in refs {
            database[*field] = serde_json::json!({"name": name, "key": key});
        }
        serde_json::from_value(database).unwrap()
    }

    fn secret(pairs: &[(&str, &str)]) -> Data {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect()
    }

    const REFS: [(&str, &str, &str); 3] = [
        ("sslRootCertSecretRef", "ca", "ca.crt"),
        ("sslCertSecretRef", "client", "tls.crt"),
        ("sslKeySecretRef", "client", "tls.key"),
    ];

    #[test]
    fn all_secrets_are_in_the_connection_secrets_namespace_and_each_is_named_once() {
        let names = SecretNames::of(&database(&REFS), "own");
        assert_eq!(names.names.iter().collect::<Vec<_>>(), ["ca", "client", "db"]);
        assert!(names.contains("other", "ca") && names.contains("other", "db"));
        assert!(!names.contains("own", "db") && !names.contains("other", "stranger"));
        let owner = Owner { name: "a".into(), namespace: "own".into(), uid: "u".into() };
        let refused = SecretNames::allowed(&database(&REFS), &owner, &Rights::default()).unwrap_err();
        assert!(refused.to_string().contains("--allow-secret-namespaces=other"));
    }

    #[test]
    fn certificates_and_key_are_read_and_known_again() {
        let (certificate, key) = pair();
        // As Secrets of type kubernetes.io/tls have them, a chain and comments included.
        let chain = format!("# a comment\n{certificate}{}", pair().0);
        let secrets = [
            ("ca".to_owned(), secret(&[("ca.crt", &chain)])),
            ("client".to_owned(), secret(&[("tls.crt", &chain), ("tls.key", &key)])),
        ]
        .into();
        let read = || certificates(&database(&REFS), &secrets).unwrap();
        let (one, other) = (read(), read());
        assert_eq!(one.roots.as_ref().unwrap().len(), 2);
        assert_eq!(one.client.as_ref().unwrap().chain.len(), 2);
        assert!(one.roots == other.roots && one.client == other.client);
    }

    #[test]
    fn what_nobody_could_use_is_named_by_field_key_and_secret() {
        let (certificate, key) = pair();
        let foreign_key = pair().1;
        let broken = format!("-----BEGIN CERTIFICATE-----\n{CANARY}\n-----END CERTIFICATE-----\n");
        let encrypted =
            format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\nQ0FOQVJZ{CANARY}\n-----END ENCRYPTED PRIVATE KEY-----\n");
        let no_key = "-----BEGIN PRIVATE KEY-----\nQ0FOQVJZ\n-----END PRIVATE KEY-----\n";
        let cut = certificate.replace("-----END", "----END");
        for (root, cert, key, expected) in [
            ("", &*certificate, &*key, "sslRootCertSecretRef: key `ca.crt` of Secret ca is missing or empty"),
            (CANARY, &certificate, &key, "sslRootCertSecretRef: key `ca.crt` of Secret ca has no certificate"),
            (&broken, &certificate, &key, "sslRootCertSecretRef: key `ca.crt` of Secret ca"),
            (&cut, &certificate, &key, "sslRootCertSecretRef: key `ca.crt` of Secret ca is not well-formed"),
            (&key, &certificate, &key, "sslRootCertSecretRef: key `ca.crt` of Secret ca has no certificate"),
            (&certificate, "", &key, "sslCertSecretRef: key `tls.crt` of Secret client is missing or empty"),
            (&certificate, &broken, &key, "sslCertSecretRef: key `tls.crt` of Secret client"),
            (&certificate, &key, &key, "sslCertSecretRef: key `tls.crt` of Secret client has no certificate"),
            (&certificate, &certificate, "", "sslKeySecretRef: key `tls.key` of Secret client is missing or empty"),
            (
                &certificate,
                &certificate,
                &certificate,
                "sslKeySecretRef: key `tls.key` of Secret client has no private key",
            ),
            (
                &certificate,
                &certificate,
                &encrypted,
                "sslKeySecretRef: key `tls.key` of Secret client has no private key",
            ),
            (&certificate, &certificate, no_key, "sslKeySecretRef: key `tls.key` of Secret client is no RSA"),
            (
                &certificate,
                &certificate,
                &foreign_key,
                "sslKeySecretRef: key `tls.key` of Secret client is not the key",
            ),
        ] {
            let secrets = [
                ("ca".to_owned(), secret(&[("ca.crt", root)])),
                ("client".to_owned(), secret(&[("tls.crt", cert), ("tls.key", key)])),
            ]
            .into();
            let error = certificates(&database(&REFS), &secrets).err().unwrap();
            assert!(error.0.starts_with(&format!("database.{expected}")), "{expected}: {error}");
            assert!(!error.0.contains(CANARY), "{error}");
        }
        for one in &REFS[1..] {
            let secrets = [("client".to_owned(), secret(&[("tls.crt", &certificate), ("tls.key", &key)]))].into();
            let error = certificates(&database(&[*one]), &secrets).err().unwrap();
            assert!(error.0.contains("sslCertSecretRef") && error.0.contains("sslKeySecretRef"), "{error}");
        }
    }

    #[test]
    fn a_certificate_of_version_one_will_do_as_root_and_for_a_client() {
        let certificate = include_str!("../../tests/support/version-one.crt");
        let key = include_str!("../../tests/support/version-one.key");
        assert_eq!(certificates::roots(certificate.as_bytes()).unwrap().len(), 1);
        assert!(certificates::client(certificate.as_bytes(), key.as_bytes()).is_ok());
    }
}
