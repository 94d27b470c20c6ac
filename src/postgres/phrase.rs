//! SQLSTATEs in words. <https://www.postgresql.org/docs/current/errcodes-appendix.html>

/// A few words for a SQLSTATE: its own, or its class's.
pub fn phrase(state: &str) -> &'static str {
    match state {
        "21000" => "a sub-select returned more than one row",
        "22001" => "a text is too long",
        "22003" => "a number is out of range",
        "22007" | "22008" => "not a valid date or time",
        "22012" => "division by zero",
        "22021" => "a character cannot be encoded",
        "22023" => "a parameter has an invalid value",
        "22P02" => "a text is no valid value of its type",
        "23502" => "a value must not be null",
        "23503" => "a foreign key does not match",
        "23505" => "a value exists already",
        "23514" => "a check constraint does not hold",
        "25006" => "writing in a read-only transaction",
        "28000" => "this user may not log in, not from here or not in this way",
        "28P01" => "wrong user name or password",
        "3D000" => "no such database",
        "3F000" => "no such schema",
        "40001" => "the transaction could not be serialized",
        "40P01" => "deadlock",
        "42501" => "permission denied",
        "42601" => "syntax error",
        "42602" | "42622" => "not a valid name",
        "42702" => "a column name is ambiguous",
        "42703" => "no such column",
        "42704" => "no such object",
        "42725" => "a function name is ambiguous",
        "42804" => "types do not match",
        "42803" => "a column must be grouped or aggregated",
        "42809" => "not that kind of object",
        "42846" => "types cannot be cast",
        "42883" => "no such function or operator",
        "42P01" => "no such table",
        "42P18" => "a type cannot be told",
        "53100" => "the server's disk is full",
        "53200" => "the server is out of memory",
        "53300" => "too many connections",
        "55P03" => "a lock was not had in time",
        "57014" => "canceled, most likely by statement_timeout",
        "25P03" => "the transaction was idle for too long",
        "58P01" => "a file is missing on the server",
        "P0001" => "an exception was raised",
        _ => class(state.get(..2).unwrap_or_default()),
    }
}

fn class(class: &str) -> &'static str {
    match class {
        "08" => "connection failure",
        "0A" => "not supported by the server",
        "22" => "invalid data",
        "23" => "a constraint does not hold",
        "25" => "invalid transaction state",
        "28" => "login refused",
        "42" => "the statement is not valid",
        "53" => "the server lacks resources",
        "54" => "a limit of the server is exceeded",
        "55" => "an object is not in the required state",
        "57" => "the server intervened",
        "58" => "a failure of the server's system",
        "P0" => "an error in PL/pgSQL",
        "XX" => "an internal error of the server",
        _ => "the statement failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_words() {
        assert_eq!(phrase("42P01"), "no such table");
        assert_eq!(phrase("22999"), "invalid data");
        assert_eq!(phrase("?"), "the statement failed");
    }
}
