//! What names a row: the values of its key columns. Pure.

use super::{Identifier, QualifiedName, SqlError, identifier, qualified_name};
use crate::crd::ChangeDetection;
use crate::logic::columns::BadColumns;

/// Which columns of a query name its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RowKey {
    /// None: rows have numbers.
    #[default]
    None,
    /// Those that the spec says.
    Columns(Vec<KeyColumn>),
    /// The primary key of this table, if all of it is among the query's columns.
    PrimaryKeyOf(QualifiedName),
}

/// A column that the spec says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    /// Where it says so.
    field: String,
    /// Its name.
    name: Identifier,
}

impl RowKey {
    /// As the spec has it, whether or not changes are looked for.
    pub fn of(changes: Option<&ChangeDetection>) -> Result<Self, SqlError> {
        let Some(changes) = changes else { return Ok(Self::None) };
        let first = changes.tables.iter().flatten().next();
        let of_table = first.and_then(|table| table.key_columns.as_ref());
        let (field, names) = match (&changes.key_columns, of_table) {
            (Some(own), Some(of_table)) if own != of_table => {
                let both =
                    "changeDetection.keyColumns and changeDetection.tables[0].keyColumns differ: set one of them";
                return Err(SqlError(both.into()));
            }
            (Some(own), _) => ("changeDetection.keyColumns", own),
            (None, Some(of_table)) => ("changeDetection.tables[0].keyColumns", of_table),
            (None, None) => {
                let table = changes.table_name.as_ref().map(|name| ("changeDetection.tableName", name));
                let table = table.or(first.map(|first| ("changeDetection.tables[0].tableName", &first.table_name)));
                let Some((field, name)) = table else { return Ok(Self::None) };
                return qualified_name(name).map(Self::PrimaryKeyOf).map_err(|error| at(field, &error));
            }
        };
        let columns = names.iter().enumerate().map(|(index, name)| {
            let field = format!("{field}[{index}]");
            let name = identifier(name).map_err(|error| at(&field, &error))?;
            Ok(KeyColumn { field, name })
        });
        columns.collect::<Result<_, _>>().map(Self::Columns)
    }

    /// The table whose primary key is asked for.
    pub fn table(&self) -> Option<&QualifiedName> {
        match self {
            Self::PrimaryKeyOf(table) => Some(table),
            _ => None,
        }
    }

    /// The columns that the spec says, in order.
    pub fn given(&self) -> Vec<Identifier> {
        match self {
            Self::Columns(columns) => columns.iter().map(|column| column.name.clone()).collect(),
            _ => Vec::new(),
        }
    }

    /// That the query has no such column, or None where the spec says no `index`-th one.
    pub fn missing(&self, index: usize) -> Option<BadColumns> {
        let Self::Columns(columns) = self else { return None };
        let KeyColumn { field, name } = columns.get(index)?;
        Some(BadColumns::NoKeyColumn { field: field.clone(), name: name.shown() })
    }

    /// The columns that name the rows of a query with these columns, where the table has this primary key; none where
    /// nothing names them.
    pub fn among(&self, columns: &[String], primary_key: Vec<Identifier>) -> Result<Vec<Identifier>, BadColumns> {
        let is_there = |name: &Identifier| columns.iter().any(|column| column == name.as_str());
        let given = self.given();
        if let Some(missing) = given.iter().position(|name| !is_there(name)).and_then(|index| self.missing(index)) {
            return Err(missing);
        }
        Ok(if given.is_empty() && primary_key.iter().all(is_there) { primary_key } else { given })
    }
}

fn at(field: &str, error: &SqlError) -> SqlError {
    SqlError(format!("{field}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn key(changes: Value) -> Result<RowKey, String> {
        let changes: ChangeDetection = serde_json::from_value(changes).unwrap();
        RowKey::of(Some(&changes)).map_err(|error| error.to_string())
    }

    fn names(names: &[&str]) -> Vec<Identifier> {
        names.iter().map(|name| identifier(name).unwrap()).collect()
    }

    #[test]
    fn key_columns_are_the_specs_own_or_the_first_tables_or_its_primary_key() {
        let given = |changes| key(changes).unwrap().given();
        assert_eq!(given(json!({"keyColumns": ["Id", "\"B\""]})), names(&["id", "\"B\""]));
        let tables = json!([{"tableName": "t", "keyColumns": ["a"]}, {"tableName": "u", "keyColumns": ["b"]}]);
        assert_eq!(given(json!({ "tables": tables })), names(&["a"]));
        assert_eq!(given(json!({"tables": tables, "keyColumns": ["a"]})), names(&["a"]));
        for changes in [json!({"tableName": "S.t"}), json!({"tables": [{"tableName": "S.t"}, {"tableName": "u"}]})] {
            assert_eq!(key(changes).unwrap().table().unwrap().shown(), "s.t");
        }
        assert_eq!(key(json!({})).unwrap(), RowKey::None);
        assert_eq!(RowKey::of(None).unwrap(), RowKey::None);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_field() {
        let differ = json!({"tables": [{"tableName": "t", "keyColumns": ["a"]}], "keyColumns": ["b"]});
        assert!(key(differ).unwrap_err().contains("changeDetection.tables[0].keyColumns differ"));
        assert!(key(json!({"keyColumns": ["a", "b c"]})).unwrap_err().starts_with("changeDetection.keyColumns[1]: "));
        let tables = json!({"tables": [{"tableName": "t", "keyColumns": ["a.b"]}]});
        assert!(key(tables).unwrap_err().starts_with("changeDetection.tables[0].keyColumns[0]: "));
        let tables = json!({"tables": [{"tableName": "t t"}]});
        assert!(key(tables).unwrap_err().starts_with("changeDetection.tables[0].tableName: "));
    }

    #[test]
    fn a_given_column_has_to_be_there_and_a_primary_key_need_not() {
        let columns = ["a".to_owned(), "b".to_owned()];
        let given = key(json!({"keyColumns": ["b", "Gone"]})).unwrap();
        let message = given.among(&columns, Vec::new()).unwrap_err().to_string();
        assert_eq!(message, "changeDetection.keyColumns[1]: the query has no column named gone");
        let primary = key(json!({"tableName": "t"})).unwrap();
        assert_eq!(primary.among(&columns, names(&["b", "a"])), Ok(names(&["b", "a"])));
        assert_eq!(primary.among(&columns, names(&["a", "c"])), Ok(Vec::new()));
        assert_eq!(primary.among(&columns, Vec::new()), Ok(Vec::new()), "the table has none");
    }
}
