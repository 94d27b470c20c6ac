//! Reads an error answer of the API server into what may be kept of it. Words of the API are
//! compared with lists of known ones, never copied; field paths and manager names are copied only
//! as far as their characters are harmless. Pure.

use std::time::Duration;

use serde::Deserialize;

use super::failure::{Asked, Cause, Finding, Form, IMMUTABLE, Refused};
use crate::logic::conflict::HeldField;

const REASONS: [&str; 19] = [
    "Unauthorized",
    "Forbidden",
    "NotFound",
    "AlreadyExists",
    "Conflict",
    "Gone",
    "Invalid",
    "ServerTimeout",
    "StoreReadError",
    "Timeout",
    "TooManyRequests",
    "BadRequest",
    "MethodNotAllowed",
    "NotAcceptable",
    "RequestEntityTooLarge",
    "UnsupportedMediaType",
    "InternalError",
    "Expired",
    "ServiceUnavailable",
];
const CAUSES: [&str; 13] = [
    "FieldValueNotFound",
    "FieldValueRequired",
    "FieldValueDuplicate",
    "FieldValueInvalid",
    "FieldValueNotSupported",
    "FieldValueForbidden",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
    "InternalError",
    "FieldManagerConflict",
    "NamespaceTerminating",
    "UnexpectedServerResponse",
];

const VERBS: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    message: String,
    reason: String,
    details: Option<Details>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    kind: String,
    causes: Vec<RawCause>,
    retry_after_seconds: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawCause {
    reason: String,
    message: String,
    field: String,
}

/// Reads an error answer.
pub(super) fn read(code: u16, body: &[u8], retry_after: Option<u64>, asked: Asked) -> Refused {
    let status: Status = serde_json::from_slice(body).unwrap_or_default();
    let details = status.details.unwrap_or_default();
    let mut causes: Vec<Cause> = details.causes.iter().map(cause).collect();
    let finding = finding(code, &status.message, &details.kind, &causes);
    // A webhook answers with whatever it likes, which could be taken for what the server says of itself: that nothing is
    // there, or that it has no time. Only the fields that it finds wrong are its own to tell.
    let is_theirs = finding == Finding::Webhook && code != 422;
    let (code, reason) = if is_theirs { (403, "Forbidden") } else { (code, status.reason.as_str()) };
    match finding {
        Finding::Schema => causes = schema_faults(&status.message),
        // It is about no field.
        Finding::WebhookAway => causes.clear(),
        _ => {}
    }
    let wait = retry_after.or(Some(details.retry_after_seconds).filter(|s| *s > 0)).map(Duration::from_secs);
    let asked = if finding == Finding::Rbac { missing(&status.message, asked) } else { asked };
    Refused {
        code,
        reason: known(reason, &REASONS).unwrap_or_default(),
        causes,
        finding,
        denier: denier(finding, &status.message),
        retry_after: wait,
        asked,
        account: None,
    }
}

fn known(word: &str, words: &[&'static str]) -> Option<&'static str> {
    words.iter().copied().find(|known| *known == word)
}

/// What a rule would have to allow, where that is not what was asked for: a PATCH that makes an object needs another verb
/// as well, and a reference to an owner whose deletion it blocks, a right on the owner.
fn missing(message: &str, asked: Asked) -> Asked {
    if message.contains(BLOCKS_OWNER) {
        return Asked { verb: "update", resource: "databasequeryresources/finalizers.konnektr.io".into(), ..asked };
    }
    let verb = message.split_once("\" cannot ").and_then(|(_, verb)| known(verb.split(' ').next()?, &VERBS));
    Asked { verb: verb.unwrap_or(asked.verb), ..asked }
}

/// What the admission plugin OwnerReferencesPermissionEnforcement says.
const BLOCKS_OWNER: &str = " is forbidden: cannot set blockOwnerDeletion ";

/// What an API server writes before the name of a webhook that said no, of one that it could not ask, and of a policy.
const DENIED: &str = "admission webhook \"";
const NOT_ASKED: &str = "Internal error occurred: failed calling webhook \"";
const POLICY: &str = ": ValidatingAdmissionPolicy '";

/// Who stood in the way, as the cluster's configuration names it.
fn denier(finding: Finding, message: &str) -> Option<String> {
    let rest = match finding {
        Finding::Webhook => message.strip_prefix(DENIED)?,
        Finding::WebhookAway => message.strip_prefix(NOT_ASKED)?,
        Finding::Policy => message.split_once(POLICY)?.1,
        _ => return None,
    };
    let name = rest.split(['"', '\'']).next()?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    ((1..=253).contains(&name.len()) && name.chars().all(is_name)).then(|| name.to_owned())
}

fn finding(code: u16, message: &str, kind: &str, causes: &[Cause]) -> Finding {
    let forbidden = message.split_once(" is forbidden: ").map(|(_, rest)| rest).unwrap_or_default();
    match code {
        // First: what follows are its own words.
        _ if message.starts_with(DENIED) => Finding::Webhook,
        500 if message.starts_with(NOT_ASKED) => Finding::WebhookAway,
        404 if kind == "namespaces" => Finding::NoNamespace,
        404 if kind.is_empty() => Finding::NoKind,
        409 if message.contains("uid mismatch") || message.contains("the UID in the precondition") => Finding::OtherUid,
        422 if causes.iter().any(|cause| cause.field == "metadata.uid") => Finding::OtherUid,
        413 => Finding::TooLarge,
        500 if message.contains("etcdserver: request is too large") => Finding::TooLarge,
        500 if message.contains("etcdserver: mvcc: database space exceeded") => Finding::StorageFull,
        500 if message.starts_with(TYPED) => Finding::Schema,
        500 if message.starts_with(UNDECODABLE) => Finding::Malformed(form(message)),
        _ if forbidden.starts_with("ValidatingAdmissionPolicy ") || message.contains(POLICY) => Finding::Policy,
        // Newer servers say `impersonate-on:serviceaccount:list` and the like.
        403 if forbidden.starts_with("User \"") && forbidden.contains("\" cannot impersonate") => {
            Finding::Impersonation
        }
        403 if message.contains(BLOCKS_OWNER) => Finding::Rbac,
        403 if message.contains(": User \"") || message.contains(" cannot ") && message.contains(" resource \"") => {
            Finding::Rbac
        }
        403 if forbidden.starts_with("exceeded quota: ") => Finding::Quota,
        403 if forbidden.starts_with("violates PodSecurity ") => Finding::PodSecurity,
        _ => Finding::None,
    }
}

fn cause(raw: &RawCause) -> Cause {
    let mut reason = known(&raw.reason, &CAUSES).unwrap_or("Invalid");
    let refuses = matches!(reason, "FieldValueInvalid" | "FieldValueForbidden");
    // Worth knowing: such an object can be deleted and created anew, but never updated.
    if refuses && is_immutable(&raw.message) {
        reason = IMMUTABLE;
    }
    let shown = field(&raw.field);
    let held = (reason == "FieldManagerConflict").then(|| HeldField {
        path: raw.field.as_str().into(),
        shown: shown.clone(),
        manager: manager(&raw.message),
        through_subresource: raw.message.contains("\" with subresource \""),
    });
    Cause { field: shown, reason, held }
}

/// Whether it says `Invalid value: …: field is immutable` or the like. What is refused stands before the last colon.
fn is_immutable(message: &str) -> bool {
    let why = message.rsplit_once(": ").map_or(message, |(_, why)| why);
    why.contains("immutable") || why.starts_with("updates to ") || why.starts_with("cannot change ")
}

/// From `conflict with "kubectl" using v1`, kubectl.
fn manager(message: &str) -> String {
    let name = message.split('"').nth(1).unwrap_or_default();
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_./: ".contains(c);
    if !name.is_empty() && name.len() <= 128 && name.chars().all(harmless) {
        name.into()
    } else {
        "another manager".into()
    }
}

/// A field path without the values in it: `ports[port=80]` says what the object holds.
fn field(path: &str) -> String {
    let mut shown = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('[') {
        shown.push_str(before);
        // The last bracket of this element: a key may contain brackets itself.
        let Some((key, tail)) = after
            .split_once("].")
            .or_else(|| after.split_once("]["))
            .or_else(|| after.strip_suffix(']').map(|key| (key, "")))
        else {
            rest = "";
            shown.push_str("[…]");
            break;
        };
        let number = key.chars().all(|c| c.is_ascii_digit());
        shown.push('[');
        shown.push_str(if number { key } else { "…" });
        shown.push(']');
        rest = if tail.is_empty() { "" } else { &after[key.len() + 1..] };
    }
    shown.push_str(rest);
    match shown.find(|c: char| !(c.is_ascii_alphanumeric() || "-_./[]…$".contains(c))) {
        Some(end) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

const UNDECODABLE: &str = "failed to convert new object (";

/// What the server expected, by the words that it puts before or around a value.
fn form(message: &str) -> Form {
    let why = message.rsplit_once(" to proper version: ").map_or("", |(_, why)| why);
    let why = why.strip_prefix("unable to convert unstructured object to ").and_then(|why| why.split_once(": "));
    match why.map_or("", |(_, why)| why) {
        why if why.starts_with("quantities must match ") || why.starts_with("unable to parse quantity") => {
            Form::Quantity
        }
        why if why.starts_with("parsing time ") => Form::Time,
        why if why.starts_with("error decoding from json: illegal base64 data ") => Form::Base64,
        _ => Form::Unknown,
    }
}

const TYPED: &str = "failed to create typed patch object (";

/// Field paths of `failed to create typed patch object (ns/name; v1, Kind=K): .spec.x: field not
/// declared in schema`, or of several such lines after `errors:`.
fn schema_faults(message: &str) -> Vec<Cause> {
    let text = message.split_once("): ").map(|(_, text)| text).unwrap_or_default();
    let faults =
        text.lines().map(str::trim).filter(|line| line.starts_with('.')).filter_map(|line| line.split_once(": "));
    let cause = |(path, fault): (&str, &str)| {
        let reason = match fault {
            "field not declared in schema" => "FieldUnknown",
            _ if fault.starts_with("duplicate entries") => "FieldValueDuplicate",
            _ if fault.starts_with("expected ") => "FieldValueTypeInvalid",
            _ => "Invalid",
        };
        Cause { field: field(path), reason, held: None }
    };
    faults.map(cause).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::account::Account;

    fn refused(code: u16, body: serde_json::Value) -> Refused {
        read(
            code,
            body.to_string().as_bytes(),
            None,
            Asked { verb: "patch", resource: "configmaps".into(), namespace: Some("n".into()) },
        )
    }

    #[test]
    fn a_refusal_keeps_fields_and_reasons_but_no_value() {
        let refused = refused(
            422,
            serde_json::json!({"message": "x CANARY", "reason": "Invalid", "details": {"name": "CANARY", "causes": [
                {"reason": "FieldValueInvalid", "message": "Invalid value: \"CANARY\": no", "field": "data[CANARY]"},
                {"reason": "CANARY", "message": "CANARY", "field": "spec.containers[0].env[name=\"CANARY].\"].value"},
                {"reason": "FieldValueInvalid", "message": "Invalid value: {CANARY}: field is immutable", "field": "spec.selector"},
            ]}}),
        );
        let shown = refused.to_string();
        assert!(!format!("{shown} {refused:?}").contains("CANARY"), "{shown} {refused:?}");
        assert!(shown.starts_with("422 Invalid: data[…] FieldValueInvalid, spec.containers[0].env[…]"), "{shown}");
        assert!(shown.ends_with("spec.selector FieldImmutable"), "{shown}");
    }

    #[test]
    fn a_reason_kubernetes_does_not_define_is_not_repeated() {
        let refused = refused(
            403,
            serde_json::json!({"message": "admission webhook \"w\" denied the request: CANARY", "reason": "CANARY"}),
        );
        assert_eq!(refused.to_string(), "403 Forbidden (denied by the admission webhook w)");
    }

    #[test]
    fn who_denies_is_named_without_a_word_of_what_it_says() {
        for (code, message, told) in [
            (
                403,
                "admission webhook \"a.example.com\" denied the request: CANARY",
                "403 Forbidden (denied by the admission webhook a.example.com)",
            ),
            (
                500,
                "Internal error occurred: failed calling webhook \"a.example.com\": failed to call webhook: CANARY",
                "500 error (the admission webhook a.example.com cannot be reached)",
            ),
            (
                422,
                "configmaps \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: CANARY",
                "422 error (denied by the admission policy p)",
            ),
            (403, "admission webhook \"no: CANARY\" denied", "403 Forbidden (denied by an admission webhook)"),
        ] {
            let causes = if code == 500 { serde_json::json!([{"message": "CANARY"}]) } else { serde_json::json!([]) };
            let refused = refused(code, serde_json::json!({"message": message, "details": {"causes": causes}}));
            assert_eq!(refused.to_string(), told);
            assert!(!format!("{refused:?}").contains("CANARY"));
        }
    }

    #[test]
    fn what_a_webhook_answers_is_not_taken_for_what_the_server_says_of_itself() {
        for code in [400, 401, 404, 409, 413, 429, 500, 503, 504] {
            for kind in ["", "namespaces", "configmaps"] {
                let message = "admission webhook \"w\" denied the request: uid mismatch";
                let refused = refused(code, serde_json::json!({"message": message, "details": {"kind": kind}}));
                assert!(!refused.is_write_conflict());
                let failure = crate::cluster::Failure::Refused(refused.into());
                assert_eq!((failure.code(), failure.finding()), (Some(403), Finding::Webhook));
                assert!(failure.nothing_happened() && !failure.is_not_found() && !failure.lacks_rule());
            }
        }
    }

    #[test]
    fn a_missing_right_is_named_from_what_was_asked() {
        let message = "configmaps \"f\" is forbidden: User \"weak\" cannot patch resource \"configmaps\" in API group \"\" in the namespace \"n\"";
        assert_eq!(
            refused(403, serde_json::json!({"message": message, "reason": "Forbidden"})).to_string(),
            "not allowed to patch configmaps in namespace n"
        );
    }

    #[test]
    fn the_rule_that_is_missing_names_the_account_and_the_verb_that_the_server_asked_for() {
        let in_name_of = |message: &str| {
            let account = Account { namespace: "team".into(), name: "writer".into() };
            let refused = refused(403, serde_json::json!({"message": message, "reason": "Forbidden"}));
            Refused { account: Some(account.into()), ..refused }.to_string()
        };
        let user = "system:serviceaccount:team:writer";
        assert_eq!(
            in_name_of(&format!(
                "configmaps \"f\" is forbidden: User \"{user}\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"n\""
            )),
            "the ServiceAccount team/writer is not allowed to create configmaps in namespace n"
        );
        for message in [
            "serviceaccounts \"writer\" is forbidden: User \"o\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"team\"",
            "configmaps is forbidden: User \"o\" cannot impersonate-on:serviceaccount:list resource \"configmaps\" in API group \"\" at the cluster scope",
        ] {
            let expected = "the operator is not allowed to impersonate the ServiceAccount team/writer";
            assert_eq!(in_name_of(message), expected);
        }
        assert_eq!(
            in_name_of(
                "configmaps \"f\" is forbidden: cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: , <nil>"
            ),
            "the ServiceAccount team/writer is not allowed to update databasequeryresources/finalizers.konnektr.io in namespace n"
        );
    }

    #[test]
    fn a_fault_against_the_schema_names_its_fields() {
        let message = "failed to create typed patch object (/b; /v1, Kind=ConfigMap): errors:\n  .data.k: expected string, got &value.valueUnstructured{Value:\"CANARY\"}\n  .spec: field not declared in schema";
        let refused = refused(500, serde_json::json!({"message": message}));
        assert_eq!(
            refused.to_string(),
            "500 error (does not fit the schema of its kind): .data.k FieldValueTypeInvalid, .spec FieldUnknown"
        );
    }

    #[test]
    fn an_object_that_the_server_cannot_decode_is_told_as_such_without_the_value() {
        for (why, told) in [
            ("quantities must match the regular expression '^CANARY$'", "a quantity, such as 500m, is malformed"),
            ("parsing time \"CANARY\" as \"2006\": cannot parse \"CANARY\"", "a time is malformed"),
            ("error decoding from json: illegal base64 data at input byte 3", "a value is not base64"),
            ("CANARY", "a value is malformed"),
        ] {
            let message = format!(
                "failed to convert new object (n/a; v1, Kind=K) to proper version: unable to convert unstructured object to v1, Kind=K: {why}"
            );
            let refused = refused(500, serde_json::json!({"message": message}));
            assert_eq!(refused.to_string(), format!("500 error (the server could not decode the object: {told})"));
            assert!(!format!("{refused:?}").contains("CANARY"));
            let failure = crate::cluster::Failure::Refused(refused.into());
            assert!(!failure.is_retryable() && failure.nothing_happened());
        }
    }

    #[test]
    fn an_answer_that_is_no_status_is_only_its_code() {
        assert_eq!(
            read(502, b"<html>CANARY", Some(3), Asked::default()),
            Refused { code: 502, retry_after: Some(Duration::from_secs(3)), ..Refused::default() }
        );
    }

    #[test]
    fn a_conflict_names_the_manager() {
        let message = "conflict with \"kubectl\" with subresource \"scale\" using v1";
        let cause = |message: &str, field: &str| {
            let cause = serde_json::json!({"reason": "FieldManagerConflict", "message": message, "field": field});
            refused(409, serde_json::json!({"reason": "Conflict", "details": {"causes": [cause]}})).causes.remove(0)
        };
        let held = HeldField {
            path: ".spec.replicas".into(),
            shown: ".spec.replicas".into(),
            manager: "kubectl".into(),
            through_subresource: true,
        };
        let expected =
            Cause { field: ".spec.replicas".into(), reason: "FieldManagerConflict", held: Some(held.clone()) };
        assert_eq!(cause(message, ".spec.replicas"), expected);
        let plain = cause("conflict with \"kubectl\" using v1", ".a[k=\"CANARY\"]").held.unwrap();
        assert!(!plain.through_subresource && plain.path != held.path);
        assert!(!format!("{plain:?}").contains("CANARY"));
    }

    #[test]
    fn what_can_only_be_created_anew_is_told_from_what_is_wrong() {
        for (reason, message, immutable) in [
            ("FieldValueInvalid", "Invalid value: {\"a\":\"b: c\"}: field is immutable", true),
            (
                "FieldValueForbidden",
                "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden",
                true,
            ),
            ("FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set", true),
            ("FieldValueInvalid", "Invalid value: {\"kind\":\"Role\"}: cannot change roleRef", true),
            ("FieldValueInvalid", "Invalid value: \"immutable\": must be a number", false),
            ("FieldValueRequired", "Required value: field is immutable", false),
        ] {
            let cause = serde_json::json!({"reason": reason, "message": message, "field": "spec"});
            let refused = refused(422, serde_json::json!({"reason": "Invalid", "details": {"causes": [cause]}}));
            assert_eq!(refused.is_of_immutable_fields(), immutable, "{message}");
        }
    }
}
