//! The prune guard's rule: whether this many deletions are believable. Pure.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::few::counted;
use crate::crd::PruneGuard;

/// A guard whose numbers were read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guard {
    most: Most,
    allow_empty: bool,
    /// Deletions within this time are counted together.
    pub window: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Most {
    Number(usize),
    Share { percent: usize, minimum: usize },
}

/// What is counted, in objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The most there were within the window.
    pub objects: usize,
    /// Deleted within the window.
    pub earlier: usize,
    /// To be deleted now.
    pub deletions: usize,
    /// Whether there are others, which have a row.
    pub leaves_some: bool,
}

/// Why deletions wait. The message says what would let them pass for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// Nothing would be left.
    #[error(
        "{} without a row, and none would be left; pruneGuard.allowEmpty: true allows that",
        counted(*deletions, "object")
    )]
    Empty {
        /// Deletions asked for.
        deletions: usize,
    },
    /// More than allowed at a time.
    #[error(
        "{deletions} of {} without a row{}, and {allowed} may be deleted within {window:?}; \
         pruneGuard.maxDeletions allows more",
        counted(*objects, "object"),
        if *earlier > 0 { format!(", {earlier} deleted just before") } else { String::new() }
    )]
    TooMany {
        /// Deletions asked for.
        deletions: usize,
        /// Deleted within the window.
        earlier: usize,
        /// The most objects there were within the window.
        objects: usize,
        /// Deletions allowed within the window.
        allowed: usize,
        /// The window.
        window: Duration,
    },
}

impl Blocked {
    /// How many deletions were asked for.
    pub fn deletions(&self) -> usize {
        match self {
            Self::Empty { deletions } | Self::TooMany { deletions, .. } => *deletions,
        }
    }
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
        Ok(Self { most, allow_empty: spec.allow_empty, window: spec.window.0 })
    }

    /// Judges deletions together with those of the window before them.
    pub fn judge(&self, count: Count) -> Result<(), Blocked> {
        let Count { objects, earlier, deletions, leaves_some } = count;
        if deletions == 0 {
            return Ok(());
        }
        if !leaves_some && !self.allow_empty {
            return Err(Blocked::Empty { deletions });
        }
        let together = earlier + deletions;
        let (allowed, softened) = match self.most {
            Most::Number(number) => (number, false),
            Most::Share { percent, minimum } => (objects * percent / 100, together < minimum),
        };
        if together > allowed && !softened {
            return Err(Blocked::TooMany { deletions, earlier, objects, allowed, window: self.window });
        }
        Ok(())
    }
}

const WRONG: &str = "pruneGuard.maxDeletions must be a number or a percentage from 0% to 100%";

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(max: IntOrString, allow_empty: bool) -> Guard {
        Guard::new(&PruneGuard { max_deletions: max, allow_empty, ..PruneGuard::default() }).unwrap()
    }

    fn count(objects: usize, earlier: usize, deletions: usize) -> Count {
        Count { objects, earlier, deletions, leaves_some: objects > earlier + deletions }
    }

    #[test]
    fn a_share_lets_few_deletions_pass_and_holds_back_many() {
        let twenty = guard(IntOrString::String("20%".into()), false);
        assert_eq!(twenty.judge(count(100, 0, 20)), Ok(()));
        assert!(matches!(twenty.judge(count(100, 0, 21)), Err(Blocked::TooMany { allowed: 20, .. })));
        assert_eq!(twenty.judge(count(12, 0, 9)), Ok(()), "fewer than the minimum never trip a percentage");
        assert!(twenty.judge(count(12, 0, 10)).is_err());
    }

    #[test]
    fn deletions_of_the_window_count_as_well() {
        let twenty = guard(IntOrString::String("20%".into()), false);
        assert_eq!(twenty.judge(count(100, 19, 1)), Ok(()));
        let blocked = twenty.judge(count(100, 20, 1)).unwrap_err();
        assert!(matches!(blocked, Blocked::TooMany { deletions: 1, earlier: 20, .. }));
        assert!(blocked.to_string().contains("20 deleted just before"), "{blocked}");
        assert!(twenty.judge(count(12, 9, 1)).is_err(), "the minimum counts the window, too");
    }

    #[test]
    fn a_number_is_exact_and_the_minimum_does_not_soften_it() {
        let two = guard(IntOrString::Int(2), false);
        assert_eq!(two.judge(count(100, 0, 2)), Ok(()));
        assert!(two.judge(count(100, 0, 3)).is_err());
        assert!(two.judge(count(100, 2, 1)).is_err());
        assert!(guard(IntOrString::Int(0), false).judge(count(5, 0, 1)).is_err());
    }

    #[test]
    fn a_deletion_that_leaves_nothing_is_blocked_at_every_size_unless_allowed() {
        let all = IntOrString::String("100%".into());
        assert_eq!(guard(all.clone(), false).judge(count(1, 0, 1)), Err(Blocked::Empty { deletions: 1 }));
        assert_eq!(guard(all, true).judge(count(500, 0, 500)), Ok(()));
    }

    #[test]
    fn nonsense_is_refused_by_the_name_of_its_field() {
        for wrong in ["101%", "20", "-1%", "%"] {
            let spec = PruneGuard { max_deletions: IntOrString::String(wrong.into()), ..PruneGuard::default() };
            assert_eq!(Guard::new(&spec), Err(WRONG), "{wrong}");
        }
    }
}
