//! What a listener does on its connections: it listens, arms tables and lets them be, and looks now and then at what
//! nobody notifies.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::select;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};

use super::line::{Line, WhoIsBehind};
use super::name::Behind;
use crate::controller::jitter::jitter;
use crate::logic::bell::{Act, Bell};
use crate::logic::connection::Settings;
use crate::logic::retry::Retry;
use crate::postgres::{self, Arms, Deaf, Holder, Listener, Taken, Vigilant};

/// How often to look at what nobody notifies, and whether the connections are alive.
const PING: Duration = Duration::from_secs(10);
/// Between attempts to connect.
const DELAYS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// A connection that lasted for so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// Listens for as long as the task lives.
pub(super) async fn run(line: Arc<Line>) {
    let mut retry = Retry::between(DELAYS.0, DELAYS.1, Instant::now());
    for turn in 0.. {
        let Some(settings) = line.settings(turn) else {
            line.stirred.notified().await;
            continue;
        };
        let begin = Instant::now();
        let Err(why) = Talk::hold(&line, settings).await;
        tracing::warn!("notifications are not heard: {why}");
        line.is_down(&why);
        if begin.elapsed() > GOOD {
            retry.reset();
        }
        sleep(retry.next(jitter())).await;
    }
}

/// The connections of one listener.
struct Talk<'a> {
    line: &'a Line,
    settings: Settings,
    listener: Listener,
    arms: Option<Arms>,
    /// Connections that wait for the lock of a table.
    waiting: JoinSet<(i64, Result<Vigilant, postgres::Error>)>,
    waits: HashMap<i64, AbortHandle>,
    /// The tables whose locks are had on the one connection that keeps all: once each, whoever asks how often.
    armed: HashSet<i64>,
    /// Which of them wait by now.
    queued: (UnboundedSender<i64>, UnboundedReceiver<i64>),
    /// Until when locks are not waited for on the one connection that all have: no more than half of its time.
    impatient: Instant,
}

impl<'a> Talk<'a> {
    /// Until it breaks; tells why.
    async fn hold(line: &'a Arc<Line>, settings: Settings) -> Result<Infallible, String> {
        let heard = {
            let line = line.clone();
            move |hint| line.heard(&hint)
        };
        let listener = Listener::start(&settings, heard).await.map_err(|deaf: Deaf| deaf.to_string())?;
        listener
            .end_the_dead(|name| (line.behind)(Some(name)) == Behind::Nobody)
            .await
            .map_err(|error| error.to_string())?;
        let arms = match line.slots() {
            0 => None,
            slots => {
                let claimed = Arms::claim(&settings, slots).await.map_err(|error| error.to_string())?;
                Some(claimed.map_err(|Taken { holders }| taken(slots, &holders, &line.behind))?)
            }
        };
        tracing::info!(slot = arms.as_ref().map(Arms::slot), "listening for notifications");
        let (waiting, waits, armed) = (JoinSet::new(), HashMap::new(), HashSet::new());
        let (queued, impatient) = (unbounded_channel(), Instant::now());
        let mut talk = Self { line, settings, listener, arms, waiting, waits, armed, queued, impatient };
        line.is_up();
        talk.go_on().await
    }

    async fn go_on(&mut self) -> Result<Infallible, String> {
        let failed = |error: postgres::Error| error.to_string();
        let mut pings = interval(PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if !self.has_a_slot() {
                return Err("another slot is needed for a table that is listened for by now".into());
            }
            let due = if self.line.has_acts() { Some(Instant::now()) } else { self.line.due() };
            tokio::select! {
                // However much there is to do: first what tells whether anything is heard at all.
                biased;
                () = ended(&mut self.listener, &mut self.arms) => return Err(failed(ENDED)),
                _ = pings.tick() => self.ping().await.map_err(failed)?,
                Some(table) = self.queued.1.recv() => self.line.done(table, |bell| bell.queued()),
                Some(waited) = self.waiting.join_next() => {
                    // One that was given up is no loss.
                    let Ok((table, waited)) = waited else { continue };
                    self.waits.remove(&table);
                    match waited {
                        Ok(vigilant) => self.take_over(table, vigilant).await.map_err(failed)?,
                        // All other connections may be well: the server may have none left, or not for this role.
                        Err(error) => {
                            tracing::debug!("a lock is not waited for: {error}");
                            self.line.done(table, has_no_place);
                        }
                    }
                }
                () = until(due) => self.step().await.map_err(failed)?,
                () = self.line.stirred.notified() => self.step().await.map_err(failed)?,
            }
        }
    }

    /// Whether there is a slot that all tables have, if any has one: those that were added may have fewer than there were.
    fn has_a_slot(&self) -> bool {
        match (self.line.slots(), &self.arms) {
            (0, _) => true,
            (slots, arms) => arms.as_ref().is_some_and(|arms| arms.slot() < slots),
        }
    }

    /// One act, if there is one.
    async fn step(&mut self) -> Result<(), postgres::Error> {
        match self.line.next() {
            Some((table, act)) => self.act(table, act).await,
            None => Ok(()),
        }
    }

    async fn act(&mut self, table: i64, act: Act) -> Result<(), postgres::Error> {
        // How it is has to be known before it is read: what changes afterwards without a word differs from that.
        if act == Act::Arm && !self.line.has_seen(table) {
            self.ping().await?;
        }
        match (act, &self.arms) {
            // All that is committed is notified.
            (Act::Arm, None) => self.line.done(table, |bell| bell.had(Instant::now())),
            (Act::Arm, Some(arms)) => {
                let mut had = self.armed.contains(&table) || arms.try_arm(table).await?;
                let begin = Instant::now();
                if !had && begin >= self.impatient {
                    had = arms.arm(table).await?;
                    self.impatient = Instant::now() + begin.elapsed();
                }
                self.was_had(table, had);
            }
            (Act::Wait, Some(arms)) if self.waits.len() < self.line.waiting => {
                let (settings, slot, queued) = (self.settings.clone(), arms.slot(), self.queued.0.clone());
                let tell = move || _ = queued.send(table);
                let wait = async move { (table, Vigilant::wait(&settings, slot, table, tell).await) };
                self.waits.insert(table, self.waiting.spawn(wait));
            }
            (Act::Wait, _) => self.line.done(table, has_no_place),
            (Act::Disarm, Some(arms)) => {
                if let Some(wait) = self.waits.remove(&table) {
                    wait.abort();
                }
                if self.armed.remove(&table) {
                    arms.disarm(table).await?;
                }
            }
            (Act::Disarm | Act::Read, _) => {}
        }
        Ok(())
    }

    /// Passes a lock on to the connection that keeps all, so that there is a place to wait for another one.
    async fn take_over(&mut self, table: i64, vigilant: Vigilant) -> Result<(), postgres::Error> {
        let Some(arms) = &self.arms else { return Ok(()) };
        let had = arms.take_over(vigilant).await?;
        self.was_had(table, had);
        Ok(())
    }

    /// That a lock is had on the connection that keeps all by now, or was not.
    fn was_had(&mut self, table: i64, had: bool) {
        self.armed.extend(had.then_some(table));
        let now = Instant::now();
        self.line.done(table, |bell| if had { bell.had(now) } else { bell.not_had(now) });
    }

    async fn ping(&mut self) -> Result<(), postgres::Error> {
        let ping = self.listener.ping(&self.line.tables()).await?;
        if let Some(arms) = &self.arms {
            arms.ping().await?;
        }
        let kept = self.line.kept();
        let keepers = match &self.arms {
            Some(arms) if !kept.is_empty() => arms.keepers(&kept).await?,
            _ => Vec::new(),
        };
        self.line.look_at_keepers(&keepers);
        self.line.look(&ping);
        Ok(())
    }
}

fn has_no_place(bell: &mut Bell) -> Option<Act> {
    bell.no_place(Instant::now());
    None
}

/// Nothing more is heard, or locks are lost.
const ENDED: postgres::Error = postgres::Error::Unreachable("a connection for notifications has ended");

/// Waits until one of the connections is gone.
async fn ended(listener: &mut Listener, arms: &mut Option<Arms>) {
    match arms {
        None => listener.ended().await,
        Some(arms) => _ = select(pin!(listener.ended()), pin!(arms.ended())).await,
    }
}

/// Why there is no slot, and what can be done.
fn taken(slots: i32, holders: &[Holder], behind: &WhoIsBehind) -> String {
    let those = |which: Behind| {
        let pids = holders.iter().filter(|holder| behind(holder.name.as_deref()) == which);
        let pids: Vec<String> = pids.map(|holder| holder.pid.to_string()).collect();
        (!pids.is_empty()).then(|| pids.join(", "))
    };
    if let Some(pids) = those(Behind::Nobody) {
        return format!(
            "a hung session of this operator's own, from before, keeps the lock that says who listens, and could not be \
             ended: pg_terminate_backend of server process {pids} does that, where the role may"
        );
    }
    let taken = format!(
        "{slots} operators listen to this database already, or one under different names of it, and its triggers have \
         no more slots: dbqo.watch(…, slots => {}) gives a table another one",
        slots + 1
    );
    match (those(Behind::Perhaps), those(Behind::Another), those(Behind::Us)) {
        (Some(pids), ..) => format!(
            "{taken}. Server process {pids} is of an operator that runs without leader election: if that is gone, \
             pg_terminate_backend ends its hung session"
        ),
        (None, Some(pids), _) => format!("{taken}. They are behind server process {pids}"),
        (None, None, Some(pids)) => format!("{taken}. It is this operator itself that is behind server process {pids}"),
        (None, None, None) => taken,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) if at <= Instant::now() => {}
        Some(at) => sleep_until(at.into()).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told where sessions of these names have all slots.
    fn told(names: &[Option<&str>]) -> String {
        let behind: WhoIsBehind = Box::new(|name| match name {
            Some("dead") => Behind::Nobody,
            Some("us") => Behind::Us,
            Some("endless") => Behind::Perhaps,
            _ => Behind::Another,
        });
        let holder = |(n, name): (usize, &Option<&str>)| Holder { pid: 40 + n as i32, name: name.map(Into::into) };
        let holders: Vec<Holder> = names.iter().enumerate().map(holder).collect();
        taken(names.len() as i32, &holders, &behind)
    }

    #[test]
    fn who_has_the_slots_is_told_by_process_and_a_hung_session_of_our_own_above_all() {
        let hung = told(&[None, Some("dead")]);
        assert!(hung.contains("hung session of this operator's own") && hung.contains("process 41 "), "{hung}");
        let perhaps = told(&[Some("endless"), None]);
        assert!(perhaps.contains("slots => 3") && perhaps.contains("Server process 40 is of an operator"), "{perhaps}");
        let another = told(&[Some("psql")]);
        assert!(another.contains("1 operators listen") && another.contains("server process 40"), "{another}");
        assert!(!another.contains("pg_terminate_backend"), "it is in use");
        let us = told(&[Some("us")]);
        assert!(us.contains("this operator itself that is behind server process 40"), "{us}");
        assert!(!us.contains("pg_terminate_backend"), "it is in use");
    }
}
