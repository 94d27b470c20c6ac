//! Flags, environment and the commands: the only reader of either.

mod dsn;
mod election;
mod output;
mod run;
mod sql;

use clap::{Parser, Subcommand};

/// Keeps Kubernetes objects in step with the rows of a PostgreSQL query.
#[derive(Debug, Parser)]
#[command(name = "dbqo", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator against the cluster of the kubeconfig, or the one it runs in
    Run(Box<run::Flags>),
    /// Install, check or remove what makes PostgreSQL tell of changes: the schema `dbqo` and triggers on watched tables
    #[command(subcommand)]
    Sql(sql::Command),
    /// Print the CustomResourceDefinition, for `kubectl apply --server-side -f -`
    Crd,
    /// Print the version
    Version,
}

impl Cli {
    /// Does what the command line says; the error is a sentence for the user.
    pub fn execute(self) -> Result<(), String> {
        match self.command {
            Command::Run(flags) => run::run(&flags),
            Command::Sql(command) => sql::run(&command),
            Command::Crd => output::whole(crate::crd::definition_yaml()?),
            Command::Version => output::line(concat!("dbqo ", env!("CARGO_PKG_VERSION"))),
        }
    }
}
