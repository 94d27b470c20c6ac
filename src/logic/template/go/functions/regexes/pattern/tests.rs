use super::*;

/// An effort of which so much is left, as tests have no seconds to spend.
fn left(units: u64) -> Effort {
    Effort(AtomicU64::new(Effort::MAX - units))
}

fn compiled(pattern: &str) -> Pattern {
    Pattern::compile(pattern, &Effort::default()).unwrap_or_else(|reason| panic!("{pattern}: {reason}"))
}

fn found(pattern: &str, s: &str, effort: &Effort) -> Result<usize, Reason> {
    compiled(pattern).matches(s, usize::MAX, effort).map(|found| found.len())
}

/// Text of a and b without a pattern in it.
fn mixed(length: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if state.is_multiple_of(2) { 'a' } else { 'b' }
    };
    (0..length).map(|_| next()).collect()
}

const TOO_MUCH: Reason = Reason::Said("regular expressions of this template do too much work");

#[test]
fn reading_all_that_is_left_for_each_match_is_counted() {
    let pattern = ".*[^A-Z]|[A-Z]";
    assert_eq!(found(pattern, &"A".repeat(1_000), &left(1_000_000)), Ok(1_000));
    assert_eq!(found(pattern, &"A".repeat(2_000), &left(1_000_000)), Err(TOO_MUCH));
    assert_eq!(found("[A-Z]+", &"A".repeat(100_000), &left(1_000_000)), Ok(1));
}

#[test]
fn what_needs_a_state_for_each_byte_is_refused_in_long_texts() {
    let pattern = "[ab]*a[ab]{1000}c";
    assert_eq!(found(pattern, &mixed(100_000), &left(100_000_000)), Err(TOO_MUCH));
    assert_eq!(found(pattern, &mixed(1_100), &left(100_000_000)), Ok(0));
    assert_eq!(found(pattern, &format!("{}c", mixed(1_500)), &left(100_000_000)), Ok(1));
}

#[test]
fn both_ways_of_searching_find_the_same() {
    for (pattern, s) in [
        ("a*", "baac"),
        ("", "äb"),
        (r"\B", "éa b"),
        (r"\bé", "é aé"),
        ("(?i)größe|gr", "GRÖSSE Größe gr"),
        ("a|ab", "abab"),
        ("(?U)a+", "aaa"),
        ("(?m)^.*$", "a\n\nb"),
        ("x*|b", "abxx"),
    ] {
        let pattern = compiled(pattern);
        let fast = pattern.matches(s, usize::MAX, &Effort::default()).unwrap();
        let slow = matches(s, usize::MAX, |input| Ok(pattern.nfa().unwrap().search(input)), |_| Ok(()));
        assert_eq!(fast, slow.unwrap_or_default(), "{s}");
    }
}

#[test]
fn finding_groups_is_counted() {
    let pattern = compiled("([ab]*)(a|b)");
    let s = mixed(100_000);
    assert!(pattern.groups(&s, 0..100, &left(10_000_000)).is_ok());
    assert_eq!(pattern.groups(&s, 0..100_000, &left(1_000_000)).err(), Some(TOO_MUCH));
}

#[test]
fn compiling_is_counted_once_for_each_pattern() {
    let (patterns, effort) = (Patterns::default(), left(100_000));
    for _ in 0..100 {
        assert!(patterns.get("^[a-z]+$", &effort).is_ok());
    }
    assert!((0..100).any(|i| patterns.get(&format!("{i}"), &effort).is_err()));
}

#[test]
fn no_more_patterns_are_kept_than_fit() {
    let patterns = Patterns::default();
    for i in 0..100 {
        assert!(patterns.get(&format!("{i}"), &Effort::default()).is_ok());
        assert!(patterns.0.lock().unwrap().len() <= MAX_KEPT);
    }
}
