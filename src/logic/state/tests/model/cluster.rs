//! The cluster: what others do there, and what the server makes of applies.

use serde_json::{Value, json};

use super::*;

impl World {
    /// A watch will tell of it.
    pub(super) fn change(&mut self, id: &ObjectId, known: Option<Known>) {
        let of = known.as_ref().or(self.live.get(id).map(|live| &live.known));
        let uid = of.map(|known| known.uid.clone()).unwrap_or_default();
        let version = known.as_ref().map_or_else(|| self.version(), |known| known.version);
        self.news.push_back((id.clone(), Sight { uid, version, known }));
    }

    pub(super) fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    pub(super) fn version(&mut self) -> Version {
        let meta = json!({"resourceVersion": self.next().to_string()});
        Version::of(&serde_json::from_value(meta).unwrap())
    }

    pub(super) fn make_foreign(&mut self, id: ObjectId) {
        if self.live.contains_key(&id) {
            return;
        }
        let known = Known { uid: format!("u{}", self.next()).into(), version: self.version(), ..Known::default() };
        let live = Live {
            known,
            value: "theirs".into(),
            is_foreign: true,
            labelled: false,
            untracked: false,
            protected_by_others: false,
        };
        self.live.insert(id, live);
    }

    pub(super) fn edit(&mut self, id: &ObjectId) {
        let version = self.version();
        let Some(live) = self.live.get_mut(id) else { return };
        live.value = "edited".into();
        live.known.version = version;
        if live.is_foreign {
            return;
        }
        live.known.fields = Some(fields(&[], live.known.hold, live.labelled));
        if live.labelled {
            let known = live.known.clone();
            self.change(id, Some(known));
        }
    }

    pub(super) fn lose_label(&mut self, id: &ObjectId) {
        let version = self.version();
        let is_known = self.state.known().is_some_and(|inventory| inventory.exists(id) || inventory.is_missed(id));
        let Some(live) = self.live.get_mut(id).filter(|live| !live.is_foreign && live.labelled) else { return };
        live.untracked |= !is_known && !self.state.is_under_way(id);
        live.known.version = version;
        live.labelled = false;
        live.known.fields = Some(fields(&["v"], live.known.hold, false));
        let seen = Sight { uid: live.known.uid.clone(), version, known: None };
        self.news.push_back((id.clone(), seen));
    }

    pub(super) fn protect(&mut self, id: &ObjectId, protected: bool) {
        let version = self.version();
        let Some(live) = self.live.get_mut(id).filter(|live| !live.is_foreign) else { return };
        live.protected_by_others = protected;
        live.known.version = version;
        live.known.protected = protected;
        live.known.hold = truly(live.known.hold, protected);
        if live.labelled {
            let known = live.known.clone();
            self.change(id, Some(known));
        }
    }

    pub(super) fn remove(&mut self, id: &ObjectId) {
        if self.live.get(id).is_some_and(|live| live.labelled) {
            self.change(id, None);
        }
        let removed = self.live.remove(id);
        self.removed.extend(removed.map(|live| (id.clone(), live.known.uid)));
    }

    pub(super) fn deliver(&mut self) {
        let Some((id, seen)) = self.news.pop_front() else { return };
        self.outdated |= self.state.see(&id, seen);
    }

    /// What there is under a name, and whose.
    pub(super) fn existing(&self, id: &ObjectId) -> Option<(Known, Ownership)> {
        let live = self.live.get(id)?;
        Some((live.known.clone(), if live.is_foreign { Ownership::Foreign } else { Ownership::Ours }))
    }

    /// What the server makes of an apply, and what is looked up then.
    pub(super) fn answer(&mut self, work: &Work) -> Answer {
        let existing = self.existing(&work.desired.id);
        let is_met = matches!(work.found, Found::Unknown) && !self.refused.contains(&work.desired.id);
        match existing {
            Some(existing) if is_met => Answer::Met(Some(existing)),
            _ => Answer::Applied(self.apply(work)),
        }
    }

    /// What the server makes of an apply.
    fn apply(&mut self, work: &Work) -> Result<Known, Refusal> {
        let refused = |reason, replaced| Err(Refusal { reason, message: reason.into(), replaced, unanswered: false });
        let desired = &work.desired;
        if self.refused.contains(&desired.id) {
            return refused("Refused", false);
        }
        let live = self.live.get(&desired.id);
        let protected_by_others = live.is_some_and(|live| live.protected_by_others);
        let (hold, uid) = match (&work.found, live) {
            (Found::Unknown | Found::Nothing, None) => (Hold::Created, None),
            (Found::Nothing, Some(_)) => return refused("Conflict", false),
            (Found::Foreign(uid), Some(live)) if live.is_foreign && live.known.uid == *uid => {
                (Hold::Adopted, Some(uid.clone()))
            }
            (Found::Ours(known), Some(live)) if live.known.uid == known.uid => (known.hold, Some(known.uid.clone())),
            _ => return refused("Replaced", true),
        };
        assert!(!desired.wishes.create_only || uid.is_none(), "{} is there and is touched", desired.id);
        let Some(body) = desired.body(hold, uid.as_deref()) else { return refused("Empty", false) };
        let body: Value = serde_json::from_slice(&body).unwrap();
        let (hash, of_adopted) = AppliedHash::read(body["metadata"]["annotations"][APPLIED_HASH].as_str().unwrap());
        assert_eq!((&hash, of_adopted), (&desired.hash, hold == Hold::Adopted));
        let value = body["data"]["v"].as_str().unwrap().to_owned();
        let wants = |(name, wanted): &(u8, Option<u8>)| {
            *name == number(&desired.id) && wanted.is_some_and(|wanted| value == format!("v{wanted}"))
        };
        assert!(self.rows.values().any(wants), "{} is applied as no row wants it any more", desired.id);
        let uid = uid.unwrap_or_else(|| format!("u{}", self.next()).into());
        let protected = protected_by_others || body["metadata"]["annotations"][PRUNE] == "disabled";
        let applied = desired.applied(Known {
            uid,
            version: self.version(),
            hold: if protected { truly(hold, true) } else { hold },
            protected,
            fields: Some(fields(&["v"], hold, true)),
            ..Known::default()
        });
        // What a watch sees of it.
        let hold = truly(hold, protected);
        let seen = Known { applied: None, verified: false, hold, ..applied.clone() };
        let live = Live {
            known: seen.clone(),
            value,
            is_foreign: false,
            labelled: true,
            untracked: false,
            protected_by_others,
        };
        self.live.insert(desired.id.clone(), live);
        self.change(&desired.id, Some(seen));
        Ok(applied)
    }
}

/// How an object is had, as its metadata tell.
fn truly(hold: Hold, protected: bool) -> Hold {
    match hold {
        Hold::Adopted => hold,
        _ if protected => Hold::Independent,
        _ => Hold::Created,
    }
}

/// Our entry: our marks, and these keys of data.
fn fields(data: &[&str], hold: Hold, labelled: bool) -> Fields {
    let of = |keys: &[&str]| keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect::<Value>();
    let mut marks =
        vec!["konnektr.io/owner-uid", APPLIED_HASH, "konnektr.io/row-key", "some", PRUNE, "konnektr.io/ssa"];
    marks.extend((hold == Hold::Adopted).then_some(ADOPTED));
    let labels: &[&str] = &["konnektr.io/managed-by", "konnektr.io/managed-by-namespace"];
    let labels = of(if labelled { labels } else { &[] });
    let metadata = json!({"f:annotations": of(&marks), "f:labels": labels});
    let mut all = json!({"f:metadata": metadata});
    if !data.is_empty() {
        all["f:data"] = of(data);
    }
    Fields(all.to_string().into())
}
