//! Any text as a name that Kubernetes takes.

use sha2::{Digest, Sha256};

use crate::logic::object::{MAX_LABEL as MAX, hexadecimal, is_label};

/// Digits of the hash: enough that a million texts keep apart.
const DIGITS: usize = 16;

/// Any text as an RFC 1123 label: at most 63 small letters, digits and dashes, with a letter or digit at either end.
///
/// A text that is one stays as it is. Of any other the letters become small and other characters dashes, and digits of
/// the text's SHA-256 are added, so that texts that differ stay different. A label that looks as if that had been done
/// is treated like any other text, so no text can be written that takes the label of another.
pub(super) fn dns_label(text: &str) -> String {
    if is_label(text) && !has_digits(text) {
        return text.to_owned();
    }
    let dashed: String = text
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .take(MAX * 2)
        .collect();
    let trimmed = dashed.trim_matches('-');
    let kept = trimmed.get(..MAX - DIGITS - 1).unwrap_or(trimmed).trim_end_matches('-');
    let dash = if kept.is_empty() { "" } else { "-" };
    let hash = hexadecimal(&Sha256::digest(text)[..DIGITS / 2]);
    format!("{kept}{dash}{hash}")
}

/// Whether it ends as what is made by us does.
fn has_digits(label: &str) -> bool {
    let (before, digits) = label.split_at_checked(label.len().saturating_sub(DIGITS)).unwrap_or_default();
    digits.len() == DIGITS
        && digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
        && (before.is_empty() || before.ends_with('-'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn labels_stay_as_they_are() {
        for label in ["a", "0", "web-1", "a--b", "550e8400-e29b-41d4-a716-446655440000", &"x".repeat(63), "deadbeef"] {
            assert_eq!(dns_label(label), label);
        }
    }

    #[test]
    fn what_was_changed_can_still_be_read() {
        assert_eq!(dns_label("Web Shop"), "web-shop-b0a1bcd2eb9c31f1");
        assert_eq!(dns_label(""), digits(""));
        assert_eq!(dns_label("--é--"), digits("--é--"));
        let long = "y".repeat(64);
        assert_eq!(dns_label(&long), format!("{}-{}", "y".repeat(46), digits(&long)));
    }

    fn digits(text: &str) -> String {
        Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn every_text_has_a_label_of_its_own() {
        // A small fixed generator: every run tries the same texts.
        let mut state = 9u64;
        let mut pick = |count: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % count
        };
        let pieces = [
            "a", "A", "-", "--", "_", ".", " ", "é", "É", "0", "f", "ß", "İ", "\n", "\0", "🦀", "名", "x-1", "\u{202e}",
        ];
        let mut text_of = BTreeMap::new();
        let mut check = |text: String| {
            let label = dns_label(&text);
            assert!(is_label(&label), "{text:?}: {label}");
            if let Some(other) = text_of.insert(label.clone(), text.clone()) {
                assert_eq!(other, text, "both are {label}");
            }
            label
        };
        for _ in 0..20_000 {
            let length = if pick(50) == 0 { 60 + pick(10) } else { pick(9) };
            let text: String = (0..length).map(|_| pieces[pick(pieces.len())]).collect();
            // What takes another's label would have to look like one of ours.
            let label = check(text);
            check(label.clone());
            check(label[..label.len() - 1].to_owned());
        }
        assert!(text_of.len() > 20_000);
    }
}
