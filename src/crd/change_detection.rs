//! The part of the spec about noticing changes. The field docs are the user reference. Pure.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, defaults};

/// How changes in the database are noticed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!self.enabled || has(self.tableName) || (has(self.tables) && size(self.tables) > 0)").message("changeDetection.enabled needs tableName or tables"),
    validation = Rule::new("!(has(self.tableName) && has(self.tables))").message("set only one of changeDetection.tableName and changeDetection.tables"),
    validation = Rule::new("!has(self.timestampColumn) || has(self.tableName)").message("changeDetection.timestampColumn needs changeDetection.tableName")
)]
pub struct ChangeDetection {
    /// Whether to look for changes before running the query.
    #[serde(default)]
    pub enabled: bool,
    /// `Auto`: be notified where that can be had, else poll. `Notify`: the same, and having to poll is a
    /// fault to report. `Poll`: only poll.
    #[serde(default)]
    pub mode: ChangeDetectionMode,
    /// The table to watch, as an SQL name (`schema.table`; folded to lower case unless quoted).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub table_name: Option<String>,
    /// Its column that grows with every change. Not needed where the server counts the table's changes; needed for
    /// views and foreign tables, and wise for a standby.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 130))]
    pub timestamp_column: Option<String>,
    /// Columns of the query whose values name its rows in status and logs; need not be enabled. Where unset, the primary
    /// key of the (first) table, if all of it is among the columns of the query; else rows have numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 130)))]
    pub key_columns: Option<Vec<String>>,
    /// Several tables instead of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub tables: Option<Vec<WatchedTable>>,
    /// Set: look for changes at this interval and run the query every `pollInterval` regardless. Unset: look
    /// every `pollInterval`, and run the query only on a change. At least `1s`. A look is one small statement: the
    /// server's counters of changes of the tables, `MAX` of their timestamp columns, and the number of rows where they
    /// are few or not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("changePollInterval must be at least 1s"))]
    pub change_poll_interval: Option<Duration>,
    /// Run the query this often regardless: what the look cannot see (results that change by time alone, deletions
    /// behind a view; condition `ChangeDetection` says which) is seen by this. At least `1s`.
    #[serde(default = "defaults::resync_interval")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("resyncInterval must be at least 1s"))]
    pub resync_interval: Duration,
}

/// A watched table with columns of its own.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WatchedTable {
    /// The table, as an SQL name.
    #[schemars(length(min = 1, max = 255))]
    pub table_name: String,
    /// Its column that grows with every change; needed for views and foreign tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 130))]
    pub timestamp_column: Option<String>,
    /// Those of the first table name the rows of the query, as `changeDetection.keyColumns` does. Those of another one are
    /// columns of that table, whatever they are called in the query; rows that show the values of a row that changed are
    /// read again. Where unset, its primary key. Where the query does not show them, all rows are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 130)))]
    pub key_columns: Option<Vec<String>>,
}

/// How changes are noticed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChangeDetectionMode {
    /// Notify where it can be had, else Poll.
    #[default]
    Auto,
    /// Notify; having to poll is a fault.
    Notify,
    /// Poll.
    Poll,
}
