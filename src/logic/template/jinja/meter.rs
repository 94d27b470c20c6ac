//! Fuel for what our own filters do, which minijinja cannot see.

use std::cell::Cell;

use minijinja::{Error, State};

/// What minijinja's fuel pays for: bytes.
const BYTES_PER_FUEL: u64 = 64;
/// Looking at one value costs as much as so many bytes.
const VISIT: u64 = 16;
/// Paid at a time. What is left over at the end is not paid: calls cost fuel anyway.
const STEP: u64 = 16 * BYTES_PER_FUEL;

/// Counts the work of one call. Values may share parts, so that few bytes of memory are endless to walk through:
/// whoever walks through a value pays on the way.
pub(super) struct Meter<'a, 't, 'e> {
    state: &'a State<'t, 'e>,
    owed: Cell<u64>,
}

impl<'a, 't, 'e> Meter<'a, 't, 'e> {
    pub(super) fn new(state: &'a State<'t, 'e>) -> Self {
        Self { state, owed: Cell::new(0) }
    }

    /// Looks at a value of that many bytes of text.
    pub(super) fn visit(&self, bytes: usize) -> Result<(), Error> {
        let owed = self.owed.get().saturating_add(VISIT).saturating_add(bytes as u64);
        self.owed.set(owed % STEP);
        if owed < STEP { Ok(()) } else { self.state.consume_fuel((owed - owed % STEP) / BYTES_PER_FUEL) }
    }
}
