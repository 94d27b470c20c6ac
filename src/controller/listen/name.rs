//! How sessions are called, and what the name of another one tells of who is behind it.

use sha2::{Digest, Sha256};

use super::Endpoint;

/// In the place of a Lease, where none decides who is active.
const NO_LEASE: &str = "-";

/// Who is behind a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// Nobody any more: it is of this installation, or was of this process.
    Nobody,
    /// This process, that knows the database by another name as well.
    Us,
    /// An operator that runs without a Lease, if it runs still.
    Perhaps,
    /// Somebody who has nothing to do with us, or cannot be told.
    Another,
}

/// How the sessions of a listener are named: who finds one can tell whether there is anybody behind it.
#[derive(Clone, Debug)]
pub(super) struct SessionName {
    /// All processes that take turns by one Lease.
    installation: Option<String>,
    holder: String,
}

impl SessionName {
    /// `lease` is the uid of the Lease that decides who is active; None where nothing decides.
    pub(super) fn new(lease: Option<&str>, holder: &str) -> Self {
        Self { installation: lease.map(|uid| short(uid, 16)), holder: short(holder, 8) }
    }

    pub(super) fn of(&self, endpoint: &Endpoint) -> String {
        let Self { installation, holder } = self;
        let endpoint = short(&format!("{endpoint:?}"), 8);
        format!("db-query-operator {} {holder} {endpoint}", installation.as_deref().unwrap_or(NO_LEASE))
    }

    /// Who is behind a session of this name. Nobody is if the holder of the Lease is another one by now, or it is of an
    /// earlier connection of ours: to the same endpoint, or to one whose name nobody uses any more.
    pub(super) fn behind(
        &self,
        name: Option<&str>,
        endpoint: &Endpoint,
        is_in_use: impl FnOnce(&str) -> bool,
    ) -> Behind {
        let mut words = name.unwrap_or_default().split(' ');
        let is_operator = words.next() == Some("db-query-operator");
        let (installation, holder) = (words.next(), words.next());
        let is_installation = installation == Some(self.installation.as_deref().unwrap_or(NO_LEASE));
        match holder {
            Some(_) if is_operator && name == Some(&self.of(endpoint)) => Behind::Nobody,
            Some(holder) if is_operator && is_installation && holder == self.holder => {
                if name.is_some_and(is_in_use) {
                    Behind::Us
                } else {
                    Behind::Nobody
                }
            }
            Some(_) if is_operator && is_installation && self.installation.is_some() => Behind::Nobody,
            Some(_) if is_operator && installation == Some(NO_LEASE) => Behind::Perhaps,
            _ => Behind::Another,
        }
    }
}

fn short(text: &str, digits: usize) -> String {
    let digest = Sha256::digest(text);
    let mut hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str) -> Endpoint {
        Endpoint { hosts: vec![(host.into(), None, 5432)], dbname: "app".into() }
    }

    #[test]
    fn a_session_is_dead_if_another_process_has_the_lease_or_it_is_an_earlier_one_of_ours() {
        let name = |installation, holder| SessionName::new(installation, holder);
        let (ours, here) = (name(Some("uid"), "a"), endpoint("db"));
        let behind = |who: &SessionName, session: String| {
            who.behind(Some(&session), &here, |name| name == who.of(&endpoint("alias")))
        };
        assert_eq!(behind(&ours, ours.of(&here)), Behind::Nobody, "an earlier connection to the same");
        assert_eq!(behind(&ours, ours.of(&endpoint("alias"))), Behind::Us, "in use");
        assert_eq!(behind(&ours, ours.of(&endpoint("former"))), Behind::Nobody, "not in use any more");
        assert_eq!(behind(&ours, name(Some("uid"), "b").of(&endpoint("alias"))), Behind::Nobody);
        assert_eq!(behind(&ours, name(Some("other"), "b").of(&here)), Behind::Another, "of another installation");
        assert_eq!(behind(&ours, name(None, "a").of(&here)), Behind::Perhaps, "nothing says that it is dead");
        for strange in ["psql", "", "db-query-operator", "db-query-operator x", "db-query-operator - "] {
            assert_ne!(behind(&ours, strange.into()), Behind::Nobody, "{strange:?}");
        }
        assert_eq!(ours.behind(None, &here, |_| false), Behind::Another, "its name is not for us to see");
        let endless = name(None, "a");
        assert_eq!(behind(&endless, name(None, "b").of(&here)), Behind::Perhaps);
        assert_eq!(behind(&endless, endless.of(&endpoint("alias"))), Behind::Us);
        assert_eq!(behind(&endless, endless.of(&here)), Behind::Nobody);
        assert_eq!(behind(&endless, ours.of(&here)), Behind::Another);
    }

    #[test]
    fn a_session_name_is_not_cut_by_the_server() {
        let name = SessionName::new(Some(&"x".repeat(300)), &"y".repeat(300)).of(&endpoint(&"z".repeat(300)));
        assert!(name.len() < 64, "{name}");
    }
}
