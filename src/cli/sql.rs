//! `dbqo sql`: does what the files of `sql/` do, for whoever has no psql at hand, and tells in sentences what is missing.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::dsn;
use super::output::{line, whole};
use crate::logic::sql::{QualifiedName, identifier, qualified_name};
use crate::logic::triggers::{Finding, MOST_SLOTS, Missing, REVISION, VERSION, Wanted, Why, files};
use crate::postgres::{Error, Limits, Session};

/// `dbqo sql …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install the schema `dbqo` with its functions. Changes nothing where it is installed
    Install(dsn::Flags),
    /// Make the triggers of a table, or what is missing of them. Changes nothing where they are there
    Watch(Box<WatchFlags>),
    /// Remove the triggers of a table
    Unwatch(TableFlags),
    /// Remove everything: all triggers, the schema, and the role that owns it
    Uninstall(dsn::Flags),
    /// Print one of the files, for psql or a migration
    Print {
        /// Which
        #[arg(value_enum, default_value = "install")]
        file: File,
    },
    /// Tell what is there, what is missing and which statement mends it. Changes nothing; the exit code is 1 where
    /// something is missing
    Check {
        /// Only this table, as an SQL name; all that are watched where unset
        #[arg(long, value_name = "NAME", value_parser = qualified_name)]
        table: Option<QualifiedName>,
        #[command(flatten)]
        database: dsn::Flags,
    },
}

/// Flags of `dbqo sql watch`.
#[derive(Debug, Args)]
pub struct WatchFlags {
    #[command(flatten)]
    table: TableFlags,

    /// Columns by which changed rows are found again, as SQL names (`changeDetection.keyColumns`). Where unset, the
    /// table's primary key, if it is not watched yet, and else those that are there
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = column)]
    keys: Option<Vec<String>>,

    /// How many operators may watch this database; 1 where nobody said otherwise. With 0 there is no bell: every change
    /// is sent, whether or not an operator wants to be told, which slows down tables that many write to
    #[arg(long, value_parser = clap::value_parser!(u16).range(0..=i64::from(MOST_SLOTS)))]
    slots: Option<u16>,
}

/// A table in a database.
#[derive(Debug, Args)]
pub struct TableFlags {
    /// The table, as an SQL name (`schema.table`; folded to lower case unless quoted)
    #[arg(long, value_name = "NAME", value_parser = qualified_name)]
    table: QualifiedName,
    #[command(flatten)]
    database: dsn::Flags,
}

/// The files of `sql/`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum File {
    Install,
    Watch,
    Unwatch,
    Uninstall,
    Version,
    Check,
}

fn column(text: &str) -> Result<String, String> {
    identifier(text).map(|name| name.as_str().to_owned()).map_err(|error| error.to_string())
}

/// Does it and prints what it did; the error is a sentence for the user.
pub fn run(command: &Command) -> Result<(), String> {
    let database = match command {
        Command::Print { file } => return whole(text(*file)),
        Command::Install(database) | Command::Uninstall(database) | Command::Check { database, .. } => database,
        Command::Watch(flags) => &flags.table.database,
        Command::Unwatch(flags) => &flags.database,
    };
    let settings = database.settings()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("no runtime: {error}"))?.block_on(async {
        let mut session = Session::connect(&settings).await.map_err(|error| dsn::in_flags(&error.to_string()))?;
        match command {
            Command::Install(_) => install(&mut session).await,
            Command::Uninstall(_) => uninstall(&mut session).await,
            Command::Watch(flags) => watch(&mut session, flags).await,
            Command::Unwatch(flags) => unwatch(&mut session, &flags.table).await,
            Command::Check { table, .. } => check(&mut session, table.as_ref()).await,
            Command::Print { .. } => Ok(()),
        }
    })
}

fn text(file: File) -> &'static str {
    match file {
        File::Install => files::INSTALL,
        File::Watch => files::WATCH,
        File::Unwatch => files::UNWATCH,
        File::Uninstall => files::UNINSTALL,
        File::Version => files::VERSION,
        File::Check => files::CHECK,
    }
}

/// Nobody waits longer for a person's command, and what changes something waits less.
const LIMITS: Limits = Limits { statement_timeout: Duration::from_secs(30), max_rows: 0, read_only: false };

async fn install(session: &mut Session) -> Result<(), String> {
    let before = session.installed(&LIMITS).await.map_err(failed)?;
    match before.is_usable() {
        Ok(()) | Err(Why::NotInstalled) => {}
        Err(why) => return Err(why.to_string()),
    }
    session.install(&LIMITS).await.map_err(failed)?;
    let after = session.installed(&LIMITS).await.map_err(failed)?;
    let (version, revision) = (after.version.unwrap_or_default(), after.revision.unwrap_or_default());
    match after == before {
        true => line(format_args!("schema dbqo, version {version}.{revision}, is installed already")),
        false => line(format_args!("schema dbqo, version {version}.{revision}, is installed")),
    }
}

async fn watch(session: &mut Session, flags: &WatchFlags) -> Result<(), String> {
    let table = &flags.table.table;
    session.installed(&LIMITS).await.map_err(failed)?.is_usable().map_err(|why| missing(why).to_string())?;
    let oid = find(session, table).await?;
    let wanted = Wanted { oid, keys: flags.keys.clone(), slots: flags.slots };
    let watched = session.ensure_watched(&wanted, true, &LIMITS).await.map_err(|error| match wanted.columns() {
        [] => format!("{}: {error}", table.shown()),
        keys => format!("{} with the key columns {}: {error}", table.shown(), keys.join(", ")),
    })?;
    let bell = if watched.slots == 0 { "no bell".to_owned() } else { format!("a bell with {} slots", watched.slots) };
    made(&watched.created, "made", "nothing was missing")?;
    line(format_args!("{} is watched; key columns: {}; {bell}", table.shown(), listed(&watched.keys)))
}

fn listed(keys: &[String]) -> String {
    if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
}

async fn unwatch(session: &mut Session, table: &QualifiedName) -> Result<(), String> {
    session.installed(&LIMITS).await.map_err(failed)?.is_usable().map_err(|why| why.to_string())?;
    let oid = find(session, table).await?;
    let removed = session.unwatch(oid, &LIMITS).await.map_err(failed)?;
    made(&removed, "removed", "it was not watched")
}

async fn uninstall(session: &mut Session) -> Result<(), String> {
    match session.installed(&LIMITS).await.map_err(failed)?.is_usable() {
        Ok(()) => {}
        Err(Why::NotInstalled) => {
            return line("the schema dbqo is not installed in this database: nothing to remove");
        }
        Err(why) => return Err(why.to_string()),
    }
    let removed = session.uninstall(&LIMITS).await.map_err(failed)?;
    made(&removed, "removed", "nothing was there")
}

async fn check(session: &mut Session, table: Option<&QualifiedName>) -> Result<(), String> {
    let installed = session.installed(&LIMITS).await.map_err(failed)?;
    installed.is_usable().map_err(|why| missing(why).to_string())?;
    let (version, revision) = (installed.version.unwrap_or_default(), installed.revision.unwrap_or_default());
    line(format_args!("schema dbqo, version {version}.{revision}, is installed"))?;
    let oid = match table {
        Some(table) => Some(find(session, table).await?),
        None => None,
    };
    let findings = session.check(oid, &LIMITS).await.map_err(failed)?;
    findings.iter().try_for_each(|finding| line(sentence(finding)))?;
    if !findings.iter().any(|finding| finding.table.is_some()) {
        line("no table is watched")?;
    }
    if (version, revision) < (VERSION, REVISION) {
        return Err(format!("version {VERSION}.{REVISION} is newer; run: dbqo sql install"));
    }
    match findings.iter().filter(|finding| finding.table.is_some() && finding.problem.is_some()).count() {
        0 => Ok(()),
        1 => Err("something is missing of one table".to_owned()),
        count => Err(format!("something is missing of {count} tables")),
    }
}

fn sentence(finding: &Finding) -> String {
    let table = finding.table.as_deref().unwrap_or("the server");
    match (&finding.problem, &finding.statement) {
        (None, _) => format!("{table}: all is there; key columns: {}", listed(&finding.keys)),
        (Some(problem), None) => format!("{table}: {problem}"),
        (Some(problem), Some(statement)) => format!("{table}: {problem}; run: {statement}"),
    }
}

async fn find(session: &mut Session, table: &QualifiedName) -> Result<u32, String> {
    let found = session.table(table, &LIMITS).await.map_err(failed)?;
    found.ok_or_else(|| format!("there is no table {}", table.shown()))
}

fn made(things: &[String], done: &str, nothing: &str) -> Result<(), String> {
    match things {
        [] => line(nothing),
        things => things.iter().try_for_each(|thing| line(format_args!("{done} {thing}"))),
    }
}

fn missing(why: Why) -> Missing {
    Missing::of(why, None, &Wanted { oid: 0, keys: None, slots: None })
}

fn failed(error: Error) -> String {
    error.to_string()
}
