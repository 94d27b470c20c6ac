//! Keeps Kubernetes objects in step with the rows of a PostgreSQL query.
//!
//! One look at one `DatabaseQueryResource` is a pipeline:
//! fetch → validate → query → render → track → apply → prune → report.
//!
//! Where things are: [`crd`] is the contract with users; [`logic`] decides and is pure; [`postgres`]
//! and [`cluster`] talk and do not know each other; [`controller`] orders; [`cli`] reads flags and
//! puts the parts together. Beside them, [`metrics`] and [`admin`] tell how it all goes.

pub mod admin;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod crd;
pub mod logic;
pub mod metrics;
pub mod postgres;
