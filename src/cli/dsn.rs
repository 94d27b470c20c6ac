//! Which database a command is for: a connection string, and what libpq's environment adds to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::logic::connection::certificates::{self, BadClient, Certificates};
use crate::logic::connection::{self, Settings};

/// Variables of libpq, and the parameters that they are for.
const ENVIRONMENT: [(&str, &str); 10] = [
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGDATABASE", "dbname"),
    ("PGSSLMODE", "sslmode"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGOPTIONS", "options"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
];

/// Flags of commands that connect to a database.
#[derive(Debug, Args)]
// clap would name a group after the type, and others are named so, too.
#[group(skip)]
pub struct Flags {
    /// Connection string: a URI (`postgresql://user@host:port/dbname?sslmode=…`) or keywords and values (`host=… user=…`).
    /// What it leaves out is taken of PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, … as psql does; a
    /// password is better given there, as others see a command line
    #[arg(long, env = "DATABASE_URL", value_name = "DSN", hide_env_values = true)]
    dsn: Option<String>,

    /// File with the certificates, in PEM, that vouch for the server's; or `system`
    #[arg(long, env = "PGSSLROOTCERT", value_name = "FILE")]
    ssl_root_cert: Option<PathBuf>,

    /// File with a client certificate, in PEM
    #[arg(long, env = "PGSSLCERT", value_name = "FILE", requires = "ssl_key")]
    ssl_cert: Option<PathBuf>,

    /// File with its key
    #[arg(long, env = "PGSSLKEY", value_name = "FILE", requires = "ssl_cert")]
    ssl_key: Option<PathBuf>,
}

impl Flags {
    /// How to connect; the error is a sentence that names no value.
    pub fn settings(&self) -> Result<Settings, String> {
        let mut otherwise = vec![("host", "localhost".to_owned())];
        otherwise.extend(std::env::var("USER").ok().map(|user| ("user", user)));
        let given = ENVIRONMENT.iter().filter_map(|(name, parameter)| Some((*parameter, std::env::var(name).ok()?)));
        otherwise.extend(given.filter(|(_, value)| !value.is_empty()));
        let mut certificates = Certificates::default();
        match &self.ssl_root_cert {
            Some(file) if file == Path::new("system") => otherwise.push(("sslrootcert", "system".to_owned())),
            Some(file) => {
                let roots = certificates::roots(&read(file)?).map_err(|why| bad(file, why))?;
                certificates.roots = Some(roots);
            }
            None => {}
        }
        if let (Some(certificate), Some(key)) = (&self.ssl_cert, &self.ssl_key) {
            let client = certificates::client(&read(certificate)?, &read(key)?).map_err(|wrong| match wrong {
                BadClient::Certificate(why) => bad(certificate, why),
                BadClient::Key(why) => bad(key, why),
            })?;
            certificates.client = Some(Arc::new(client));
        }
        let settings = connection::given(self.dsn.as_deref().unwrap_or_default(), &otherwise, &certificates);
        settings.map_err(|error| in_flags(&error.to_string()))
    }
}

/// The texts are for resources, which name Secrets where a command line has files.
pub(super) fn in_flags(text: &str) -> String {
    text.replace("database.sslRootCertSecretRef", "--ssl-root-cert")
        .replace("database.sslCertSecretRef", "--ssl-cert")
        .replace("database.sslKeySecretRef", "--ssl-key")
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn bad(file: &Path, why: &str) -> String {
    format!("{} {why}", file.display())
}
