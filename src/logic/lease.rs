//! Who may lead, and for how long: what one process may conclude from the Lease that several of them write. Pure.
//!
//! No process compares its clock with another's. A holder counts from the moment *before* it sent the renewal that was
//! stored; the others count from the moment *after* they first saw a version of the Lease. So whoever takes over does
//! so after the holder's time is up, by at least the difference between `duration` and `renew_deadline`; that clocks
//! run at about the same speed is all there is to believe. `renewTime` is for people: it is written and never read.

use std::fmt;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;

/// Who wants to lead waits up to this much longer between two tries, so that several do not try at once.
const JITTER: f64 = 0.2;
/// Nobody needs more, and the API has 32 bits for it.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

/// Times that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTimes(String);

impl Times {
    /// `duration`: how long others wait for a holder that says nothing. `renew_deadline`: how long the holder works
    /// after its last renewal. `retry_period`: how often the Lease is renewed, or looked at.
    pub fn new(duration: Duration, renew_deadline: Duration, retry_period: Duration) -> Result<Self, InvalidTimes> {
        let refuse = |text: String| Err(InvalidTimes(text));
        if duration < Duration::from_secs(1) || duration > LONGEST {
            return refuse(format!("--lease-duration is {duration:?}; it must be between 1s and 24h"));
        }
        if retry_period.is_zero() {
            return refuse("--lease-retry-period must be longer than 0s".into());
        }
        if renew_deadline <= retry_period.mul_f64(1.0 + JITTER) {
            return refuse(format!(
                "--lease-renew-deadline ({renew_deadline:?}) must be longer than 1.2 times --lease-retry-period \
                 ({retry_period:?})"
            ));
        }
        if duration <= renew_deadline {
            return refuse(format!(
                "--lease-duration ({duration:?}) must be longer than --lease-renew-deadline ({renew_deadline:?}): the \
                 next may begin only when the last has ended"
            ));
        }
        Ok(Self { duration, renew_deadline, retry_period })
    }

    /// How long the holder works after its last renewal.
    pub fn renew_deadline(&self) -> Duration {
        self.renew_deadline
    }

    /// How often the holder renews.
    pub fn retry_period(&self) -> Duration {
        self.retry_period
    }

    /// How long one who wants to lead waits between two looks. `jitter` is from 0 to 1.
    pub fn next_look(&self, jitter: f64) -> Duration {
        self.retry_period.mul_f64(1.0 + JITTER * jitter)
    }
}

/// A Lease, as far as it decides anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its resourceVersion.
    pub version: String,
    /// Who holds it.
    pub holder: Option<String>,
    /// How long the holder asks others to wait.
    pub duration: Option<Duration>,
}

impl Seen {
    /// What this Lease says.
    pub fn of(lease: &Lease) -> Self {
        let spec = lease.spec.as_ref();
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            version: lease.metadata.resource_version.clone().unwrap_or_default(),
            holder: spec.and_then(|spec| spec.holder_identity.clone()).filter(|holder| !holder.is_empty()),
            duration: seconds.map(Duration::from_secs),
        }
    }
}

/// What is to be done about the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Write it: nobody holds it, or we do.
    Claim,
    /// Leave it.
    Held(Holder),
}

/// Who keeps us from leading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Another process.
    Process(String),
    /// The Lease was deleted while another process held it, or before we could see who did; it may not know yet.
    Unknown,
}

impl fmt::Display for Holder {
    /// A holder's name is whatever somebody wrote there: at most 100 characters, and none that could forge a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(name) => name
                .chars()
                .take(100)
                .map(|c| if c.is_ascii_graphic() { c } else { '?' })
                .try_for_each(|c| write!(f, "{c}")),
            Self::Unknown => f.write_str("one whose Lease is gone, if it still works"),
        }
    }
}

/// What one process knows of the Lease.
pub struct Election {
    identity: String,
    times: Times,
    /// Version that was seen last, None where there was no Lease; and when it was seen first.
    seen: Option<(Option<String>, Instant)>,
    /// How long to wait for the other process that was seen holding it last, or that may have held one that is gone.
    patience: Option<Duration>,
    /// Until when we lead; None if we never did.
    until: Option<Instant>,
}

impl Election {
    /// Nothing is known yet. The identity must be no other process's, past or present.
    pub fn new(identity: String, times: Times) -> Self {
        Self { identity, times, seen: None, patience: None, until: None }
    }

    /// Who we are.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// How long things take.
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// Until when we lead; None if we never did.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Whether it matters that others may have led: there is no Lease, and we do not know of any holder. A Lease that was
    /// deleted leaves no trace of its own, and its holder works on until it notices.
    pub fn wonders(&self, lease: Option<&Seen>) -> bool {
        lease.is_none() && self.patience.is_none() && self.until.is_none()
    }

    /// The Lease was read and is like this; `now` is after the answer. `led`: somebody may have led before us, asked
    /// where that [matters](Self::wonders).
    pub fn see(&mut self, lease: Option<Seen>, led: bool, now: Instant) -> Verdict {
        if led && self.wonders(lease.as_ref()) {
            self.patience = Some(self.times.duration);
        }
        let version = lease.as_ref().map(|lease| lease.version.clone());
        let since = match &self.seen {
            Some((before, since)) if *before == version => *since,
            _ => now,
        };
        self.seen = Some((version, since));
        let holder = match lease {
            Some(Seen { holder: Some(holder), duration, .. }) if holder != self.identity => {
                // Whichever of the two settings is the longer, it is safe to wait for.
                self.patience = Some(duration.unwrap_or_default().max(self.times.duration));
                Holder::Process(holder)
            }
            Some(_) => {
                self.patience = None;
                return Verdict::Claim;
            }
            None => Holder::Unknown,
        };
        match self.patience {
            // There was never a holder, or it was us.
            None => Verdict::Claim,
            // Who led once does not take it back: another may have worked meanwhile.
            Some(patience) if self.until.is_none() && now.saturating_duration_since(since) >= patience => {
                Verdict::Claim
            }
            Some(_) => Verdict::Held(holder),
        }
    }

    /// Our claim, sent not before `sent`, was stored.
    pub fn claimed(&mut self, sent: Instant) {
        self.patience = None;
        self.until = Some(sent + self.times.renew_deadline);
    }

    /// Whether our time is up.
    pub fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    /// How long one attempt may take: a server that swallows requests gets no more than half of the time that there
    /// is, so that there is a second attempt, and none goes on when our time is up.
    pub fn attempt_within(&self, now: Instant) -> Duration {
        let half = self.times.renew_deadline / 2;
        self.until.map_or(half, |until| half.min(until.saturating_duration_since(now)))
    }

    /// The Lease as it is to be written to claim it; `before` is how it was read, None where there is none.
    pub fn claim(&self, before: Option<&Lease>, now: Timestamp) -> Lease {
        let spec = before.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let stays = spec.holder_identity.as_deref() == Some(&*self.identity);
        let transitions = spec.lease_transitions.unwrap_or_default();
        let whole = self.times.duration.as_secs() + u64::from(self.times.duration.subsec_nanos() > 0);
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(whole).ok(),
            acquire_time: if stays { spec.acquire_time } else { Some(MicroTime(now)) },
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(if stays || before.is_none() {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..spec
        };
        Lease { metadata: metadata(before), spec: Some(spec) }
    }

    /// The Lease as it is to be written to let go of it; None if it is not ours.
    pub fn release(&self, before: &Lease, now: Timestamp) -> Option<Lease> {
        let spec = before.spec.clone().filter(|spec| spec.holder_identity.as_deref() == Some(&*self.identity))?;
        let spec = LeaseSpec { holder_identity: None, renew_time: Some(MicroTime(now)), ..spec };
        Some(Lease { metadata: metadata(Some(before)), spec: Some(spec) })
    }
}

/// All of it as it was read, the version among it: that makes the write conditional.
fn metadata(before: Option<&Lease>) -> ObjectMeta {
    before.map(|lease| lease.metadata.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
