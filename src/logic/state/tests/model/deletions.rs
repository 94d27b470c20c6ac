//! What is deleted, each judged where it happens.

use super::*;

impl World {
    /// Whether nobody may delete the object, whatever was approved.
    pub(super) fn is_innocent(&self, id: &ObjectId, awaited: &Keys) -> Option<&'static str> {
        let known = &self.live.get(id)?.known;
        let row_key = |of: u8| known.row_key.as_deref() == Some(&*key_of(of));
        let failing = |name: u8, value: Option<u8>| {
            // What somebody else did to it a moment ago, nobody can know yet.
            let is_untold = self.news.iter().any(|(told, _)| *told == self::id(name));
            // It was applied, whatever somebody made of it since.
            let has = |value: u8| {
                move |live: &Live| live.value == format!("v{value}") || live.value == "edited" && !live.is_foreign
            };
            let value_is = |value| self.live.get(&self::id(name)).is_some_and(has(value));
            let is_there = self.only_creates(name) && self.live.contains_key(&self::id(name));
            value.is_none_or(|value| !value_is(value) && !is_untold && !is_there)
        };
        if self.read.values().any(|(name, value)| value.is_some() && number(id) == *name) {
            return Some("has a row");
        }
        if !self.keyed && !self.state.rows().failures.is_empty() {
            return Some("may be a failed row's");
        }
        if self.read.iter().any(|(number, (_, value))| row_key(*number) && value.is_none()) {
            return Some("is a failed row's");
        }
        if self.keyed && known.row_key.as_ref().is_some_and(|key| awaited.contains(key)) {
            return Some("is one of a row that has changed since");
        }
        let holds = |of: &u8| self.holds.get(of).is_some_and(|names| names.contains(&number(id)));
        let held = self.read.iter().any(|(of, (name, value))| holds(of) && failing(*name, *value));
        held.then_some("is a failed row's since an earlier read")
    }

    pub(super) fn prune(&mut self, read: &Read) {
        let awaited = if self.keyed { self.changed.clone() } else { Keys::new() };
        let nonce = self.next().into();
        let guard = self.guard;
        let approved = self.approved.clone();
        let terms = Terms { prune: self.prune, guard: &guard, approved: approved.as_deref(), nonce, awaited: &awaited };
        let verdict = self.state.judge(read, terms, self.now).verdict;
        for stale in &verdict.approved {
            assert!(self.shown.digest == approved && self.shown.unwanted.contains(stale), "{} was not shown", stale.0);
        }
        self.show();
        let believed = verdict.believed.into_iter().map(|stale| (stale, true));
        for (stale, is_believed) in verdict.approved.into_iter().map(|stale| (stale, false)).chain(believed) {
            self.delete(stale, is_believed, &awaited);
        }
        // What waited is the next set once one is done.
        self.show();
        if let Some(limit) = self.limit {
            let recent = self.believed.iter().filter(|at| self.now.duration_since(**at) < WINDOW).count();
            assert!(recent <= limit, "{recent} deletions within the window");
        }
    }

    /// A person is told what is held back.
    fn show(&mut self) {
        let held = self.state.held().map(|held| held.digest);
        if held.is_some() && held != self.shown.digest {
            let is_wanted =
                |id: &ObjectId| self.read.values().any(|(name, value)| value.is_some() && number(id) == *name);
            let unwanted = self.live.iter().filter(|(id, live)| !live.is_foreign && !is_wanted(id));
            let unwanted = unwanted.map(|(id, live)| (id.clone(), live.known.uid.clone()));
            let unwanted = unwanted.chain(self.removed.iter().filter(|(id, _)| !is_wanted(id)).cloned()).collect();
            self.shown = Shown { digest: held, unwanted };
        }
    }

    pub(super) fn delete(&mut self, stale: (ObjectId, Arc<str>), is_believed: bool, awaited: &Keys) {
        let (id, uid) = stale.clone();
        let seen = self.state.listing().deletable(&stale);
        if let Some(why) = self.is_innocent(&id, awaited) {
            panic!("{id} {why}");
        }
        let Some(live) = self.live.get_mut(&id).filter(|live| live.known.uid == uid && !live.is_foreign) else {
            self.state.known_mut().unwrap().delete(&id);
            return self.state.deleted(&stale, false, true, self.now);
        };
        let (labelled, adopted) = (live.labelled, live.known.hold == Hold::Adopted);
        let is_kept = live.known.protected || adopted;
        assert!(!is_kept || seen != Some(live.known.version), "{id} would be deleted without a second look");
        if live.known.protected {
            self.state.known_mut().unwrap().protect(&id);
            return self.state.deleted(&stale, false, false, self.now);
        }
        if adopted {
            (live.is_foreign, live.labelled, live.value) = (true, false, "theirs".into());
            live.known = Known { uid, ..Known::default() };
        }
        // It leaves what the watch sees.
        if labelled {
            self.change(&id, None);
        }
        if !adopted {
            self.live.remove(&id);
        }
        if is_believed {
            self.believed.push(self.now);
            // For all that is known: somebody may have deleted it a moment ago.
            let known = self.state.known().unwrap();
            let is_left = self.read.values().any(|(name, _)| known.exists(&self::id(*name)));
            assert!(self.limit.is_none() || is_left, "nothing is left");
        }
        if self.answers_get_lost {
            self.state.undeleted(&stale, "Unreachable", "no answer", self.now);
            return self.state.unanswered(stale, is_believed);
        }
        let inventory = self.state.known_mut().unwrap();
        if adopted {
            inventory.remove(&id)
        } else {
            inventory.delete(&id)
        }
        self.state.deleted(&stale, is_believed, true, self.now);
    }
}
