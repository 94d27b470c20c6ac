//! Which versions of PostgreSQL will do. Pure.

/// The oldest major version that is supported.
const OLDEST: u32 = 14;

/// Why a server will not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// It is too old.
    #[error("the server is PostgreSQL {0}; {OLDEST} or newer is needed")]
    Older(u32),
    /// It does not say what it is.
    #[error("the server does not say which version of PostgreSQL it is; {OLDEST} or newer is needed")]
    Unknown,
}

/// Judges what a server reports as `server_version`, such as `15.18 (Debian 15.18-0+deb12u1)` or `19beta1`.
pub fn check(server_version: Option<&str>) -> Result<(), Unsupported> {
    let text = server_version.unwrap_or_default();
    let digits = text.find(|c: char| !c.is_ascii_digit()).map_or(text, |end| &text[..end]);
    match digits.parse() {
        Ok(major) if major >= OLDEST => Ok(()),
        Ok(major) => Err(Unsupported::Older(major)),
        Err(_) => Err(Unsupported::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fourteen_and_newer_will_do_whatever_stands_behind_the_number() {
        for version in ["14.0", "15.18 (Debian 15.18-0+deb12u1)", "16", "17.2-custom", "18beta1", "19devel", "100.1"] {
            assert_eq!(check(Some(version)), Ok(()), "{version}");
        }
    }

    #[test]
    fn an_older_server_is_told_its_version_and_what_is_needed() {
        for (version, major) in [("13.22", 13), ("9.6.24", 9), ("8.0.2", 8)] {
            assert_eq!(check(Some(version)), Err(Unsupported::Older(major)), "{version}");
        }
        let said = Unsupported::Older(13).to_string();
        assert!(said.contains("PostgreSQL 13") && said.contains("14 or newer"), "{said}");
    }

    #[test]
    fn a_server_that_does_not_say_its_version_will_not_do() {
        for version in [None, Some(""), Some("newest"), Some("99999999999999")] {
            assert_eq!(check(version), Err(Unsupported::Unknown), "{version:?}");
        }
    }
}
