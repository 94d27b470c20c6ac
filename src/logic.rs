//! Everything the operator decides. Pure: no client, no clock, no environment, no randomness; what
//! a decision needs of those is an argument.

pub mod columns;
pub mod connection;
pub mod document;
pub mod guard;
pub mod inventory;
pub mod kubernetes;
pub mod object;
pub mod outcome;
pub mod render;
pub mod retry;
pub mod rights;
pub mod schedule;
pub mod sql;
pub mod template;
pub mod validate;
pub mod yaml;
