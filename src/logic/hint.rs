//! What a notification says: which rows of which table changed. Anybody may send one, so it is a hint to look again and
//! nothing else; what cannot be read says nothing. Pure.

use serde::Deserialize;

use super::row::Key;

/// The channel that triggers notify.
pub const CHANNEL: &str = "dbqo";

/// Of one table, some rows or all.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hint {
    /// Version of what stands in it.
    v: u32,
    /// The table's oid; of a partition or child, that of the watched table.
    #[serde(rename = "t")]
    pub table: i64,
    /// The columns whose values name the rows.
    #[serde(rename = "c", default)]
    columns: Vec<String>,
    /// The rows' values of these columns, as text; None is all rows.
    #[serde(rename = "k")]
    keys: Option<Vec<Vec<Option<String>>>>,
}

impl Hint {
    /// Reads the payload of a notification.
    pub fn parse(payload: &str) -> Option<Self> {
        let hint: Self = serde_json::from_str(payload).ok()?;
        // No text of the server's holds a NUL.
        let is_text = |value: &Option<String>| value.as_ref().is_none_or(|text| !text.contains('\0'));
        let is_whole = hint.keys.iter().flatten().all(|key| key.len() == hint.columns.len() && key.iter().all(is_text));
        (hint.v == 1 && is_whole).then_some(hint)
    }

    /// The values of these columns that it names, in their order; None where it means all rows, or does not tell.
    pub fn keys_by(&self, columns: &[String]) -> Option<Vec<Key>> {
        let keys = self.keys.as_ref()?;
        let places = columns.iter().map(|column| self.columns.iter().position(|own| own == column));
        let places = places.collect::<Option<Vec<usize>>>()?;
        Some(keys.iter().map(|key| Key::new(places.iter().map(|place| key[*place].clone()).collect())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_told_in_the_order_that_is_asked_for() {
        let hint = Hint::parse(r#"{"v":1,"t":16401,"c":["id","a b"],"k":[["1","x"],["2",null]]}"#).unwrap();
        assert_eq!(hint.table, 16401);
        let own = |key: [Option<&str>; 2]| Key::new(key.map(|value| value.map(Into::into)).to_vec());
        let keys = hint.keys_by(&["a b".into(), "id".into()]).unwrap();
        assert_eq!(keys, [own([Some("x"), Some("1")]), own([None, Some("2")])]);
        assert_eq!(hint.keys_by(&["id".into()]).unwrap().len(), 2);
        assert_eq!(hint.keys_by(&["id".into(), "other".into()]), None, "it does not tell");
    }

    #[test]
    fn without_keys_all_rows_are_meant() {
        let hint = Hint::parse(r#"{"v":1,"t":1,"c":["id"],"k":null}"#).unwrap();
        assert_eq!(hint.keys_by(&["id".into()]), None);
        assert!(Hint::parse(r#"{"v":1,"t":1}"#).is_some());
    }

    #[test]
    fn what_strangers_send_says_nothing() {
        for payload in [
            "",
            "x",
            "[]",
            "{}",
            r#"{"v":2,"t":1,"k":null}"#,
            r#"{"v":1,"t":"t"}"#,
            r#"{"v":1,"t":1,"c":["a"],"k":[[]]}"#,
            r#"{"v":1,"t":1,"c":["a"],"k":[[1]]}"#,
            r#"{"v":1,"t":1,"c":["a"],"k":[["\u0000"]]}"#,
            r#"{"v":1,"t":99999999999999999999}"#,
        ] {
            assert_eq!(Hint::parse(payload), None, "{payload}");
        }
    }
}
