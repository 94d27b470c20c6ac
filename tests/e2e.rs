//! The real binary between a real PostgreSQL and a real API server.

mod support;

#[path = "e2e/accounts.rs"]
mod accounts;
#[path = "e2e/adopt.rs"]
mod adopt;
#[path = "e2e/arming.rs"]
mod arming;
#[path = "e2e/away.rs"]
mod away;
#[path = "e2e/bad_input.rs"]
mod bad_input;
#[path = "e2e/bell.rs"]
mod bell;
#[path = "e2e/binding.rs"]
mod binding;
#[path = "e2e/burst.rs"]
mod burst;
#[path = "e2e/chaos.rs"]
mod chaos;
#[path = "e2e/connections.rs"]
mod connections;
#[path = "e2e/crash.rs"]
mod crash;
#[path = "e2e/database_faults.rs"]
mod database_faults;
#[path = "e2e/delete.rs"]
mod delete;
#[path = "e2e/deploy.rs"]
mod deploy;
#[path = "e2e/detect.rs"]
mod detect;
#[path = "e2e/drift.rs"]
mod drift;
#[path = "e2e/endings.rs"]
mod endings;
#[path = "e2e/fairness.rs"]
mod fairness;
#[path = "e2e/follow.rs"]
mod follow;
#[path = "e2e/keyed.rs"]
mod keyed;
#[path = "e2e/languages.rs"]
mod languages;
#[path = "e2e/leader.rs"]
mod leader;
#[path = "e2e/life.rs"]
mod life;
#[path = "e2e/listener.rs"]
mod listener;
#[path = "e2e/listener_faults.rs"]
mod listener_faults;
#[path = "e2e/listener_names.rs"]
mod listener_names;
#[path = "e2e/listener_servers.rs"]
mod listener_servers;
#[path = "e2e/listener_tables.rs"]
mod listener_tables;
#[path = "e2e/marks.rs"]
mod marks;
#[path = "e2e/minds.rs"]
mod minds;
#[path = "e2e/mistakes.rs"]
mod mistakes;
#[path = "e2e/names.rs"]
mod names;
#[path = "e2e/noticing.rs"]
mod noticing;
#[path = "e2e/notify.rs"]
mod notify;
#[path = "e2e/observe.rs"]
mod observe;
#[path = "e2e/prune.rs"]
mod prune;
#[path = "e2e/renamed.rs"]
mod renamed;
#[path = "e2e/replica.rs"]
mod replica;
#[path = "e2e/secrecy.rs"]
mod secrecy;
#[path = "e2e/server_faults.rs"]
mod server_faults;
#[path = "e2e/slow.rs"]
mod slow;
#[path = "e2e/start.rs"]
mod start;
#[path = "e2e/storm.rs"]
mod storm;
#[path = "e2e/switch.rs"]
mod switch;
#[path = "e2e/tables.rs"]
mod tables;
#[path = "e2e/tls.rs"]
mod tls;
#[path = "e2e/turns.rs"]
mod turns;
#[path = "e2e/unseen.rs"]
mod unseen;
#[path = "e2e/webhooks.rs"]
mod webhooks;
