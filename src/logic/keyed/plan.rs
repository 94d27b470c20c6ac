//! A plan as `EXPLAIN (VERBOSE, FORMAT JSON)` tells it, and what it says of a table. Pure.

use serde_json::{Map, Value};

use super::{Table, Whole};
use crate::logic::sql::{Identifier, qualified_name};

/// A plan, its topmost node.
#[derive(Debug, Default)]
pub struct Plan(Value);

/// One node of it.
#[derive(Clone, Copy)]
struct Node<'a>(&'a Map<String, Value>);

/// Where a table is read.
struct Scan<'a> {
    schema: &'a str,
    relation: &'a str,
    /// What expressions call it. No two parts of a plan have the same.
    alias: &'a str,
}

/// What of a node is no expression.
const NO_EXPRESSION: [&str; 15] = [
    "Node Type",
    "Parent Relationship",
    "Relation Name",
    "Schema",
    "Alias",
    "Index Name",
    "Join Type",
    "Scan Direction",
    "Cache Mode",
    "Strategy",
    "Partial Mode",
    "Subplan Name",
    "CTE Name",
    "Function Name",
    "Plans",
];

/// Nodes that take the rows below them one by one, or have none below.
const ONE_BY_ONE: [&str; 24] = [
    "Seq Scan",
    "Index Scan",
    "Index Only Scan",
    "Bitmap Heap Scan",
    "Bitmap Index Scan",
    "BitmapAnd",
    "BitmapOr",
    "Tid Scan",
    "Tid Range Scan",
    "Nested Loop",
    "Merge Join",
    "Hash Join",
    "Hash",
    "Sort",
    "Incremental Sort",
    "Materialize",
    "Memoize",
    "Append",
    "Merge Append",
    "Gather",
    "Gather Merge",
    "Result",
    "ProjectSet",
    "Subquery Scan",
];
const ROWS_OF_THEIR_OWN: [&str; 3] = ["Function Scan", "Table Function Scan", "Values Scan"];

impl Plan {
    /// Reads what the server says.
    pub fn read(json: &str) -> Result<Self, Whole> {
        let mut read: Value = serde_json::from_str(json).unwrap_or_default();
        let plan = Self(read.pointer_mut("/0/Plan").map(Value::take).unwrap_or_default());
        plan.top().map(|_| ())?;
        Ok(plan)
    }

    fn top(&self) -> Result<Node<'_>, Whole> {
        self.0.as_object().map(Node).ok_or_else(|| Whole::new("PostgreSQL's plan of the query cannot be read"))
    }

    /// Whether its rows are a sum over the rows of a table: a row more or less there adds or takes away its own rows and
    /// changes no others.
    pub(super) fn is_a_sum_over(&self, table: &Table) -> Result<(), Whole> {
        let top = self.top()?;
        let mut nodes = top.all();
        nodes.try_for_each(|node| node.is_clear(table))?;
        let mut scans = top.scans(table)?;
        scans.retain(|scan| table.has_part(scan));
        if scans.is_empty() { Err(Whole::new(format!("it does not read {} itself", table.name))) } else { Ok(()) }
    }

    /// The columns that have the values of the table's own columns of these names, in the row of the table that the row
    /// is made of; where `same_names`, they have to be called the same. Only of a sum over the table.
    pub(super) fn shows_the_key(
        &self,
        columns: &[String],
        key: &[Identifier],
        table: &Table,
        same_names: bool,
    ) -> Result<Vec<Identifier>, Whole> {
        let top = self.top()?;
        let aliases = Aliases::of(top, table);
        let outputs = top.outputs();
        let mut shown = Vec::new();
        for name in key {
            let is_kept = |at: usize| {
                outputs.iter().all(|output| output.get(at).is_some_and(|text| aliases.name_key(text, name)))
            };
            let mut candidates =
                columns.iter().enumerate().filter(|(_, column)| !same_names || *column == name.as_str());
            let found = candidates.find(|(at, _)| !outputs.is_empty() && is_kept(*at));
            let Some((_, column)) = found else {
                let (name, table) = (name.shown(), &table.name);
                let apart = top.all().any(|node| node.kind() == "Subquery Scan");
                return Err(Whole::new(match (apart, same_names) {
                    (false, true) => format!("the key column {name} is not {table}'s own column of that name"),
                    (false, false) => format!("no column of the query is {table}'s own column {name}"),
                    (true, _) => format!(
                        "the key column {name} comes out of a sub-select or view that PostgreSQL keeps apart, and \
                         cannot be followed to {table}"
                    ),
                }));
            };
            shown.push(Identifier::of_catalog(column.clone()));
        }
        // Rows that come together from several places have the columns of the first by name.
        top.all().filter(|node| node.is_append()).try_for_each(|append| append.agrees_on(key, &aliases, table))?;
        Ok(shown)
    }

    /// All expressions.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &str> {
        let nodes = self.top().ok().into_iter().flat_map(|top| top.all().collect::<Vec<_>>());
        let values = nodes.flat_map(|node| node.0.iter()).filter(|(name, _)| !NO_EXPRESSION.contains(&name.as_str()));
        let mut texts = Vec::new();
        values.for_each(|(_, value)| collect(value, &mut texts));
        texts.into_iter()
    }

    /// Whether there are rows whose expressions it does not tell.
    pub(super) fn has_values(&self) -> bool {
        self.top().is_ok_and(|top| top.all().any(|node| node.kind() == "Values Scan"))
    }
}

/// All texts in a value.
fn collect<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(list) => list.iter().for_each(|value| collect(value, texts)),
        Value::Object(map) => map.values().for_each(|value| collect(value, texts)),
        _ => {}
    }
}

impl<'a> Node<'a> {
    fn text(self, name: &str) -> &'a str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn kind(self) -> &'a str {
        self.text("Node Type")
    }

    fn children(self) -> impl Iterator<Item = Self> {
        self.0.get("Plans").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).map(Node)
    }

    /// It and all below it.
    fn all(self) -> Box<dyn Iterator<Item = Self> + 'a> {
        Box::new(std::iter::once(self).chain(self.children().collect::<Vec<_>>().into_iter().flat_map(Node::all)))
    }

    fn is_append(self) -> bool {
        matches!(self.kind(), "Append" | "Merge Append")
    }

    fn scan(self) -> Option<Scan<'a>> {
        let (schema, relation, alias) = (self.text("Schema"), self.text("Relation Name"), self.text("Alias"));
        (!relation.is_empty()).then_some(Scan { schema, relation, alias })
    }

    /// Whether it does something to its rows that can be told from the rows one by one.
    fn is_clear(self, table: &Table) -> Result<(), Whole> {
        let refused = |why: &str| Err(Whole::new(why));
        let subplan = self.text("Subplan Name");
        match self.kind() {
            _ if subplan.starts_with("CTE ") => refused("a WITH of it is computed apart"),
            _ if !subplan.is_empty() || matches!(self.text("Parent Relationship"), "SubPlan" | "InitPlan") => {
                refused("a sub-select in it is computed apart")
            }
            "Result" if self.text("One-Time Filter") == "false" => refused("a part of it never has rows"),
            _ if self.0.get("Subplans Removed").and_then(Value::as_u64).is_some_and(|removed| removed > 0) => {
                refused("PostgreSQL does not tell all of its plan")
            }
            kind if ONE_BY_ONE.contains(&kind) || ROWS_OF_THEIR_OWN.contains(&kind) => Ok(()),
            "Limit" => refused("it has a LIMIT or OFFSET"),
            "WindowAgg" => refused("it has a window function"),
            "Aggregate" | "Unique" if self.makes_a_set() && !self.all().any(|node| node.reads(table)) => Ok(()),
            "Aggregate" | "Group" => refused("it has GROUP BY, DISTINCT, UNION or an aggregate"),
            "Unique" => refused("it has DISTINCT or UNION"),
            "SetOp" => refused("it has INTERSECT or EXCEPT"),
            "Recursive Union" | "WorkTable Scan" => refused("it has a recursive WITH"),
            "CTE Scan" => refused("a WITH of it is computed apart"),
            "Sample Scan" => refused("it has a TABLESAMPLE"),
            "LockRows" => refused("it locks rows"),
            "ModifyTable" => refused("it changes data"),
            "Foreign Scan" => refused("it reads a foreign table, which may lead back to the same table"),
            kind => Err(Whole::new(format!("PostgreSQL runs it with {kind}, of which nothing is known"))),
        }
    }

    /// Whether it leaves out equal rows and nothing else: the server may put it into a join with an EXISTS or IN.
    fn makes_a_set(self) -> bool {
        let by = if self.kind() == "Unique" { self.children().next() } else { Some(self) };
        let by = by.map_or(Vec::new(), |node| [node.texts("Group Key"), node.texts("Sort Key")].concat());
        self.texts("Output").iter().all(|text| by.contains(text))
    }

    fn reads(self, table: &Table) -> bool {
        self.scan().is_some_and(|scan| table.has(&scan))
    }

    /// Where the table's family is read in it and below: in one place, or in the parts of one.
    fn scans(self, table: &Table) -> Result<Vec<Scan<'a>>, Whole> {
        let twice = || Whole::new(format!("it reads {} more than once", table.name));
        let own = self.scan().filter(|scan| table.has(scan)).into_iter().collect();
        let mut all: Vec<Vec<Scan<'a>>> = vec![own];
        for child in self.children() {
            let below = child.scans(table)?;
            if !below.is_empty() && self.fills_up(child) {
                return Err(Whole::new(format!("{} is on the optional side of a join or in a NOT EXISTS", table.name)));
            }
            all.push(below);
        }
        let filled = all.iter().filter(|scans| !scans.is_empty()).count();
        if self.is_append() && filled > 0 && filled < self.children().count() {
            return Err(Whole::new(format!("it has {} in a UNION ALL", table.name)));
        }
        if !self.is_append() && filled > 1 {
            return Err(twice());
        }
        let all: Vec<Scan<'a>> = all.into_iter().flatten().collect();
        let is_twice = |(index, scan): (usize, &Scan)| all[..index].iter().any(|other| other.reads_the_same(scan));
        if all.iter().enumerate().any(is_twice) { Err(twice()) } else { Ok(all) }
    }

    /// Whether it is a join that makes something of the absence, or mere presence, of the rows of this child.
    fn fills_up(self, child: Self) -> bool {
        let side = child.text("Parent Relationship");
        match self.text("Join Type") {
            "" | "Inner" => false,
            "Left" | "Semi" | "Anti" => side != "Outer",
            "Right" | "Right Semi" | "Right Anti" => side != "Inner",
            _ => true,
        }
    }

    /// What it, or each of the places that its rows come together from, gives out.
    fn outputs(self) -> Vec<Vec<&'a str>> {
        if self.is_append() {
            return self.children().flat_map(Node::outputs).collect();
        }
        vec![self.texts("Output")]
    }

    fn texts(self, name: &str) -> Vec<&'a str> {
        let mut texts = Vec::new();
        self.0.get(name).into_iter().for_each(|value| collect(value, &mut texts));
        texts
    }

    /// Whether the table's parts that come together here have their keys in the same places.
    fn agrees_on(self, key: &[Identifier], aliases: &Aliases, table: &Table) -> Result<(), Whole> {
        let outputs = self.outputs();
        for name in key {
            let places =
                |output: &Vec<&str>| -> Vec<bool> { output.iter().map(|text| aliases.name_key(text, name)).collect() };
            let mut all = outputs.iter().map(places);
            let first = all.next();
            if all.any(|places| Some(places) != first) {
                let (name, table) = (name.shown(), &table.name);
                return Err(Whole::new(format!("the key column {name} is not everywhere {table}'s own")));
            }
        }
        Ok(())
    }
}

impl Scan<'_> {
    fn reads_the_same(&self, other: &Self) -> bool {
        (self.schema, self.relation) == (other.schema, other.relation)
    }
}

impl Table {
    fn has(&self, scan: &Scan) -> bool {
        self.family.iter().any(|member| member.schema == scan.schema && member.name == scan.relation)
    }

    fn has_part(&self, scan: &Scan) -> bool {
        let is_it = |member: &&super::Member| member.schema == scan.schema && member.name == scan.relation;
        self.family.iter().find(is_it).is_some_and(|member| member.is_part)
    }
}

/// What expressions call the places where a table is read.
struct Aliases<'a> {
    own: Vec<&'a str>,
    others: Vec<&'a str>,
    /// Whether the table is a part of something or has parts.
    has_parts: bool,
}

impl<'a> Aliases<'a> {
    fn of(top: Node<'a>, table: &Table) -> Self {
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for node in top.all() {
            match node.scan() {
                Some(scan) if table.has(&scan) => own.push(scan.alias),
                _ => others.push(node.text("Alias")),
            }
        }
        Self { own, others, has_parts: table.family.len() > 1 }
    }

    /// Whether the table is all that a plan has to do with, so that columns are called by their names alone.
    fn are_alone(&self) -> bool {
        self.own.len() == 1 && self.others.iter().all(|alias| alias.is_empty())
    }

    /// Whether an expression is nothing but the table's own column of that name.
    fn name_key(&self, expression: &str, key: &Identifier) -> bool {
        // Unlike a keyword, which has capitals.
        if self.are_alone() && (expression == key.as_str() || expression == key.to_string()) {
            return true;
        }
        // A name of two parts, and no call, cast or field of something.
        let Ok(name) = qualified_name(expression) else { return false };
        name.table() == key.as_str() && name.schema().is_some_and(|alias| self.are_called(alias))
    }

    /// Partitions have the name of what they are parts of, with a number, where the whole has the plain one.
    fn are_called(&self, alias: &str) -> bool {
        if self.own.contains(&alias) {
            return true;
        }
        let is_like = |other: &&str| *other == alias || stem(other) == alias || stem(other) == stem(alias);
        let is_of_it = |own: &&str| stem(own) == alias || stem(own) == stem(alias);
        self.has_parts && self.own.iter().all(is_of_it) && !self.others.iter().any(is_like)
    }
}

/// A name without the number that the server puts at its end.
fn stem(alias: &str) -> &str {
    match alias.rsplit_once('_') {
        Some((stem, number)) if !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()) => stem,
        _ => alias,
    }
}
