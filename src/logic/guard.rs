//! The prune guard: whether this many deletions at a time are believable. Pure.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::crd::PruneGuard;

/// A guard whose numbers were read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guard {
    most: Most,
    allow_empty: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Most {
    Number(usize),
    Share { percent: usize, minimum: usize },
}

/// Why deletions wait. The message says how to let them pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// Nothing would be left.
    #[error("all {objects} objects would be deleted; if that is right, set pruneGuard.allowEmpty: true")]
    Empty {
        /// Objects there are.
        objects: usize,
    },
    /// More than allowed at a time.
    #[error(
        "{deletions} of {objects} objects would be deleted, {allowed} are allowed at a time; if that is right, raise pruneGuard.maxDeletions"
    )]
    TooMany {
        /// Deletions asked for.
        deletions: usize,
        /// Objects there are.
        objects: usize,
        /// Deletions allowed.
        allowed: usize,
    },
}

impl Guard {
    /// Reads the spec's guard; the error names the field.
    pub fn new(spec: &PruneGuard) -> Result<Self, &'static str> {
        let most = match &spec.max_deletions {
            IntOrString::Int(number) => Most::Number(usize::try_from(*number).map_err(|_| WRONG)?),
            IntOrString::String(text) => {
                let percent = text.strip_suffix('%').and_then(|p| p.parse().ok()).filter(|p| *p <= 100).ok_or(WRONG)?;
                let minimum = usize::try_from(spec.minimum).map_err(|_| "pruneGuard.minimum must not be negative")?;
                Most::Share { percent, minimum }
            }
        };
        Ok(Self { most, allow_empty: spec.allow_empty })
    }

    /// Judges `deletions` of the `objects` that there are, where `kept` remain wanted.
    pub fn judge(&self, objects: usize, deletions: usize, kept: usize) -> Result<(), Blocked> {
        if deletions == 0 {
            return Ok(());
        }
        if kept == 0 && !self.allow_empty {
            return Err(Blocked::Empty { objects });
        }
        let (allowed, softened) = match self.most {
            Most::Number(number) => (number, false),
            Most::Share { percent, minimum } => (objects * percent / 100, deletions < minimum),
        };
        if deletions > allowed && !softened { Err(Blocked::TooMany { deletions, objects, allowed }) } else { Ok(()) }
    }
}

const WRONG: &str = "pruneGuard.maxDeletions must be a number or a percentage from 0% to 100%";

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(max: IntOrString, allow_empty: bool) -> Guard {
        Guard::new(&PruneGuard { max_deletions: max, allow_empty, ..PruneGuard::default() }).unwrap()
    }

    #[test]
    fn a_share_lets_few_deletions_pass_and_holds_back_many() {
        let twenty = guard(IntOrString::String("20%".into()), false);
        assert_eq!(twenty.judge(100, 20, 80), Ok(()));
        assert_eq!(twenty.judge(100, 21, 79), Err(Blocked::TooMany { deletions: 21, objects: 100, allowed: 20 }));
        assert_eq!(twenty.judge(12, 9, 3), Ok(()), "fewer than the minimum never trip a percentage");
        assert!(twenty.judge(12, 10, 2).is_err());
    }

    #[test]
    fn a_number_is_exact_and_the_minimum_does_not_soften_it() {
        let two = guard(IntOrString::Int(2), false);
        assert_eq!(two.judge(100, 2, 98), Ok(()));
        assert!(two.judge(100, 3, 97).is_err());
        assert!(guard(IntOrString::Int(0), false).judge(5, 1, 4).is_err());
    }

    #[test]
    fn a_deletion_that_leaves_nothing_is_blocked_at_every_size_unless_allowed() {
        let all = IntOrString::String("100%".into());
        assert_eq!(guard(all.clone(), false).judge(1, 1, 0), Err(Blocked::Empty { objects: 1 }));
        assert_eq!(guard(all, true).judge(500, 500, 0), Ok(()));
    }

    #[test]
    fn nonsense_is_refused_by_the_name_of_its_field() {
        for wrong in ["101%", "20", "-1%", "%"] {
            let spec = PruneGuard { max_deletions: IntOrString::String(wrong.into()), ..PruneGuard::default() };
            assert_eq!(Guard::new(&spec), Err(WRONG), "{wrong}");
        }
    }
}
