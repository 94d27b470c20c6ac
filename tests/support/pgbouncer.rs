//! A real PgBouncer before the real PostgreSQL, for one test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::net::TcpStream;

use super::{TestDatabase, env, eventually, free_port, unique};

pub struct PgBouncer {
    process: Child,
    port: u16,
    folder: PathBuf,
}

impl PgBouncer {
    /// In front of the server of `database`, with lines of its configuration file.
    pub async fn start(database: &TestDatabase, lines: &[&str]) -> Self {
        let port = free_port();
        let folder = PathBuf::from(env("DIR")).join(unique("pgbouncer"));
        std::fs::create_dir(&folder).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let users = format!("\"{}\" \"{}\"\n", database.user(), database.password());
        std::fs::write(path("users"), users).unwrap();
        let configuration = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\nlogfile = {}\n{}\n",
            database.host(),
            database.port(),
            path("users"),
            path("log"),
            lines.join("\n"),
        );
        std::fs::write(path("ini"), configuration).unwrap();
        // It does not run as root; and it must not survive a test process that is killed and runs no `drop`.
        let mut command = Command::new(if cfg!(target_os = "linux") { "setpriv".as_ref() } else { binary() });
        if cfg!(target_os = "linux") {
            if Command::new("id").arg("-u").output().unwrap().stdout == b"0\n" {
                let owned = Command::new("chown").args(["-R", "nobody"]).arg(&folder).status().unwrap();
                assert!(owned.success());
                command.args(["--reuid", "nobody", "--clear-groups", "--", "setpriv"]);
            }
            command.args(["--pdeathsig", "KILL", "--"]).arg(binary());
        }
        let process = command.args(["-q", &path("ini")]).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let bouncer = Self { process, port, folder };
        eventually("PgBouncer listens", Duration::from_secs(10), async || {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        bouncer
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!(
                "--- PgBouncer's log ---\n{}",
                std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
            );
        }
    }
}

/// Where it is; installed first where need be and possible.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/local/pgbouncer-binary");
        let found = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(found.status.success(), "these tests need PgBouncer: see above");
        PathBuf::from(String::from_utf8(found.stdout).unwrap().trim())
    })
}
