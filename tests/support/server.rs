//! A PostgreSQL of one test's own, for what the shared one cannot be: encrypted, or a standby.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use tokio::sync::OnceCell;

use super::certificates::{Authority, Pair, local};
use super::{connect, env, eventually, free_port, unique};

/// The superuser.
pub const ADMIN: &str = "admin";
/// Everybody's.
pub const PASSWORD: &str = "CANARY-password";

/// Who may log in how.
const HBA: &str = "hostssl all by_certificate all cert
hostssl all only_tls all scram-sha-256
hostnossl all only_plain all scram-sha-256
host all by_cleartext all password
host all admin,anyone all scram-sha-256
host replication admin all scram-sha-256
";
/// Starts as small as it can.
const CONFIG: &str = "listen_addresses = '127.0.0.1'
unix_socket_directories = ''
dynamic_shared_memory_type = mmap
shared_buffers = 4MB
max_connections = 30
autovacuum = off
fsync = off
password_encryption = scram-sha-256
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
ssl_ca_file = 'clients.crt'
";

pub struct Server {
    process: Child,
    folder: PathBuf,
    pub port: u16,
    /// Signs what the server shows and what it takes from clients.
    pub authority: Authority,
}

impl Server {
    /// One that shows a certificate for `localhost` and 127.0.0.1, with a user for each line above.
    pub async fn start(test: &str) -> Self {
        Self::start_from(template().await, test).await
    }

    /// The same, with a line of configuration for which it has to be started again.
    pub async fn configured(test: &str, line: &str) -> Self {
        let mut server = Self::start(test).await;
        server.set(line);
        server.crash("QUIT");
        server.start_again().await;
        server
    }

    /// One as at first, of another system than all others: those are copies, which PostgreSQL cannot tell from each other.
    pub async fn stranger(test: &str) -> Self {
        Self::start_from(&create_folder(), test).await
    }

    async fn start_from(template: &Path, test: &str) -> Self {
        let folder = PathBuf::from(env("DIR")).join(unique(test));
        run(Command::new("cp").arg("-a").arg(template).arg(&folder));
        let port = free_port();
        fs::write(folder.join("postgresql.auto.conf"), format!("port = {port}\n")).unwrap();
        let authority = Authority::new("the authority");
        fs::write(folder.join("clients.crt"), &authority.certificate).unwrap();
        write(&folder, &authority.signs(&local()));
        for file in fs::read_dir(&folder).unwrap() {
            hand_over(&file.unwrap().path());
        }
        let server = Self { process: spawn(&folder), folder, port, authority };
        let roles = ["by_certificate", "only_tls", "only_plain", "by_cleartext", "anyone"];
        let sql: String = roles.iter().map(|role| format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}';")).collect();
        server.ready().await.batch_execute(&sql).await.unwrap();
        server
    }

    /// The same as a standby, of a primary that is gone.
    pub async fn standby(test: &str) -> Self {
        let mut server = Self::start(test).await;
        // Stopped as if it crashed: a standby wants something to replay before it takes connections.
        server.stop();
        fs::write(server.folder.join("standby.signal"), "").unwrap();
        hand_over(&server.folder.join("standby.signal"));
        server.process = spawn(&server.folder);
        server.ready().await;
        server
    }

    /// A standby that follows this one, with these lines of configuration of its own.
    pub async fn follower(&self, test: &str, lines: &str) -> Self {
        let folder = PathBuf::from(env("DIR")).join(unique(test));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        hand_over(&folder);
        let mut copy = Command::new(program("pg_basebackup"));
        as_owner(&mut copy);
        copy.env("PGPASSWORD", PASSWORD).args(["--host", "127.0.0.1", "--username", ADMIN, "--port"]);
        copy.arg(self.port.to_string()).args([
            "--write-recovery-conf",
            "--checkpoint",
            "fast",
            "--no-sync",
            "--pgdata",
        ]);
        run(copy.arg(&folder));
        let port = free_port();
        let file = folder.join("postgresql.auto.conf");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{text}\nport = {port}\n{lines}\n")).unwrap();
        let follower = Self { process: spawn(&folder), folder, port, authority: Authority::new("nobody's") };
        follower.ready().await;
        follower
    }

    /// All it has written to its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.with_extension("log")).unwrap()
    }

    /// By which a resource finds it, as superuser.
    pub fn secret(&self, name: &str) -> Secret {
        serde_json::from_value(json!({"metadata": {"name": name}, "stringData": {
            "host": "127.0.0.1", "port": self.port.to_string(), "dbname": "postgres",
            "username": ADMIN, "password": PASSWORD,
        }}))
        .unwrap()
    }

    /// Ends it at once, with `KILL` the first process alone: the others notice by themselves.
    pub fn crash(&mut self, signal: &str) {
        self.signal(signal);
        let _ = self.process.wait();
    }

    /// Starts it again on what it left behind.
    pub async fn start_again(&mut self) {
        eventually("the server takes connections again", Duration::from_secs(60), async || {
            // As long as something of the last one is left, it refuses to start.
            if self.process.try_wait().unwrap().is_some() {
                self.process = spawn(&self.folder);
            }
            connect(self.config()).await.ok()
        })
        .await;
    }

    /// Its first process and those that serve clients.
    pub async fn processes(&self) -> Vec<u32> {
        let sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let clients = self.admin().await.query(sql, &[]).await.unwrap();
        let clients = clients.iter().map(|row| row.get::<_, i32>(0).unsigned_abs());
        clients.chain([self.process.id()]).collect()
    }

    async fn ready(&self) -> tokio_postgres::Client {
        let look = async || connect(self.config()).await.ok();
        eventually("the server takes connections", Duration::from_secs(60), look).await
    }

    /// Shows another certificate from soon on.
    pub fn show(&self, pair: &Pair) {
        write(&self.folder, pair);
        self.reload();
    }

    /// Changes a line of its configuration, soon.
    pub fn set(&self, line: &str) {
        let file = self.folder.join("postgresql.auto.conf");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{text}{line}\n")).unwrap();
        self.reload();
    }

    fn reload(&self) {
        self.signal("HUP");
    }

    pub async fn admin(&self) -> tokio_postgres::Client {
        connect(self.config()).await.unwrap()
    }

    /// How to connect as superuser.
    pub fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(ADMIN).password(PASSWORD).dbname("postgres");
        config
    }

    fn stop(&mut self) {
        self.signal("QUIT");
        // A test may have stopped it.
        self.signal("CONT");
        let _ = self.process.wait();
    }

    fn signal(&self, name: &str) {
        send(name, &[self.process.id()]);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.with_extension("log")).unwrap_or_default();
            eprintln!("--- the server's log ---\n{log}");
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Sends a signal; some may have ended already.
pub fn send(signal: &str, processes: &[u32]) {
    let processes: Vec<String> = processes.iter().map(ToString::to_string).collect();
    // The shell's own `kill`: a small system may have no program of that name.
    let _ = Command::new("sh").arg("-c").arg(format!("kill -{signal} {}", processes.join(" "))).status();
}

/// Runs PostgreSQL on a folder.
fn spawn(folder: &Path) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.with_extension("log")).unwrap();
    let mut command = if cfg!(target_os = "linux") {
        // It must not survive a test process that is killed and runs no `drop`.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "QUIT", "--"]).arg(program("postgres"));
        command
    } else {
        Command::new(program("postgres"))
    };
    as_owner(&mut command);
    command.arg("-D").arg(folder).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap()
}

/// A database folder to copy: to make one takes longer.
async fn template() -> &'static Path {
    static TEMPLATE: OnceCell<PathBuf> = OnceCell::const_new();
    TEMPLATE.get_or_init(async || create_folder()).await
}

fn create_folder() -> PathBuf {
    let folder = PathBuf::from(env("DIR")).join(unique("template"));
    fs::create_dir(&folder).unwrap();
    let password = folder.with_extension("password");
    fs::write(&password, PASSWORD).unwrap();
    hand_over(&folder);
    hand_over(&password);
    let mut initdb = Command::new(program("initdb"));
    as_owner(&mut initdb);
    initdb.args(["--no-sync", "--encoding", "UTF8", "--locale", "C", "--auth", "scram-sha-256"]);
    run(initdb.args(["--username", ADMIN]).arg("--pwfile").arg(&password).arg("--pgdata").arg(&folder));
    fs::write(folder.join("pg_hba.conf"), HBA).unwrap();
    fs::write(folder.join("postgresql.conf"), CONFIG).unwrap();
    folder
}

fn program(name: &str) -> PathBuf {
    PathBuf::from(env("PG_BIN")).join(name)
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn write(folder: &Path, pair: &Pair) {
    fs::write(folder.join("server.crt"), &pair.certificate).unwrap();
    fs::write(folder.join("server.key"), &pair.key).unwrap();
    fs::set_permissions(folder.join("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
}

/// Whoever owns the shared server's folder may run PostgreSQL; root may not.
fn owner() -> (u32, u32) {
    let folder = fs::metadata(PathBuf::from(env("DIR")).join("postgres/data")).unwrap();
    (folder.uid(), folder.gid())
}

fn is_owner() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == owner().0)
}

fn as_owner(command: &mut Command) {
    if !is_owner() {
        let (user, group) = owner();
        command.uid(user).gid(group);
    }
}

fn hand_over(path: &Path) {
    if !is_owner() {
        let (user, group) = owner();
        chown(path, Some(user), Some(group)).unwrap();
    }
}
