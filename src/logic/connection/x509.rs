//! What is to be known of a certificate where webpki does not tell: certificates of version 1, names of old. Pure.

use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer};
use x509_cert::Certificate;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Encode, Tag, Tagged};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// The public key, of a certificate of whatever version.
pub fn public_key(certificate: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let key = certificate.tbs_certificate.subject_public_key_info.to_der().ok()?;
    Some(SubjectPublicKeyInfoDer::from(key))
}

/// Whether it names itself as its issuer.
pub fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    Certificate::from_der(certificate)
        .is_ok_and(|certificate| certificate.tbs_certificate.issuer == certificate.tbs_certificate.subject)
}

/// Whether its common name is the host's. As in libpq that counts only where the certificate has no subjectAltName,
/// and a `*` stands for one whole label at the beginning.
pub fn common_name_fits(certificate: &CertificateDer<'_>, host: &ServerName<'_>) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate) else { return false };
    let certificate = certificate.tbs_certificate;
    if certificate.extensions.iter().flatten().any(|extension| extension.extn_id == SUBJECT_ALT_NAME) {
        return false;
    }
    let mut attributes = certificate.subject.0.iter().flat_map(|name| name.0.iter());
    let Some(name) = attributes.find(|attribute| attribute.oid == COMMON_NAME).map(|attribute| &attribute.value) else {
        return false;
    };
    // Of the kinds of text that these are ASCII or UTF-8.
    let readable = matches!(name.tag(), Tag::Utf8String | Tag::PrintableString | Tag::Ia5String);
    match (std::str::from_utf8(name.value()), host) {
        (Ok(name), ServerName::DnsName(host)) if readable => fits(name, host.as_ref()),
        (Ok(name), ServerName::IpAddress(host)) if readable => name == std::net::IpAddr::from(*host).to_string(),
        _ => false,
    }
}

fn fits(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => {
            host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent))
        }
        None => name.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_whole_label() {
        assert!(fits("*.example.com", "db.EXAMPLE.com") && fits("DB.example.com", "db.example.com"));
        for host in ["example.com", "a.b.example.com", ".example.com", "dbexample.com", "*"] {
            assert!(!fits("*.example.com", host), "{host}");
        }
        assert!(!fits("d*.example.com", "db.example.com"));
    }
}
