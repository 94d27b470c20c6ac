use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn times() -> Times {
    Times::new(15 * SECOND, 10 * SECOND, 2 * SECOND).unwrap()
}

fn election() -> Election {
    Election::new("me".into(), times())
}

fn held(version: &str, holder: &str) -> Option<Seen> {
    let holder = Some(holder.to_owned()).filter(|holder| !holder.is_empty());
    Some(Seen { version: version.into(), holder, duration: Some(15 * SECOND) })
}

fn other() -> Verdict {
    Verdict::Held(Holder::Process("other".into()))
}

#[test]
fn a_lease_that_nobody_holds_is_claimed() {
    let now = Instant::now();
    assert_eq!(election().see(None, false, now), Verdict::Claim);
    assert_eq!(election().see(held("1", ""), false, now), Verdict::Claim);
    let empty = Lease { spec: None, ..Lease::default() };
    assert_eq!(election().see(Some(Seen::of(&empty)), false, now), Verdict::Claim);
    assert_eq!(election().see(held("1", "me"), false, now), Verdict::Claim, "a claim whose answer was lost");
}

#[test]
fn a_holder_is_believed_until_its_lease_has_not_changed_for_its_duration() {
    let (mut election, begin) = (election(), Instant::now());
    assert_eq!(election.see(held("1", "other"), false, begin), other());
    assert_eq!(election.see(held("1", "other"), false, begin + 14 * SECOND), other());
    assert_eq!(election.see(held("2", "other"), false, begin + 15 * SECOND), other(), "a change counts anew");
    assert_eq!(election.see(held("2", "other"), false, begin + 29 * SECOND), other());
    assert_eq!(election.see(held("2", "other"), false, begin + 30 * SECOND), Verdict::Claim);
}

#[test]
fn of_two_durations_the_longer_is_waited_for() {
    let begin = Instant::now();
    for (seconds, claims_after) in [(60, 60), (1, 15), (0, 15)] {
        let mut election = election();
        let lease = Seen { duration: Some(seconds * SECOND), ..held("1", "other").unwrap() };
        assert_eq!(election.see(Some(lease.clone()), false, begin), other());
        assert_eq!(election.see(Some(lease.clone()), false, begin + (claims_after - 1) * SECOND), other());
        assert_eq!(election.see(Some(lease), false, begin + claims_after * SECOND), Verdict::Claim);
    }
}

#[test]
fn a_lease_that_is_deleted_under_its_holder_is_not_free_yet() {
    let (mut election, begin) = (election(), Instant::now());
    assert_eq!(election.see(held("1", "other"), false, begin), other());
    let after = begin + 14 * SECOND;
    assert_eq!(election.see(None, false, after), Verdict::Held(Holder::Unknown));
    assert_eq!(election.see(None, false, after + 14 * SECOND), Verdict::Held(Holder::Unknown));
    assert_eq!(election.see(None, false, after + 15 * SECOND), Verdict::Claim);
}

#[test]
fn where_somebody_may_have_led_a_lease_that_is_not_there_is_not_free_yet() {
    let (mut election, begin) = (election(), Instant::now());
    assert!(election.wonders(None));
    assert_eq!(election.see(None, true, begin), Verdict::Held(Holder::Unknown));
    assert!(!election.wonders(None), "once is enough");
    assert_eq!(election.see(None, false, begin + 14 * SECOND), Verdict::Held(Holder::Unknown));
    assert_eq!(election.see(None, false, begin + 15 * SECOND), Verdict::Claim);
}

#[test]
fn who_may_have_led_is_not_waited_for_once_the_lease_is_there() {
    let begin = Instant::now();
    for (lease, verdict) in [(held("1", ""), Verdict::Claim), (held("1", "other"), other())] {
        let mut election = election();
        assert!(!election.wonders(lease.as_ref()));
        assert_eq!(election.see(None, true, begin), Verdict::Held(Holder::Unknown));
        assert_eq!(election.see(lease, true, begin + SECOND), verdict);
    }
}

#[test]
fn a_holder_whose_lease_is_deleted_makes_it_again() {
    let (mut election, begin) = (election(), Instant::now());
    assert_eq!(election.see(held("1", "me"), false, begin), Verdict::Claim);
    election.claimed(begin);
    assert!(!election.wonders(None), "who led was it itself");
    assert_eq!(election.see(None, true, begin + SECOND), Verdict::Claim);
}

#[test]
fn a_released_lease_is_claimed_at_once() {
    let (mut election, begin) = (election(), Instant::now());
    assert_eq!(election.see(held("1", "other"), false, begin), other());
    assert_eq!(election.see(held("2", ""), false, begin + SECOND), Verdict::Claim);
}

#[test]
fn who_led_and_finds_another_there_does_not_take_it_back() {
    let (mut election, begin) = (election(), Instant::now());
    election.claimed(begin);
    assert_eq!(election.see(held("9", "other"), false, begin + SECOND), other());
    assert_eq!(election.see(held("9", "other"), false, begin + 100 * SECOND), other());
}

#[test]
fn our_time_counts_from_before_the_renewal_was_sent_and_ends_before_others_may_begin() {
    let (mut election, sent) = (election(), Instant::now());
    assert!(!election.is_over(sent) && election.until().is_none());
    election.claimed(sent);
    assert!(!election.is_over(sent + 10 * SECOND - Duration::from_nanos(1)));
    assert!(election.is_over(sent + 10 * SECOND));
    // Whoever saw it stored at the very moment in which it was sent waits five seconds more.
    let mut next = Election::new("next".into(), times());
    let me = Verdict::Held(Holder::Process("me".into()));
    assert_eq!(next.see(held("1", "me"), false, sent), me);
    assert_eq!(next.see(held("1", "me"), false, sent + 10 * SECOND), me);
}

#[test]
fn an_attempt_ends_by_the_time_we_do() {
    let (mut election, sent) = (election(), Instant::now());
    assert_eq!(election.attempt_within(sent), 5 * SECOND);
    election.claimed(sent);
    assert_eq!(election.attempt_within(sent + 2 * SECOND), 5 * SECOND);
    assert_eq!(election.attempt_within(sent + 7 * SECOND), 3 * SECOND);
    assert_eq!(election.attempt_within(sent + 20 * SECOND), Duration::ZERO);
}

#[test]
fn a_claim_counts_changes_of_holder_and_keeps_what_others_wrote() {
    let [first, second, third] = [1, 2, 3].map(|second| Timestamp::from_second(second).unwrap());
    let lease = election().claim(None, first);
    let spec = lease.spec.clone().unwrap();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_duration_seconds), (Some("me"), Some(15)));
    assert_eq!((spec.acquire_time, spec.renew_time), (Some(MicroTime(first)), Some(MicroTime(first))));
    assert_eq!(spec.lease_transitions, Some(0));

    let mut read = lease;
    read.metadata.resource_version = Some("7".into());
    read.metadata.labels = Some([("theirs".to_owned(), "stays".to_owned())].into());
    let renewed = election().claim(Some(&read), second);
    assert_eq!(renewed.metadata, read.metadata);
    let spec = renewed.spec.clone().unwrap();
    assert_eq!((spec.acquire_time, spec.renew_time), (Some(MicroTime(first)), Some(MicroTime(second))));
    assert_eq!(spec.lease_transitions, Some(0));

    let next = Election::new("next".into(), times());
    assert_eq!(next.release(&renewed, third), None, "only its own");
    let released = election().release(&renewed, third).unwrap();
    assert_eq!(Seen::of(&released), Seen { version: "7".into(), holder: None, duration: Some(15 * SECOND) });
    let spec = next.claim(Some(&released), third).spec.unwrap();
    assert_eq!((spec.acquire_time, spec.lease_transitions), (Some(MicroTime(third)), Some(1)));
}

#[test]
fn a_part_of_a_second_is_written_as_a_whole_one() {
    let times = Times::new(Duration::from_millis(2500), 2 * SECOND, SECOND).unwrap();
    let lease = Election::new("me".into(), times).claim(None, Timestamp::UNIX_EPOCH);
    assert_eq!(lease.spec.unwrap().lease_duration_seconds, Some(3));
}

#[test]
fn times_that_do_not_go_together_are_refused_by_the_flags_names() {
    let new = |duration: u64, deadline: u64, retry: u64| {
        let [duration, deadline, retry] = [duration, deadline, retry].map(Duration::from_millis);
        Times::new(duration, deadline, retry).map_err(|error| error.to_string())
    };
    assert!(new(15_000, 10_000, 2_000).is_ok());
    for (times, flags) in [
        ((10_000, 10_000, 2_000), vec!["--lease-duration (10s)", "--lease-renew-deadline (10s)"]),
        ((15_000, 2_400, 2_000), vec!["--lease-renew-deadline (2.4s)", "--lease-retry-period (2s)"]),
        ((15_000, 10_000, 0), vec!["--lease-retry-period"]),
        ((999, 500, 100), vec!["--lease-duration is 999ms"]),
        ((90_000_000, 10_000, 2_000), vec!["--lease-duration is 90000s"]),
    ] {
        let error = new(times.0, times.1, times.2).unwrap_err();
        assert!(flags.iter().all(|flag| error.contains(flag)), "{error}");
    }
}

#[test]
fn looks_are_spread() {
    assert_eq!(times().next_look(0.0), 2 * SECOND);
    assert_eq!(times().next_look(1.0), Duration::from_millis(2400));
}

#[test]
fn a_holders_name_forges_no_line() {
    let name = format!("a b\nERROR {}", "x".repeat(200));
    let shown = Holder::Process(name).to_string();
    assert_eq!(shown.len(), 100);
    assert!(shown.starts_with("a?b?ERROR?xxx"), "{shown}");
}
