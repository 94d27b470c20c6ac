//! What the commands print. Who has read enough of it may hang up: that is no fault.

use std::fmt::Display;
use std::io::{ErrorKind, Write, stdout};

/// Prints a line; the error is a sentence for the user.
pub fn line(text: impl Display) -> Result<(), String> {
    whole(format_args!("{text}\n"))
}

/// Prints a text as it is.
pub fn whole(text: impl Display) -> Result<(), String> {
    let mut out = stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("cannot print: {error}")),
        _ => Ok(()),
    }
}
