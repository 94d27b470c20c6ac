//! Everything the operator decides. Pure: no client, no clock, no environment, no randomness; what
//! a decision needs of those is an argument.

pub mod columns;
pub mod conflict;
pub mod connection;
pub mod contact;
pub mod contest;
pub mod denied;
pub mod detect;
pub mod document;
pub mod fields;
pub mod guard;
pub mod inventory;
pub mod json;
pub mod kubernetes;
pub mod lease;
pub mod memo;
pub mod object;
pub mod outcome;
pub mod pointer;
pub mod pool;
pub mod prune;
pub mod queue;
pub mod render;
pub mod rest;
pub mod retry;
pub mod rights;
pub mod row;
pub mod schedule;
pub mod secrets;
pub mod sql;
pub mod state;
pub mod template;
pub mod validate;
pub mod version;
pub mod yaml;
