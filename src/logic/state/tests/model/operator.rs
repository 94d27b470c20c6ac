//! The operator: what it reads, and how it works through that.

use super::*;

impl World {
    pub(super) fn restart(&mut self) {
        self.state = State::new(self.recorded.clone());
        self.news.clear();
        self.slow.clear();
        // Nobody knows of these any more.
        self.holds.clear();
        self.believed.clear();
        self.live.values_mut().for_each(|live| live.untracked |= !live.labelled);
    }

    pub(super) fn land(&mut self) {
        for (desired, answer) in std::mem::take(&mut self.slow) {
            self.end(desired, answer, None);
        }
    }

    fn end(&mut self, desired: Desired, answer: Answer, policy: Option<ConflictPolicy>) {
        let landing = match answer {
            Answer::Applied(result) => self.state.landed(desired, result, self.now),
            Answer::Met(existing) => self.state.met(desired, existing, policy),
        };
        self.outdated |= landing.outdated;
    }

    fn record(&mut self) {
        if let Some(recorded) = self.state.to_record() {
            self.recorded = recorded.clone();
            self.state.record(recorded);
        }
    }

    /// Reads all rows where nobody knows which have changed.
    pub(super) fn look_at_changed(&mut self, slow: u8, end: End) {
        let is_known = self.keyed && !self.state.rows().key_columns.is_empty() && self.state.is_certain();
        let is_whole = !is_known || self.outdated || self.unheard;
        let read = if is_whole { self.read() } else { self.read_changed() };
        self.work(read, slow, end);
    }

    pub(super) fn work(&mut self, mut read: Read, slow: u8, end: End) {
        self.outdated = false;
        if self.unseen {
            self.state.attempt(&mut read);
        }
        for desired in read.unmet().into_iter().flatten() {
            let existing = self.existing(&desired.id);
            self.state.meet(desired, existing, ConflictPolicy::Protect);
        }
        self.record();
        let mut begun = 0;
        while self.state.under_way() < PLACES {
            match end {
                End::Crash(point) if begun == point => return self.restart(),
                End::Interrupted(point) if begun == point => break,
                _ => {}
            }
            let Some(work) = self.state.next(self.now) else {
                // What waited for what was slow begins after it.
                if std::mem::take(&mut self.lands) {
                    self.land();
                    continue;
                }
                break;
            };
            begun += 1;
            let is_one_of = |objects: u8| objects & (1 << number(&work.desired.id)) != 0;
            let (is_slow, is_unanswered) = (is_one_of(slow), is_one_of(self.unanswered));
            let mut answer = self.answer(&work);
            if is_unanswered {
                answer = Answer::Applied(Err(Refusal {
                    reason: "Timeout",
                    message: String::new(),
                    replaced: false,
                    unanswered: true,
                }));
            }
            if is_slow {
                self.slow.push((work.desired, answer));
            } else {
                self.end(work.desired, answer, Some(ConflictPolicy::Protect));
                self.record();
            }
        }
        if let End::Crash(_) = end {
            return self.restart();
        }
        if std::mem::take(&mut self.lands) {
            self.land();
        }
        self.settle_rows();
        if let Some((key, name)) = self.meanwhile.take() {
            self.run(match name {
                Some(name) => Op::SetRow { key, name, value: 0 },
                None => Op::DropRow { key },
            });
        }
        if self.prune {
            for id in self.state.missed() {
                let live = self.live.get(&id).filter(|live| !live.is_foreign);
                self.state.look_after(id, live.map(|live| live.known.clone()));
            }
        }
        self.prune(&read);
        self.state.close();
        let mut recorded = self.state.recorded().clone();
        let is_certain = self.state.rows().failures.is_empty() && self.state.unfinished() == 0;
        let has_any = self.state.known().is_some_and(|inventory| inventory.has(&kind()));
        if is_certain && !has_any && self.live.values().all(|live| !live.labelled) {
            recorded.kinds.clear();
        }
        self.recorded = recorded.clone();
        self.state.record(recorded);
    }

    pub(super) fn read(&mut self) -> Read {
        if self.state.inventory(self.now).is_none() {
            let ours = || self.live.iter().filter(|(_, live)| live.labelled && !self.recorded.kinds.is_empty());
            let listed: Vec<_> = ours().map(|(id, live)| (id.clone(), live.known.clone())).collect();
            self.state.listed(listed, self.now);
        }
        self.changed.clear();
        self.unheard = false;
        self.read = self.rows.clone();
        let rendered = self.render(|_| true);
        let key_columns = if self.keyed { vec!["key".to_owned()] } else { Vec::new() };
        self.state.absorb(rendered, key_columns, self.now)
    }

    /// The rows that changed and those that they are entangled with, or all.
    pub(super) fn read_changed(&mut self) -> Read {
        let mut keys = self.changed.clone();
        loop {
            let rendered = self.render(|number| keys.contains(&key_of(number)));
            match self.state.absorb_keys(&keys, rendered, self.now) {
                Ok(read) => {
                    self.changed.clear();
                    self.read.retain(|number, _| !keys.contains(&key_of(*number)));
                    let now = self.rows.iter().filter(|(number, _)| keys.contains(&key_of(**number)));
                    self.read.extend(now.map(|(number, row)| (*number, *row)));
                    return read;
                }
                Err(Entangled::With(others)) => keys.extend(others),
                Err(Entangled::AtOdds) => return self.read(),
            }
        }
    }

    pub(super) fn render(&self, is_read: impl Fn(u8) -> bool) -> Rendered {
        let known = self.state.listing();
        let (owner, rights) =
            (Owner { name: "q".into(), namespace: "n".into(), uid: "owner".into() }, Rights::default());
        let frame =
            Frame { owner: &owner, rights: &rights, gvk: None, deletion_policy: DeletionPolicy::Orphan, ignored: &[] };
        let find_kind = |_: &str, _: &str| {
            Ok(Kind { group_kind: kind(), version: "v1".into(), plural: "configmaps".into(), namespaced: true }.into())
        };
        let (dbqr, before) = (Json::Null, self.state.rows().memo.clone());
        let now = Timestamp::UNIX_EPOCH;
        let renderer = Renderer::new(&self.template, &dbqr, now, frame, &find_kind, &known, &before);
        let mut renderer = renderer.grouping(self.keyed);
        for (number, (name, value)) in self.rows.iter().filter(|(number, _)| is_read(**number)) {
            let mut row = json!({"name": name});
            value.iter().for_each(|value| row["value"] = json!(value));
            renderer.row(Row {
                json: row.to_string(),
                key: self.keyed.then(|| key_of(*number).to_string()),
                others: Vec::new(),
            });
        }
        renderer.finish()
    }

    /// What the rows hold on to, now that what was read of them is applied as far as it can be.
    pub(super) fn settle_rows(&mut self) {
        self.holds.retain(|number, _| self.read.contains_key(number));
        for (number, (name, value)) in &self.read {
            let holds = self.holds.entry(*number).or_default();
            let Some(value) = value else { continue };
            // What is disputed is nobody's.
            let is_disputed =
                |(other, (same, value)): (&u8, &(u8, Option<u8>))| other != number && same == name && value.is_some();
            if self.read.iter().any(is_disputed) {
                continue;
            }
            let live = self.live.get(&id(*name)).filter(|live| !live.is_foreign);
            let is_known =
                |live: &Live| self.state.known().is_some_and(|all| all.is_there((&id(*name), &live.known.uid)));
            let has_it = live.is_some_and(|live| live.value == format!("v{value}") && is_known(live));
            let is_there = self.wishing && *name == CREATED_ONLY && self.live.contains_key(&id(*name));
            if (has_it || is_there) && !self.state.is_under_way(&id(*name)) {
                holds.clear();
            }
            holds.insert(*name);
        }
    }
}
