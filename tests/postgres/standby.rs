//! Looks for changes at servers of a test's own: a standby, and a server that crashes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dbqo::logic::connection::Settings;
use dbqo::logic::detect::Ask;
use dbqo::postgres::Session;
use serde_json::json;
use tokio_postgres::NoTls;

use super::probe::Looker;
use crate::support::{env, eventually, free_port};

const PATIENCE: Duration = Duration::from_secs(60);
const USER: &str = "owner";

/// A server of a test's own; ends with it.
struct Server {
    folder: PathBuf,
    port: u16,
    process: Child,
}

impl Server {
    async fn create(name: &str) -> Self {
        let folder = folder(name);
        run("initdb", &["--no-sync", "--encoding", "UTF8", "--username", USER, "--auth", "trust", "-D"], &folder);
        Self::start(folder).await
    }

    async fn standby_of(&self, name: &str) -> Self {
        let folder = folder(name);
        let port = self.port.to_string();
        let from = ["--host", "127.0.0.1", "--port", &port, "--username", USER];
        run(
            "pg_basebackup",
            &[&from[..], &["--no-sync", "--checkpoint", "fast", "--write-recovery-conf", "-D"]].concat(),
            &folder,
        );
        Self::start(folder).await
    }

    async fn start(folder: PathBuf) -> Self {
        let port = free_port();
        let settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", &format!("port={port}")];
        let mut command = as_postgres("postgres");
        command.arg("-D").arg(&folder).args(settings.iter().flat_map(|setting| ["-c", setting]));
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { folder, port, process };
        let config = server.config();
        eventually("the server answers", PATIENCE, async || config.connect(NoTls).await.is_ok().then_some(())).await;
        server
    }

    fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(USER).dbname("postgres");
        config
    }

    async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = self.config().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    async fn run(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.unwrap();
    }

    async fn session(&self) -> Option<Session> {
        let settings = Settings {
            hosts: vec![("127.0.0.1".to_owned(), self.port).into()],
            user: USER.into(),
            dbname: "postgres".into(),
            ..Settings::default()
        };
        Session::connect(&settings).await.ok()
    }

    async fn looker(&self) -> Looker {
        let changes = json!({"tableName": "t", "timestampColumn": "at"});
        Looker::with(self.session().await.unwrap(), "SELECT 1 AS a", changes)
    }

    /// Ends a process of it as a crash would: that takes all others along, and all counters.
    async fn crash(&self) -> Session {
        let client = self.client().await;
        let sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
        let pid: i32 = client.query_one(sql, &[]).await.unwrap().get(0);
        signal("KILL", pid.try_into().unwrap());
        eventually("the connection breaks", PATIENCE, async || client.is_closed().then_some(())).await;
        eventually("it has recovered", PATIENCE, async || self.session().await).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // At once: there is nothing in it worth keeping.
        signal("QUIT", self.process.id());
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn signal(name: &str, pid: u32) {
    let _ = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status();
}

/// Below the run's own folder, which goes with it.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env("DIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    if is_root() {
        assert!(Command::new("chown").arg(postgres_user()).arg(&folder).status().unwrap().success());
    }
    folder.join("data")
}

fn run(program: &str, arguments: &[&str], last: &Path) {
    let output = as_postgres(program).args(arguments).arg(last).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// One of PostgreSQL's programs, as a user that it runs as; it does not outlive the tests.
fn as_postgres(program: &str) -> Command {
    let program = PathBuf::from(env("PG_BIN")).join(program);
    if !cfg!(target_os = "linux") {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    if is_root() {
        let user = postgres_user();
        command.args(["--reuid", user, "--regid", &id(&["-g", user]), "--init-groups", "--", "setpriv"]);
    }
    // A change of user clears this, so it comes last.
    command.args(["--pdeathsig", "QUIT", "--"]).arg(program);
    command
}

fn postgres_user() -> &'static str {
    if id(&["-u", "postgres"]).is_empty() { "nobody" } else { "postgres" }
}

fn is_root() -> bool {
    id(&["-u"]) == "0"
}

fn id(arguments: &[&str]) -> String {
    let output = Command::new("id").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

const TABLE: &str = "CREATE TABLE t (name text, v int, at timestamptz);
    INSERT INTO t VALUES ('a', 1, '2024-01-01Z'), ('b', 1, '2024-01-02Z')";

#[tokio::test]
async fn at_a_standby_rows_are_counted_however_many_and_its_promotion_is_a_change() {
    let primary = Server::create("primary").await;
    primary.run(TABLE).await;
    primary.run("UPDATE pg_class SET reltuples = 1000000, relpages = 5000 WHERE relname = 't'").await;
    let standby = primary.standby_of("standby").await;
    let mut looker = standby.looker().await;
    looker.try_look().await.unwrap();
    let mark = looker.mark(0);
    assert_eq!((mark.signals.counters, mark.signals.ask), (false, Ask { newest: true, count: true }));
    assert_eq!((mark.newest.as_deref(), mark.count), (Some("2024-01-02 00:00:00+00"), Some(2)));
    assert!(!looker.changed().await);
    primary.run("DELETE FROM t WHERE name = 'a'").await;
    looker.until_changed("a row less, below the newest").await;
    primary.run("INSERT INTO t VALUES ('c', 1, '2024-02-01Z')").await;
    looker.until_changed("a newer row").await;
    standby.run("SELECT pg_promote()").await;
    looker.until_changed("the promotion").await;
    assert!(looker.mark(0).signals.counters, "from now on it counts");
}

#[tokio::test]
async fn a_change_whose_count_a_crash_wiped_out_is_seen() {
    let server = Server::create("crash").await;
    server.run(TABLE).await;
    let mut looker = server.looker().await;
    looker.resume(server.crash().await);
    looker.try_look().await.unwrap();
    let before = looker.mark(0).clone();
    server.run("UPDATE t SET v = 2 WHERE name = 'a'").await;
    looker.resume(server.crash().await);
    assert!(looker.changed().await);
    assert_eq!(*looker.mark(0), before, "counters are at zero as before, and nothing else of the table shows it");
}
