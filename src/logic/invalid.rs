//! A spec that makes no sense.

use super::rights::Forbidden;

/// Why a spec makes no sense, or its Secret; a sentence that names the field, parameter or key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSpec(pub String);

impl From<Forbidden> for InvalidSpec {
    fn from(forbidden: Forbidden) -> Self {
        Self(forbidden.to_string())
    }
}
