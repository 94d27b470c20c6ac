//! Says how changes are noticed, and which of them late. Pure.

use std::time::Duration;

use super::quiet::{self, Quiet};
use super::{Detection, Fingerprint, Kind, Mark, Watched};
use crate::crd::{self, ChangeDetectionMode};
use crate::logic::few::few;
use crate::logic::keyed::{KeyedPlan, Whole};
use crate::logic::schedule::Schedule;
use crate::logic::vigil;

/// So many tables are named.
const NAMED: usize = 4;

/// How changes are noticed, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are notified.
    Notify,
    /// They are looked for.
    Poll,
}

impl Mode {
    /// As the status has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notify => "Notify",
            Self::Poll => "Poll",
        }
    }
}

/// How changes are noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// In a word; None where nobody looks.
    pub mode: Option<Mode>,
    /// Whether that is as was asked for, and as it was had before; None where nobody asks for it.
    pub is_well: Option<bool>,
    /// The condition reason.
    pub reason: &'static str,
    /// What is noticed how, and what is not.
    pub message: String,
}

impl Told {
    /// What is watched notifies. `keyed` is how rows are read after changes of each of the tables; `quiet` are tables of
    /// which that is not quite so.
    pub fn notified(
        schedule: &Schedule,
        looked: Option<(&Detection, &Fingerprint)>,
        keyed: Option<&KeyedPlan>,
        quiet: &[Quiet],
    ) -> Self {
        let tables: Vec<(&Watched, &Mark)> =
            looked.into_iter().flat_map(|(detection, print)| detection.tables.iter().zip(&print.tables)).collect();
        let but = quiet::but(&tables, quiet);
        let names = names(tables.iter()).unwrap_or_else(|| "the watched tables".into());
        let reads = reads(&tables, keyed);
        let message = format!(
            "{names}: changes are notified; {but}{reads}; the query runs every {} regardless. Seen only by the latter: \
             results that change by time alone; changes of other tables; what is written without the triggers (disabled or \
             opted out of) within {} of a change that is notified of the same table",
            every(schedule.full),
            every(vigil::LAG)
        );
        Self { mode: Some(Mode::Notify), is_well: Some(true), reason: "Listening", message }
    }

    /// Changes are looked for, since notifications cannot be had for this reason, or nobody asked for them. `had` is
    /// whether there were some before.
    pub fn polled(
        schedule: &Schedule,
        looked: Option<(&Detection, &Fingerprint)>,
        mode: ChangeDetectionMode,
        why_not: Option<&str>,
        had: bool,
    ) -> Self {
        let looking = message(schedule, looked);
        let (fault, message) = match why_not {
            Some(why_not) if mode != ChangeDetectionMode::Poll => {
                let lost = had.then_some("NotificationsLost");
                let fault = if mode == ChangeDetectionMode::Notify { Some("NotifyUnavailable") } else { lost };
                (fault, format!("changes are not notified: {why_not}. {looking}"))
            }
            _ => (None, looking),
        };
        let (is_well, reason) = (Some(fault.is_none()), fault.unwrap_or("Polling"));
        Self { mode: Some(Mode::Poll), is_well, reason, message }
    }

    /// Rows cannot be read, for a reason that has a word, and so no change is noticed.
    pub fn nothing(reason: &'static str, why: &str) -> Self {
        let message = format!("no change is noticed before rows can be read again: {why}");
        Self { mode: Some(Mode::Poll), is_well: Some(false), reason, message }
    }

    /// Nobody wants to know.
    pub fn suspended() -> Self {
        let message = "no change is noticed while the resource is suspended; all is read when it is resumed";
        Self { mode: None, is_well: None, reason: "Suspended", message: message.into() }
    }
}

/// What is read after changes of which table, and where it is all, why.
fn reads(tables: &[(&Watched, &Mark)], keyed: Option<&KeyedPlan>) -> String {
    const KEYED: &str = "rows that change are read by their keys";
    let plans = keyed.map_or(&[][..], |keyed| &keyed.tables);
    let each = || tables.iter().zip(plans);
    let all: Vec<(&Watched, &Whole)> =
        each().filter_map(|((watched, _), plan)| Some((*watched, plan.as_ref().err()?))).collect();
    let Some((_, first)) = all.first() else { return KEYED.into() };
    if all.len() == plans.len() && all.iter().all(|(_, whole)| whole == first) {
        return first.to_string();
    }
    let reasons: Vec<String> =
        all.iter().map(|(watched, whole)| format!("{}: {}", watched.table.shown(), whole.why())).collect();
    let reasons = reasons.join("; ");
    match names(each().filter(|(_, plan)| plan.is_ok()).map(|(table, _)| table)) {
        Some(names) => format!("{KEYED} in {names}; full reads after changes of {reasons}"),
        None => format!("full reads after changes of {reasons}"),
    }
}

/// What is said of looking. `looked` is what is looked at, where changes are looked for, and what the last look found.
fn message(schedule: &Schedule, looked: Option<(&Detection, &Fingerprint)>) -> String {
    let full = every(schedule.full);
    let (Some((detection, print)), Some(probe)) = (looked, schedule.probe) else {
        return format!("the query runs every {full}");
    };
    let tables: Vec<(&Watched, &Mark)> = detection.tables.iter().zip(&print.tables).collect();
    let names_where = |which: &dyn Fn(&Mark) -> bool| names(tables.iter().filter(|(_, mark)| which(mark)));
    let bare = |mark: &Mark| matches!(mark.signals.kind, Kind::View | Kind::ForeignTable);
    let uncounted = |mark: &Mark| !bare(mark) && !mark.signals.counters;
    let why = print.server.uncounted();
    let mut late = vec!["results that change by time alone".to_owned(), "changes of other tables".into()];
    if let Some(names) = names_where(&bare) {
        late.push(format!(
            "of {names}, told by MAX of the timestamp column alone: deletions, transactions that commit late, and \
             changes that leave MAX as it is"
        ));
    }
    if let Some(names) = names_where(&|mark| uncounted(mark) && mark.signals.ask.newest) {
        late.push(format!(
            "of {names}, not counted because {why}: transactions that commit late, and updates that leave MAX of the \
             timestamp column as it is"
        ));
    }
    if let Some(names) = names_where(&|mark| uncounted(mark) && !mark.signals.ask.newest) {
        late.push(format!("of {names}, not counted because {why} and without a timestamp column: updates"));
    }
    if let Some(names) = names_where(&|mark| mark.signals.partly_foreign) {
        late.push(format!("of foreign partitions of {names}: changes that leave MAX of a timestamp column as it is"));
    }
    let lag = match tables.iter().any(|(_, mark)| mark.signals.counters) {
        true => ". The server's counters of changes may be some ten seconds late",
        false => "",
    };
    format!(
        "{}: looked at every {}; the query runs on a change, and every {full} regardless. Seen only by the latter: \
         {}{lag}",
        names(tables.iter()).unwrap_or_default(),
        every(probe),
        late.join("; ")
    )
}

fn every(duration: Duration) -> String {
    crd::Duration(duration).to_string()
}

/// The tables' names, the first few of them; None where there are no tables.
pub(super) fn names<'a>(tables: impl Iterator<Item = &'a (&'a Watched, &'a Mark)>) -> Option<String> {
    let names = few(tables.map(|(watched, _)| watched.table.shown()), NAMED);
    Some(names).filter(|names| !names.is_empty())
}
