//! Which tables have not been told of at once for long, and who keeps their locks.

use std::time::Instant;

use super::{Line, State, Subscriber, Table};
use crate::controller::lock::lock;
use crate::logic::bell::Unrest;
use crate::logic::detect::{Keeper, Quiet};

impl Line {
    /// The tables whose lock has not been had for long.
    pub(in crate::controller::listen) fn kept(&self) -> Vec<i64> {
        let now = Instant::now();
        let state = lock(&self.state);
        // By now it may be had, and who keeps it then are we.
        let is_kept = |table: &Table| {
            !table.bell.is_armed() && matches!(table.bell.unrest(now), Some(Unrest::NoPlace | Unrest::Late))
        };
        state.tables.iter().filter(|(_, table)| is_kept(table)).map(|(oid, _)| *oid).collect()
    }

    /// What was seen of those that keep locks, each with its table.
    pub(in crate::controller::listen) fn look_at_keepers(&self, keepers: &[(i64, Keeper)]) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        for (oid, table) in &mut state.tables {
            table.quiet = table.bell.unrest(now).map(|why| {
                let of_it = keepers.iter().filter(|(kept, _)| kept == oid).map(|(_, keeper)| *keeper);
                // Of a table that nobody waits for, writers come and go.
                let keepers = of_it.filter(|keeper| keeper.is_listener || why == Unrest::Late).collect();
                Quiet { table: *oid, why, keepers }
            });
        }
    }
}

impl State {
    /// Those of one resource, as they were seen last.
    pub(super) fn quiet(&self, subscriber: &Subscriber) -> Vec<Quiet> {
        let tables = subscriber.interest.tables.iter();
        let mut quiet: Vec<Quiet> = tables.filter_map(|(oid, _)| self.tables.get(oid)?.quiet.clone()).collect();
        quiet.sort();
        quiet
    }
}
