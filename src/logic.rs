//! Everything the operator decides. Pure: no client, no clock, no environment, no randomness; what
//! a decision needs of those is an argument.

pub mod connection;
pub mod object;
pub mod sql;
pub mod template;
pub mod yaml;
