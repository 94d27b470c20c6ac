//! A control plane of one test's own, for what would disturb all others.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

use super::eventually;
use super::server::send;

pub struct OwnControlPlane {
    script: Child,
    pub kubeconfig: PathBuf,
    /// Those that were started again, by name, and how.
    again: BTreeMap<String, (Child, Vec<String>)>,
}

/// A server that is down, and how it is brought back.
pub struct Down {
    name: String,
    command: Vec<String>,
}

impl OwnControlPlane {
    pub async fn start() -> Self {
        tokio::task::spawn_blocking(Self::start_and_wait).await.unwrap()
    }

    fn start_and_wait() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/local/with-servers");
        // `cat` ends when this process does, and with it everything else.
        let mut script = Command::new(script)
            .args(["sh", "-c", "echo \"$KUBECONFIG\" && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { script, kubeconfig: PathBuf::from(line.trim_end()), again: BTreeMap::new() }
    }

    pub async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    fn folder(&self) -> &Path {
        self.kubeconfig.parent().unwrap()
    }

    /// Kills a server, `kube-apiserver` or `etcd`.
    pub async fn kill(&mut self, name: &str) -> Down {
        let first = || {
            let pids = fs::read_to_string(self.folder().join("pids")).unwrap();
            pids.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()).unwrap()
        };
        let pid = self.again.get(name).map_or_else(first, |(server, _)| server.id());
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        let command = command.split_terminator('\0').map(str::to_owned).collect();
        send("KILL", &[pid]);
        // It has no program any more when it is dead, also where nobody has asked yet how it ended.
        let is_gone = async || (!Path::new(&format!("/proc/{pid}/exe")).exists()).then_some(());
        eventually(&format!("{name} is gone"), Duration::from_secs(10), is_gone).await;
        if let Some((mut server, _)) = self.again.remove(name) {
            server.wait().unwrap();
        }
        Down { name: name.to_owned(), command }
    }

    /// Starts a server again as it was, with this argument after that flag.
    pub fn start_again(&mut self, down: &Down, change: Option<(&str, String)>) {
        let mut command = down.command.clone();
        if let Some((flag, value)) = change {
            let flag = command.iter().position(|argument| argument == flag).unwrap();
            command[flag + 1] = value;
        }
        let server = self.spawn(&down.name, &command);
        self.again.insert(down.name.clone(), (server, command));
    }

    fn spawn(&self, name: &str, command: &[String]) -> Child {
        let log = fs::OpenOptions::new().append(true).open(self.folder().join(format!("{name}.log"))).unwrap();
        let server = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .args(command)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        server.unwrap()
    }

    /// Waits until the API server works again. On a busy machine it may give up while it starts; where it belongs there
    /// is somebody who starts it again then.
    pub async fn ready(&mut self, client: &Client) {
        eventually("the API server is ready", Duration::from_secs(120), async || {
            self.mind();
            let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
            (client.request_text(request).await.ok()? == "ok").then_some(())
        })
        .await;
    }

    /// Starts those again that have ended by themselves.
    fn mind(&mut self) {
        for (name, (mut server, command)) in std::mem::take(&mut self.again) {
            if let Some(status) = server.try_wait().unwrap() {
                let log = fs::read_to_string(self.folder().join(format!("{name}.log"))).unwrap_or_default();
                let end = log.lines().rev().take(5).collect::<Vec<_>>().join("\n");
                println!("{name} ended by itself ({status}), and is started again:\n{end}");
                server = self.spawn(&name, &command);
            }
            self.again.insert(name, (server, command));
        }
    }

    /// Asks etcd itself. Its own client is no part of it.
    pub fn etcd(&self, path: &str, body: &Value) -> Value {
        let asked = Command::new("curl")
            .args(["--silent", "--show-error", "--unix-socket"])
            .arg(self.folder().join("etcd-client.sock"))
            .arg(format!("http://localhost/v3/{path}"))
            .arg("--data")
            .arg(body.to_string())
            .output()
            .unwrap();
        serde_json::from_slice(&asked.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&asked.stderr)))
    }
}

impl Drop for OwnControlPlane {
    fn drop(&mut self) {
        for (server, _) in self.again.values_mut() {
            let _ = server.kill();
            let _ = server.wait();
        }
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}
