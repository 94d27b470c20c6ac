//! The contract with users: group, version and kind, the spec and status types whose field docs are
//! the user reference, and the CustomResourceDefinition generated from them. Pure.

mod change_detection;
mod database;
pub mod defaults;
mod definition;
mod duration;
mod resource;
mod spec;
mod status;

pub use change_detection::*;
pub use database::*;
pub use definition::definition_yaml;
pub use duration::Duration;
pub use resource::Dbqr;
pub use spec::*;
pub use status::*;
