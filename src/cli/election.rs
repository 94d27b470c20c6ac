//! Flags of leader election, and what the environment tells of this process.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use clap::{ArgAction, Args};

use crate::controller::Candidate;
use crate::crd;
use crate::logic::lease::Times;
use crate::logic::object::is_label;

/// Flags of leader election.
#[derive(Debug, Args)]
// clap would name a group after the type, and `dbqo run` has one of that name.
#[group(skip)]
pub struct Flags {
    /// Work only while holding a Lease, so that of several operators one works and the others stand by. `false` is for
    /// an operator that is alone for certain
    #[arg(long, env = "DBQO_LEADER_ELECT", value_name = "BOOL", action = ArgAction::Set, default_value_t = true,
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    leader_elect: bool,

    /// Namespace of the Lease; where unset that of the Pod (POD_NAMESPACE), outside of a cluster that of the kubeconfig
    #[arg(long, env = "DBQO_LEASE_NAMESPACE", value_name = "NAMESPACE", value_parser = namespace)]
    lease_namespace: Option<String>,

    /// Name of the Lease. Operators that watch different namespaces need Leases of different names or namespaces
    #[arg(long, env = "DBQO_LEASE_NAME", value_name = "NAME", default_value = "db-query-operator",
          value_parser = name)]
    lease_name: String,

    /// How long others wait for a leader that does not renew its Lease, before one takes over
    #[arg(long, env = "DBQO_LEASE_DURATION", value_name = "DURATION", default_value = "15s", value_parser = duration)]
    lease_duration: Duration,

    /// How long a leader works after its last renewal; then it ends
    #[arg(long, env = "DBQO_LEASE_RENEW_DEADLINE", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    lease_renew_deadline: Duration,

    /// How often a leader renews the Lease and others look at it
    #[arg(long, env = "DBQO_LEASE_RETRY_PERIOD", value_name = "DURATION", default_value = "2s", value_parser = duration)]
    lease_retry_period: Duration,
}

fn namespace(text: &str) -> Result<String, String> {
    if is_label(text) { Ok(text.into()) } else { Err("give a namespace: small letters, digits and dashes".into()) }
}

fn name(text: &str) -> Result<String, String> {
    let is_name = text.len() <= 253 && text.split('.').all(is_label);
    if is_name { Ok(text.into()) } else { Err("give a name: small letters, digits, dashes and dots".into()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    crd::Duration::parse(text).map(|duration| duration.0).ok_or_else(|| "give a duration such as 15s or 500ms".into())
}

impl Flags {
    /// Whether a Lease is needed at all.
    pub fn is_on(&self) -> bool {
        self.leader_elect
    }

    /// How long things take, if that makes sense.
    pub fn times(&self) -> Result<Times, String> {
        let times = Times::new(self.lease_duration, self.lease_renew_deadline, self.lease_retry_period);
        times.map_err(|error| error.to_string())
    }

    /// This process as a candidate; None where no Lease is needed. `otherwise` is the namespace where nothing says one.
    pub fn candidate(&self, times: Times, otherwise: &str) -> Option<Candidate> {
        let namespace = self.lease_namespace.clone().or_else(|| environment("POD_NAMESPACE"));
        let namespace = namespace.unwrap_or_else(|| otherwise.to_owned());
        self.leader_elect.then(|| Candidate::new(namespace, self.lease_name.clone(), identity(), times))
    }
}

/// A name that says where the process is, and that no other process has: one that is started again in the same Pod is
/// another.
pub fn identity() -> String {
    let hostname = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = environment("POD_NAME").or_else(|| environment("HOSTNAME")).or_else(hostname);
    let name = name.as_deref().map(str::trim).filter(|name| !name.is_empty()).unwrap_or("dbqo").to_owned();
    format!("{name}_{:016x}", RandomState::new().hash_one(std::process::id()))
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        flags: Flags,
    }

    fn flags(args: &[&str]) -> Flags {
        Cli::try_parse_from(["dbqo"].iter().chain(args)).unwrap().flags
    }

    #[test]
    fn election_is_on_unless_somebody_says_otherwise() {
        assert!(flags(&[]).is_on() && flags(&["--leader-elect"]).is_on() && flags(&["--leader-elect=true"]).is_on());
        assert!(!flags(&["--leader-elect=false"]).is_on());
        let times = flags(&[]).times().unwrap();
        assert!(flags(&["--leader-elect=false"]).candidate(times, "default").is_none());
    }

    #[test]
    fn times_are_read_as_users_write_them_and_refused_where_they_make_no_sense() {
        let times = flags(&["--lease-duration=1m", "--lease-retry-period", "500ms"]).times().unwrap();
        assert_eq!(
            times,
            Times::new(Duration::from_secs(60), Duration::from_secs(10), Duration::from_millis(500)).unwrap()
        );
        let error = flags(&["--lease-duration=5s"]).times().unwrap_err();
        assert!(error.contains("--lease-renew-deadline (10s)"), "{error}");
        let error = Cli::try_parse_from(["dbqo", "--lease-duration=5"]).unwrap_err().to_string();
        assert!(error.contains("--lease-duration") && error.contains("15s"), "{error}");
    }

    #[test]
    fn no_two_processes_have_one_identity() {
        let (one, other) = (identity(), identity());
        assert_ne!(one, other);
        assert!(one.contains('_'), "{one}");
    }
}
