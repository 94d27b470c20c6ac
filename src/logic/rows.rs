//! What the rows of a query want, as they were read last: all of them together, or the rows of some keys since. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::failures::Failures;
use super::inventory::Doubt;
use super::keyed::KeyedTable;
use super::memo::{Memo, RowHash};
use super::object::ObjectId;
use super::render::Rendered;
use super::row::RowName;

/// Keys of rows, as texts.
pub type Keys = BTreeSet<Arc<str>>;

/// Keys of rows of other tables, as texts, each with its table.
pub type OtherKeys = BTreeSet<(u32, Arc<str>)>;

/// All rows. Takes about 250 bytes for each row with one object, and its key twice; about 90 more for each key of another
/// table's row that it shows.
#[derive(Debug, Default)]
pub struct Rows {
    /// How many there are.
    pub count: u64,
    /// The columns that name them; none where nothing does.
    pub key_columns: Vec<String>,
    /// Those that failed, at whichever step.
    pub failures: Failures,
    /// What they came to when they were rendered.
    pub memo: Arc<Memo>,
    claims: HashMap<ObjectId, RowName>,
    disputed: HashSet<ObjectId>,
    groups: HashMap<Arc<str>, Group>,
    /// Whether it is known which rows have which key.
    is_grouped: bool,
    /// What rows of these keys wanted before, and do not want now: theirs as long as they fail, whoever else has it.
    left: HashMap<ObjectId, Keys>,
    /// The keys of rows of which it was not known, when they were forgotten or read again, whether they would fail.
    unsettled: HashSet<Arc<str>>,
    /// The other tables, the keys of whose rows are known of each group.
    others: Vec<KeyedTable>,
    /// Which groups show the key of which row of another table.
    shown: BTreeSet<(Shown, Arc<str>)>,
}

/// Hash of the key of another table's row. Where two are the same, more is read than has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown(u64);

impl Shown {
    /// Of the row of this table with this key.
    pub fn of(table: u32, key: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (table, key).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// The rows of one key.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The rows.
    pub rows: Vec<RowHash>,
    /// The objects that they want.
    pub objects: Vec<ObjectId>,
    /// The keys of other tables' rows that they show; some more than once.
    pub shown: Vec<Shown>,
}

/// Why rows of some keys cannot be taken alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entangled {
    /// They want what rows of other keys want: those have to be read as well.
    With(Keys),
    /// Rows are at odds about an object, or it is not known which rows have which key.
    AtOdds,
}

impl Rows {
    /// All rows were read, after those of before. What does not exist need not be kept for anybody.
    pub fn whole(
        before: Self,
        rendered: Rendered,
        key_columns: Vec<String>,
        exists: impl Fn(&ObjectId) -> bool,
    ) -> Self {
        let Rendered { rows, claims, disputed, groups, is_grouped, others, failures, memo, .. } = rendered;
        let shown = groups.iter().flat_map(|(key, group)| shown(key, group)).collect();
        let (count, memo, left, unsettled) = (rows, memo.into(), HashMap::new(), HashSet::new());
        let mut now = Self {
            count,
            key_columns,
            failures,
            memo,
            claims,
            disputed,
            groups,
            is_grouped,
            left,
            unsettled,
            others,
            shown,
        };
        // Keys of other columns name other rows.
        if before.key_columns == now.key_columns {
            let wanted = before.claims.into_iter().filter_map(|(id, row)| Some((id, row.key?)));
            let failed = |key: &Arc<str>| before.failures.has(key) || before.unsettled.contains(key);
            let left =
                before.left.into_iter().flat_map(|(id, keys)| keys.into_iter().map(move |key| (id.clone(), key)));
            let left = left.filter(|(id, key)| failed(key) || now.failures.has(key) || !now.want(id));
            let left: Vec<_> = wanted.chain(left).filter(|(id, _)| exists(id)).collect();
            left.into_iter().for_each(|(id, key)| now.leave(id, key));
        }
        now
    }

    /// Nothing was read yet; but what rows wanted is known.
    pub fn forgotten(mut self, exists: impl Fn(&ObjectId) -> bool) -> Self {
        let (key_columns, mut unsettled) = (self.key_columns.clone(), std::mem::take(&mut self.unsettled));
        unsettled.extend(self.failures.keys().flatten().cloned());
        Self { unsettled, ..Self::whole(self, Rendered::default(), key_columns, exists) }
    }

    /// Something of these rows is not applied yet.
    pub fn unsettle<'a>(&mut self, rows: impl Iterator<Item = &'a RowName>) {
        self.unsettled.extend(rows.filter_map(|row| row.key.clone()));
    }

    /// A row of this key wanted the object.
    fn leave(&mut self, id: ObjectId, key: Arc<str>) {
        if self.key_of(&id) != Some(&key) {
            self.left.entry(id).or_default().insert(key);
        }
    }

    /// Whether the object was one of a row of which there is doubt.
    pub fn is_held(&self, id: &ObjectId, doubt: &Doubt) -> bool {
        self.left.get(id).is_some_and(|keys| keys.iter().any(|key| doubt.is_about(Some(key))))
    }

    /// What does not exist need not be kept for anybody.
    pub fn forget(&mut self, id: &ObjectId) {
        self.left.remove(id);
    }

    /// Whether a row wants the object.
    pub fn want(&self, id: &ObjectId) -> bool {
        self.claims.contains_key(id)
    }

    /// The key of the row that wants the object.
    pub fn key_of(&self, id: &ObjectId) -> Option<&Arc<str>> {
        self.claims.get(id)?.key.as_ref()
    }

    /// The keys of the rows that showed the key of one of these rows of other tables when they were read; not many more
    /// than `most` of them. Of tables whose keys are not known, nothing.
    pub fn showing(&self, keys: &OtherKeys, most: usize) -> Keys {
        let mut showing = Keys::new();
        for (table, key) in keys {
            let shown = Shown::of(*table, key);
            let groups = self.shown.range((shown, Arc::from(""))..).take_while(|(other, _)| *other == shown);
            showing.extend(groups.map(|(_, group)| group.clone()).take(most + 1));
            if showing.len() > most {
                break;
            }
        }
        showing
    }

    /// Whether the rows of some keys can be taken without the others, as far as that can be known before.
    pub fn check(&self, keys: &Keys, rendered: &Rendered) -> Result<(), Entangled> {
        // Groups that were not asked for come whole as well.
        let groups = keys.iter().chain(rendered.groups.keys()).filter_map(|key| self.groups.get(key));
        let objects = groups.flat_map(|group| &group.objects);
        if !self.is_grouped
            || self.others != rendered.others
            || !rendered.disputed.is_empty()
            || objects.chain(rendered.claims.keys()).any(|id| self.disputed.contains(id))
        {
            return Err(Entangled::AtOdds);
        }
        let others = rendered.claims.keys().filter_map(|id| self.claims.get(id)).map(|row| row.key.as_ref());
        let others: Option<Keys> = others.map(Option::<&Arc<str>>::cloned).collect();
        let mut others = others.ok_or(Entangled::AtOdds)?;
        others.retain(|key| !keys.contains(key) && !rendered.groups.contains_key(key));
        if others.is_empty() { Ok(()) } else { Err(Entangled::With(others)) }
    }

    /// The rows of these keys were read: they take the place of those before. Returns the objects that are wanted no
    /// more. Call [`Self::check`] before.
    pub fn replace(&mut self, keys: &Keys, rendered: Rendered) -> Vec<ObjectId> {
        let Rendered { rows, claims, groups, failures, memo, .. } = rendered;
        let own = Arc::make_mut(&mut self.memo);
        let mut before = Vec::new();
        for key in keys.iter().chain(groups.keys()) {
            self.failures.forget(key);
            let Some(group) = self.groups.remove(key) else { continue };
            shown(key, &group).for_each(|one| _ = self.shown.remove(&one));
            self.count -= group.rows.len() as u64;
            group.rows.iter().for_each(|row| own.remove(row));
            before.extend(group.objects.into_iter().map(|id| (id, key.clone())));
        }
        before.iter().for_each(|(id, _)| drop(self.claims.remove(id)));
        self.count += rows;
        own.merge(memo);
        self.claims.extend(claims);
        self.shown.extend(groups.iter().flat_map(|(key, group)| shown(key, group)));
        self.groups.extend(groups);
        self.failures.merge(failures);
        before.iter().for_each(|(id, key)| self.leave(id.clone(), key.clone()));
        before.into_iter().map(|(id, _)| id).filter(|id| !self.claims.contains_key(id)).collect()
    }
}

fn shown<'a>(key: &'a Arc<str>, group: &'a Group) -> impl Iterator<Item = (Shown, Arc<str>)> + 'a {
    group.shown.iter().map(|shown| (*shown, key.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: u32 = 7;

    fn others() -> Vec<KeyedTable> {
        vec![KeyedTable { oid: TABLE, key: Vec::new(), columns: Vec::new(), definition: 0 }]
    }

    fn whole(rendered: Rendered) -> Rows {
        Rows::whole(Rows::default(), rendered, Vec::new(), |_| true)
    }

    /// Rows of these keys, each of which shows a key of another table's row.
    fn rendered(rows: &[(&str, &str)]) -> Rendered {
        let mut out = Rendered { is_grouped: true, others: others(), ..Rendered::default() };
        for (key, other) in rows {
            out.groups.entry((*key).into()).or_default().shown.push(Shown::of(TABLE, other));
        }
        out
    }

    fn keys(list: &[&str]) -> Keys {
        list.iter().map(|key| (*key).into()).collect()
    }

    fn showing(rows: &Rows, list: &[&str]) -> Keys {
        rows.showing(&list.iter().map(|key| (TABLE, (*key).into())).collect(), 100)
    }

    #[test]
    fn rows_are_found_by_what_they_showed_when_they_were_read_last() {
        let mut rows = whole(rendered(&[("1", "a"), ("1", "a"), ("1", "b"), ("2", "a"), ("3", "c")]));
        assert_eq!(showing(&rows, &["a"]), keys(&["1", "2"]));
        assert_eq!(showing(&rows, &["b", "c", "none"]), keys(&["1", "3"]));
        assert_eq!(rows.showing(&[(TABLE + 1, "a".into())].into(), 100), Keys::new(), "of another table");
        // One shows another, one is gone, one came unasked.
        rows.replace(&keys(&["1", "3"]), rendered(&[("1", "c"), ("4", "b")]));
        assert_eq!(showing(&rows, &["a"]), keys(&["2"]));
        assert_eq!(showing(&rows, &["b"]), keys(&["4"]));
        assert_eq!(showing(&rows, &["c"]), keys(&["1"]));
    }

    #[test]
    fn of_very_many_rows_that_show_one_key_not_many_more_than_asked_for_are_looked_up() {
        let names: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let all: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "gold")).collect();
        let rows = whole(rendered(&all));
        assert_eq!(rows.showing(&[(TABLE, "gold".into())].into(), 10).len(), 11);
    }

    #[test]
    fn rows_of_which_other_keys_are_known_are_not_taken_together() {
        let rows = whole(rendered(&[("1", "a")]));
        assert_eq!(rows.check(&keys(&["1"]), &rendered(&[("1", "b")])), Ok(()));
        let unknown = Rendered { others: Vec::new(), ..rendered(&[]) };
        assert_eq!(rows.check(&keys(&["1"]), &unknown), Err(Entangled::AtOdds));
    }
}
