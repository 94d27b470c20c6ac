//! What the rows of a query want, as they were read last: all of them together, or the rows of some keys since. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::failures::Failures;
use super::inventory::Doubt;
use super::memo::{Memo, RowHash};
use super::object::ObjectId;
use super::render::Rendered;
use super::row::RowName;

/// Keys of rows, as texts.
pub type Keys = BTreeSet<Arc<str>>;

/// All rows. Takes about 250 bytes for each row with one object, and its key twice.
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
}

/// The rows of one key.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The rows.
    pub rows: Vec<RowHash>,
    /// The objects that they want.
    pub objects: Vec<ObjectId>,
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
        let Rendered { rows, claims, disputed, groups, is_grouped, failures, memo, .. } = rendered;
        let left = HashMap::new();
        let mut now =
            Self { count: rows, key_columns, failures, memo: memo.into(), claims, disputed, groups, is_grouped, left };
        // Keys of other columns name other rows.
        if before.key_columns == now.key_columns {
            let wanted = before.claims.into_iter().filter_map(|(id, row)| Some((id, row.key?)));
            let failed = |key: &Arc<str>| before.failures.has(key);
            let left =
                before.left.into_iter().flat_map(|(id, keys)| keys.into_iter().map(move |key| (id.clone(), key)));
            let left = left.filter(|(id, key)| failed(key) || now.failures.has(key) || !now.want(id));
            let left: Vec<_> = wanted.chain(left).filter(|(id, _)| exists(id)).collect();
            left.into_iter().for_each(|(id, key)| now.leave(id, key));
        }
        now
    }

    /// Nothing was read yet; but what rows wanted is known.
    pub fn forgotten(self, exists: impl Fn(&ObjectId) -> bool) -> Self {
        let key_columns = self.key_columns.clone();
        Self::whole(self, Rendered::default(), key_columns, exists)
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

    /// Whether the rows of some keys can be taken without the others, as far as that can be known before.
    pub fn check(&self, keys: &Keys, rendered: &Rendered) -> Result<(), Entangled> {
        // Groups that were not asked for come whole as well.
        let groups = keys.iter().chain(rendered.groups.keys()).filter_map(|key| self.groups.get(key));
        let objects = groups.flat_map(|group| &group.objects);
        if !self.is_grouped
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
            self.count -= group.rows.len() as u64;
            group.rows.iter().for_each(|row| own.remove(row));
            before.extend(group.objects.into_iter().map(|id| (id, key.clone())));
        }
        before.iter().for_each(|(id, _)| drop(self.claims.remove(id)));
        self.count += rows;
        own.merge(memo);
        self.claims.extend(claims);
        self.groups.extend(groups);
        self.failures.merge(failures);
        before.iter().for_each(|(id, key)| self.leave(id.clone(), key.clone()));
        before.into_iter().map(|(id, _)| id).filter(|id| !self.claims.contains_key(id)).collect()
    }
}
