//! Whether the process lives and what it waits for.

use std::fmt::Write as _;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// A main loop that turns answers within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What has to be there before the operator can do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// An API server that answers and is not too old.
    ApiServer,
    /// The Lease: held by this process, or by one that this one stands by for.
    Lease,
    /// A listing of the Secrets.
    Secrets,
    /// A listing of the DatabaseQueryResources: their definition is installed.
    Resources,
}

#[derive(Clone)]
struct State {
    open: bool,
    why: String,
}

/// What the process knows of its own health.
pub struct Health {
    gates: Mutex<Vec<(Gate, State)>>,
    questions: mpsc::Sender<oneshot::Sender<()>>,
}

/// Answers the question whether the main loop turns.
pub struct Pulse {
    questions: mpsc::Receiver<oneshot::Sender<()>>,
}

impl Gate {
    fn name(self) -> &'static str {
        match self {
            Self::ApiServer => "api-server",
            Self::Lease => "lease",
            Self::Secrets => "secrets",
            Self::Resources => "databasequeryresources",
        }
    }
}

impl Health {
    /// Nothing is there yet.
    pub fn new() -> (Self, Pulse) {
        let (sender, receiver) = mpsc::channel(1);
        let closed = |gate| (gate, State { open: false, why: "not asked yet".into() });
        let gates = [Gate::ApiServer, Gate::Lease, Gate::Secrets, Gate::Resources].map(closed).into();
        (Self { gates: Mutex::new(gates), questions: sender }, Pulse { questions: receiver })
    }

    /// It is there; `what` says it in a word or two. Neither this nor [`Health::waits`] may tell a value.
    pub fn has(&self, gate: Gate, what: &str) {
        self.set(gate, State { open: true, why: what.into() });
    }

    /// It is not there, or not any more.
    pub fn waits(&self, gate: Gate, why: &str) {
        self.set(gate, State { open: false, why: why.into() });
    }

    /// Whether all is there, and a line for each.
    pub fn readiness(&self) -> (bool, String) {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut lines = String::new();
        for (gate, state) in &gates {
            let sign = if state.open { '+' } else { '-' };
            // Writing to a String does not fail.
            let _ = writeln!(lines, "[{sign}] {}: {}", gate.name(), state.why);
        }
        (gates.iter().all(|(_, state)| state.open), lines)
    }

    /// Whether the main loop turns.
    pub async fn is_alive(&self) -> bool {
        let ask = async {
            let (answer, answered) = oneshot::channel();
            self.questions.send(answer).await.is_ok() && answered.await.is_ok()
        };
        timeout(ANSWER_WITHIN, ask).await.unwrap_or(false)
    }

    fn set(&self, gate: Gate, state: State) {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.iter_mut().filter(|(of, _)| *of == gate).for_each(|(_, now)| *now = state.clone());
    }
}

impl Pulse {
    /// Runs the main loop, and answers each time that it has nothing to do.
    pub async fn of<T>(mut self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        loop {
            tokio::select! {
                biased;
                done = &mut main => return done,
                Some(question) = self.questions.recv() => { let _ = question.send(()); }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_names_what_is_waited_for_until_all_is_there() {
        let (health, _pulse) = Health::new();
        health.has(Gate::ApiServer, "Kubernetes 1.33");
        health.has(Gate::Lease, "held");
        health.has(Gate::Secrets, "listed");
        health.waits(Gate::Resources, "404");
        let (ready, lines) = health.readiness();
        assert!(!ready);
        let expected = "[+] api-server: Kubernetes 1.33\n[+] lease: held\n[+] secrets: listed\n\
                        [-] databasequeryresources: 404\n";
        assert_eq!(lines, expected);
        health.has(Gate::Resources, "listed");
        assert!(health.readiness().0);
    }

    #[tokio::test]
    async fn a_main_loop_that_waits_is_alive_and_one_that_ended_is_not() {
        let (health, pulse) = Health::new();
        let (stop, stopped) = oneshot::channel::<()>();
        let main = tokio::spawn(pulse.of(stopped));
        assert!(health.is_alive().await);
        drop(stop);
        let _ = main.await.unwrap();
        assert!(!health.is_alive().await);
    }

    #[tokio::test]
    async fn a_main_loop_that_is_stuck_is_not_alive() {
        // Nobody drives it.
        let (health, _pulse) = Health::new();
        assert!(!health.is_alive().await);
    }
}
