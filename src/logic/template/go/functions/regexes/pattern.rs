//! Compiled patterns, and how much work they may be.
//!
//! A pattern is looked for by a lazy DFA, whose work is the bytes it reads. Where one would need
//! new states all the time it gives up, and the states of the NFA are followed at once: that work is
//! the text times the pattern, and so is that of finding groups. All of it is counted, as a small
//! pattern and a small text can be made that take minutes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use regex_automata::hybrid::{dfa, regex};
use regex_automata::meta;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::captures::Captures;
use regex_automata::util::iter::Searcher;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, Match, MatchError, MatchKind};

use super::super::bounds;
use super::super::call::Reason;
use super::syntax::translated;

/// Patterns kept. Each takes up to 6 MiB, most take some 10 KiB.
const MAX_KEPT: usize = 16;
/// Longer patterns are refused.
const MAX_PATTERN: usize = 16 << 10;
/// Bytes of a compiled pattern.
const MAX_COMPILED: usize = 1 << 20;
/// Bytes of the states that a lazy DFA keeps.
const MAX_STATES: usize = 1 << 20;

const NO_PATTERN: Reason = Reason::Said("the text is not a regular expression");
const TOO_LARGE: Reason = Reason::Said("the regular expression is too large");

/// What regular expressions of one render have cost, in bytes read by a DFA. Renew it for each
/// render.
#[derive(Debug, Default)]
pub struct Effort(AtomicU64);

impl Effort {
    /// A few seconds at worst. A search in a line of text costs some 100.
    const MAX: u64 = 1 << 30;

    /// Begins anew.
    pub fn renew(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn spend(&self, units: usize) -> Result<(), Reason> {
        let units = u64::try_from(units).unwrap_or(Self::MAX);
        let spent = self.0.fetch_add(units.min(Self::MAX), Ordering::Relaxed);
        if spent > Self::MAX || units > Self::MAX - spent {
            return Err(Reason::Said("regular expressions of this template do too much work"));
        }
        Ok(())
    }

    /// Following all states of a pattern through a text: 8 bytes of it in the time of one by a DFA.
    fn spend_on_states(&self, pattern: &Pattern, text: usize) -> Result<(), Reason> {
        self.spend(pattern.size.saturating_mul(text) / 8)
    }
}

/// Compiled patterns. Keep them as long as the template: compiling costs more than searching.
#[derive(Default)]
pub struct Patterns(Mutex<HashMap<Box<str>, Arc<Pattern>>>);

impl Patterns {
    pub fn get(&self, pattern: &str, effort: &Effort) -> Result<Arc<Pattern>, Reason> {
        if let Some(found) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(pattern) {
            return Ok(found.clone());
        }
        let compiled = Arc::new(Pattern::compile(pattern, effort)?);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(pattern.into(), compiled.clone());
        Ok(compiled)
    }
}

/// A compiled pattern.
pub struct Pattern {
    translated: String,
    dfa: regex::Regex,
    cache: Mutex<regex::Cache>,
    /// What follows states, and finds groups. Made when it is needed first.
    nfa: OnceLock<Option<meta::Regex>>,
    /// Bytes of the compiled pattern.
    size: usize,
}

fn syntax() -> syntax::Config {
    syntax::Config::new().nest_limit(200)
}

impl Pattern {
    fn compile(pattern: &str, effort: &Effort) -> Result<Self, Reason> {
        if pattern.len() > MAX_PATTERN {
            return Err(Reason::Said("the regular expression is longer than 16 KiB"));
        }
        let translated = translated(pattern).ok_or(NO_PATTERN)?;
        let [forward, backward] = [false, true].map(|reverse| {
            let config = thompson::Config::new()
                .reverse(reverse)
                .which_captures(WhichCaptures::None)
                .nfa_size_limit(Some(MAX_COMPILED));
            let built = NFA::compiler().syntax(syntax()).configure(config).build(&translated);
            built.map_err(|error| error.size_limit().map_or(NO_PATTERN, |_| TOO_LARGE))
        });
        let (forward, backward) = (forward?, backward?);
        let size = forward.memory_usage();
        // Compiling a byte takes about as long as reading these.
        effort.spend(size.saturating_mul(16))?;
        let dfa = |nfa: NFA, kind: MatchKind| {
            let config = dfa::Config::new()
                .match_kind(kind)
                .cache_capacity(MAX_STATES)
                .skip_cache_capacity_check(true)
                .minimum_cache_clear_count(Some(0))
                .minimum_bytes_per_state(Some(10));
            dfa::Builder::new().configure(config).build_from_nfa(nfa).map_err(|_| TOO_LARGE)
        };
        let (forward, backward) = (dfa(forward, MatchKind::LeftmostFirst)?, dfa(backward, MatchKind::All)?);
        let dfa = regex::Builder::new().build_from_dfas(forward, backward);
        Ok(Self { cache: Mutex::new(dfa.create_cache()), dfa, nfa: OnceLock::new(), translated, size })
    }

    fn nfa(&self) -> Result<&meta::Regex, Reason> {
        let build = || {
            // Groups make it larger.
            let limit = Some(MAX_COMPILED * 2);
            let config = meta::Config::new().nfa_size_limit(limit).hybrid_cache_capacity(MAX_STATES);
            meta::Builder::new().syntax(syntax()).configure(config).build(&self.translated).ok()
        };
        self.nfa.get_or_init(build).as_ref().ok_or(TOO_LARGE)
    }

    /// The first matches, at most so many.
    pub fn matches(&self, s: &str, most: usize, effort: &Effort) -> Result<Vec<Range<usize>>, Reason> {
        let found = {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            let search = |input: &Input| self.dfa.try_search(&mut cache, input);
            // Each match may take reading all that is left.
            matches(s, most, search, |left| effort.spend(left))
        };
        match found {
            Err(Failed::GaveUp) => {}
            Err(Failed::Refused(reason)) => return Err(reason),
            Ok(found) => return Ok(found),
        }
        let nfa = self.nfa()?;
        let found = matches(s, most, |input| Ok(nfa.search(input)), |left| effort.spend_on_states(self, left));
        found.map_err(|failed| match failed {
            Failed::GaveUp => NO_PATTERN,
            Failed::Refused(reason) => reason,
        })
    }

    /// The groups of a match.
    pub fn groups(&self, s: &str, matched: Range<usize>, effort: &Effort) -> Result<Captures, Reason> {
        effort.spend_on_states(self, matched.len())?;
        let nfa = self.nfa()?;
        let mut groups = nfa.create_captures();
        nfa.search_captures(&Input::new(s).range(matched).anchored(Anchored::Yes), &mut groups);
        Ok(groups)
    }
}

enum Failed {
    GaveUp,
    Refused(Reason),
}

/// Where `search` finds matches, one after another. `spend` is told how much text is left each time.
fn matches(
    s: &str,
    most: usize,
    mut search: impl FnMut(&Input) -> Result<Option<Match>, MatchError>,
    spend: impl Fn(usize) -> Result<(), Reason>,
) -> Result<Vec<Range<usize>>, Failed> {
    let mut searcher = Searcher::new(Input::new(s));
    let mut found = Vec::new();
    while found.len() < most {
        spend(s.len() - searcher.input().start().min(s.len())).map_err(Failed::Refused)?;
        match searcher.try_advance(&mut search) {
            Ok(Some(one)) => found.push(one.range()),
            Ok(None) => break,
            Err(_) => return Err(Failed::GaveUp),
        }
        bounds::items(found.len()).map_err(Failed::Refused)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
