//! Tables that notify, but have not told of all their changes at once for long: which, and why. Pure.

use super::message::names;
use super::{Mark, Watched};
use crate::logic::bell::Unrest;
use crate::logic::few::few;

/// So many who keep a lock are named.
const NAMED: usize = 4;

/// A watched table not all of whose changes are told of at once, for long.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quiet {
    /// Its oid.
    pub table: i64,
    /// Why.
    pub why: Unrest,
    /// Who keeps its lock from being had, as far as it is known.
    pub keepers: Vec<Keeper>,
}

/// Who keeps a lock that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keeper {
    /// The server process; None for a prepared transaction, which has none.
    pub pid: Option<i32>,
    /// Whether it has the lock as only a listener has it: it is one of before, with nobody behind it.
    pub is_listener: bool,
}

/// What is to be said of them, to stand before other parts of a sentence; nothing where there are none.
pub(super) fn but(tables: &[(&Watched, &Mark)], quiet: &[Quiet]) -> String {
    let mut parts = Vec::new();
    for why in [Unrest::Busy, Unrest::NoPlace, Unrest::Late] {
        let of: Vec<&Quiet> = quiet.iter().filter(|quiet| quiet.why == why).collect();
        let is_one = |oid: i64| of.iter().any(|quiet| quiet.table == oid);
        let Some(names) = names(tables.iter().filter(|(_, mark)| is_one(mark.oid))) else { continue };
        let keepers = || of.iter().flat_map(|quiet| &quiet.keepers);
        let of_before = processes(keepers().filter(|keeper| keeper.is_listener));
        let writers = processes(keepers().filter(|keeper| !keeper.is_listener));
        let mut part = match (why, &of_before) {
            (Unrest::Busy, _) => {
                format!("but {names}, for over half a minute, changes so often that it is read now and then instead")
            }
            (Unrest::NoPlace, _) => format!(
                "but {names}, for over half a minute, is read now and then instead: its lock is kept by others, and all \
                 connections that may wait for locks do so (--max-waiting-per-listener)"
            ),
            (Unrest::Late, None) => format!(
                "but what transactions have changed in {names} that go on for over half a minute, and began before it \
                 was listened to{}, is noticed when they end",
                writers.map(|writers| format!(" ({writers})")).unwrap_or_default()
            ),
            (Unrest::Late, Some(_)) => format!("but the lock of {names} has not been had for over half a minute"),
        };
        if let Some(of_before) = of_before {
            part.push_str(&format!(
                "; a hung session of an operator's own keeps it: {of_before}, to be ended by pg_terminate_backend"
            ));
        }
        parts.push(part + "; ");
    }
    parts.concat()
}

/// The first few of them, each once; None where there are none.
fn processes<'a>(keepers: impl Iterator<Item = &'a Keeper>) -> Option<String> {
    let mut shown: Vec<String> = keepers
        .map(|keeper| match keeper.pid {
            Some(pid) => format!("server process {pid}"),
            None => "a prepared transaction".into(),
        })
        .collect();
    shown.sort_unstable();
    shown.dedup();
    (!shown.is_empty()).then(|| few(shown, NAMED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeper(pid: impl Into<Option<i32>>, is_listener: bool) -> Keeper {
        Keeper { pid: pid.into(), is_listener }
    }

    #[test]
    fn who_keeps_a_lock_is_named_once_and_not_all_of_many() {
        assert_eq!(processes([].iter()), None);
        let two = [keeper(7, false), keeper(None, false), keeper(7, false)];
        assert_eq!(processes(two.iter()).unwrap(), "a prepared transaction, server process 7");
        let many: Vec<Keeper> = (1..=9).map(|pid| keeper(pid, false)).collect();
        assert!(processes(many.iter()).unwrap().ends_with("server process 4 and 5 more"));
    }
}
