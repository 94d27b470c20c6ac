//! Says how many, and names a few where there is no room for all. Pure.

use std::fmt::Display;

/// The first of them, at most so many, and how many there are besides: `a, b and 3 more`.
pub fn few<T: Display>(all: impl IntoIterator<Item = T>, most: usize) -> String {
    let mut all = all.into_iter();
    let named: Vec<String> = all.by_ref().take(most).map(|one| one.to_string()).collect();
    let rest = all.count();
    if rest > 0 { format!("{} and {rest} more", named.join(", ")) } else { named.join(", ") }
}

/// So many of these: `1 row`, `2 rows`.
pub fn counted<N: Display + PartialEq + From<u8>>(number: N, one: &str) -> String {
    let s = if number == N::from(1) { "" } else { "s" };
    format!("{number} {one}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_for_whom_there_is_no_room_are_counted() {
        assert_eq!(few([1, 2, 3], 3), "1, 2, 3");
        assert_eq!(few([1, 2, 3, 4, 5], 3), "1, 2, 3 and 2 more");
        assert_eq!(few([""; 0], 3), "");
    }

    #[test]
    fn one_is_not_several() {
        assert_eq!([0_usize, 1, 2].map(|number| counted(number, "row")), ["0 rows", "1 row", "2 rows"]);
    }
}
