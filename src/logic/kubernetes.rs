//! Which versions of Kubernetes are supported. Pure.

use std::fmt;

/// The oldest one.
pub const OLDEST: Version = Version { major: 1, minor: 30 };

/// A version of Kubernetes, without patch and vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 1.
    pub major: u32,
    /// Such as 33.
    pub minor: u32,
}

/// What an API server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// `1`.
    pub major: String,
    /// `33`, and `33+` or the like from vendors.
    pub minor: String,
    /// `v1.33.1`, and `v1.33.1-gke.100` or the like from vendors.
    pub git_version: String,
}

/// The server is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the API server is Kubernetes {0}; this operator needs {OLDEST} or newer")]
pub struct TooOld(pub Version);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Reported {
    /// The version, None where it cannot be read from what the server says: that is no reason not to start.
    pub fn supported(&self) -> Result<Option<Version>, TooOld> {
        match self.version() {
            Some(version) if version < OLDEST => Err(TooOld(version)),
            version => Ok(version),
        }
    }

    fn version(&self) -> Option<Version> {
        let mut git = self.git_version.trim_start_matches('v').splitn(3, '.');
        let from_git = || Version::read(git.next()?, git.next()?);
        Version::read(&self.major, &self.minor).or_else(from_git)
    }
}

impl Version {
    /// Reads leading digits. There is no version 0 but that of builds that do not know theirs.
    fn read(major: &str, minor: &str) -> Option<Self> {
        let digits = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            text[..end].parse().ok()
        };
        Some(Self { major: digits(major).filter(|major| *major > 0)?, minor: digits(minor)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(major: &str, minor: &str, git_version: &str) -> Result<Option<Version>, TooOld> {
        Reported { major: major.into(), minor: minor.into(), git_version: git_version.into() }.supported()
    }

    const fn version(major: u32, minor: u32) -> Version {
        Version { major, minor }
    }

    #[test]
    fn the_oldest_supported_version_and_newer_ones_are_taken() {
        assert_eq!(judged("1", "30", "v1.30.0"), Ok(Some(version(1, 30))));
        assert_eq!(judged("1", "100", "v1.100.2"), Ok(Some(version(1, 100))));
        assert_eq!(judged("2", "0", "v2.0.0"), Ok(Some(version(2, 0))));
    }

    #[test]
    fn an_older_one_is_refused_with_both_versions() {
        let refused = judged("1", "29", "v1.29.14").unwrap_err().to_string();
        assert!(refused.contains("1.29") && refused.contains("1.30"), "{refused}");
        assert!(judged("1", "9", "v1.9.0").is_err());
    }

    #[test]
    fn vendors_may_write_more_behind_the_numbers() {
        assert_eq!(judged("1", "30+", "v1.30.1-gke.100"), Ok(Some(version(1, 30))));
        assert_eq!(judged("1", "31", "v1.31.2+k3s1"), Ok(Some(version(1, 31))));
        assert_eq!(judged("", "", "v1.30.1-gke.100"), Ok(Some(version(1, 30))));
        assert_eq!(judged("", "", "1.30-eks-1"), Ok(Some(version(1, 30))));
        assert!(judged("1", "29+", "v1.29.3-eks-adc7111").is_err());
        assert!(judged("", "", "v1.29.3-eks-adc7111").is_err());
    }

    #[test]
    fn what_cannot_be_read_is_no_reason_not_to_start() {
        for git_version in ["", "v0.0.0-master+$Format:%H$", "unknown", "v.", "v99999999999.1"] {
            assert_eq!(judged("", "", git_version), Ok(None), "{git_version}");
        }
    }
}
