//! Increments: what an incremental model takes in, decided and built. How its table grows is told in
//! [`crate::engine::increment`].
//!
//! A model has two forms. Its *whole* form, with `is_incremental()` false, says what the table is: that, with how rows
//! are cut into intervals, is its definition. Its *delta* form, with `is_incremental()` true and `this` the version
//! before, says how new rows are found; a change of that alone takes effect with the next delta and rebuilds nothing.
//!
//! A version is made from the version before (its *base*), from the definition and from the parents' builds. Where the
//! base was made from this definition and these parents already, there is nothing to do.

mod due;
mod fill;
mod late;
mod left_out;
mod make;
mod refusal;
mod stand;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::increment::{Replaces, delta_of, head, rows_of};
use crate::engine::session::Session;
use crate::engine::state::increment::Increment;
use crate::manifest::{Incremental, Interval, Node, OnChange, Strategy};
use crate::names::{Fingerprint, NodeId};
use crate::sql::rendered::Rendered;
use crate::sql::tokens;
use crate::template::{Form, Window};
use crate::workspace::Workspace;

use super::candidate::{Candidate, Candidates, Physical};
use super::event::Action;
use super::names::Names;
use super::plan::{Decision, Known, Refresh, definition, inherit, made_from, relation_name, why_changed};
use crate::interval::{Intervals, from_text, joined, to_text, told};

use due::{Chooser, Same, timed_parents};
pub(super) use fill::Filled;
pub use left_out::LeftOut;
pub(super) use left_out::report as report_left_out;
pub(super) use make::{fill, make};
pub use refusal::{no_such_expression, no_such_key};

/// What is to be done with the table of an incremental model.
#[derive(Debug, Clone)]
pub struct Growth {
    /// What.
    pub step: Step,
    /// Hash of the definition and of the parents' builds.
    pub inputs: Fingerprint,
    /// What the new rows take the place of.
    pub replaces: Replaces,
    /// What is built of it, for a model that is built by intervals.
    pub intervals: Option<Intervals>,
    /// What an earlier run had built of it.
    pub resume: Option<Resume>,
    /// Its parents' builds, where it is built by intervals.
    pub parents: Vec<String>,
    /// Rows of its parents that no interval takes in.
    pub left_out: Vec<LeftOut>,
    /// The inputs that need not be looked at again where they bring nothing new; none where the next run's are others in
    /// any case.
    pub settles: Option<Fingerprint>,
}

/// A version of which some intervals failed.
#[derive(Debug, Clone)]
pub struct Resume {
    /// The table of what was built.
    pub table: String,
    /// What was not.
    pub failed: Vec<Window>,
}

/// What is to be done with the table of an incremental model.
#[derive(Debug, Clone)]
pub enum Step {
    /// All rows are built into a new table.
    Whole,
    /// New rows come into the table of the version before.
    Onto(Base),
    /// The rows of the version before are copied and new rows come to them: its table belongs to another target.
    Copy(Base),
    /// Nothing: the version exists.
    Nothing,
}

/// The version that a new one continues.
#[derive(Debug, Clone)]
pub struct Base {
    /// What is known of it.
    pub increment: Increment,
    /// Its rows, where known.
    pub rows: Option<u64>,
    /// The newest version of its table.
    pub head: i64,
}

/// Decides for an incremental model whose parents are all candidates already.
///
/// # Errors
/// The template does not render.
pub fn decide(
    workspace: &Workspace,
    node: &Node,
    config: &Incremental,
    candidates: &Candidates,
    known: &Known,
    session: Option<&Session>,
) -> Result<Decision, Diagnostics> {
    let interval = match &config.strategy {
        Strategy::Interval(interval) => Some(interval),
        _ => None,
    };
    let names = Names { workspace, candidates, session };
    let rendered = workspace.render(node, &names)?;
    let (definition, mut always) = definition(workspace, node, &rendered)?;
    inherit(node, candidates, &mut always);
    let definition = match interval {
        Some(interval) => with_cut(&definition, interval),
        None => definition,
    };
    let mut parts = made_from(workspace, node, &definition, candidates, &mut always);
    if always.is_some() {
        parts.push(known.salt.as_bytes().to_vec());
    }
    let inputs = Fingerprint::of(parts.iter().map(Vec::as_slice));
    let settles = always.is_none().then(|| inputs.clone());
    let base = base_of(node, known, interval);
    let chooser = interval.map(|config| Chooser { workspace, node, config, candidates, known, session });
    let is_fleeting = always.is_some() || known.asked.is_some() || config.full_refresh == Some(true);
    let mut drafting = Drafting {
        node,
        config,
        known,
        definition,
        inputs,
        settles,
        parents: parents_of(workspace, node, candidates),
        is_fleeting,
        left_out: Vec::new(),
    };
    if let Some(why) = why_whole(config, base.as_ref(), &drafting.definition, known) {
        let increment = base.as_ref().map(|base| &base.increment);
        let (intervals, left_out) = chooser.map(|chooser| chooser.whole(increment)).transpose()?.unzip();
        drafting.left_out = left_out.unwrap_or_default();
        return Ok(drafting.whole(rendered, increment, intervals, why));
    }
    let Some(base) = base else {
        return Err(Diagnostic::error("bug", "an incremental model without a base is built whole")
            .at(&node.at, "")
            .into());
    };
    let is_same =
        base.increment.inputs == drafting.inputs || base.increment.settled.contains(&drafting.inputs);
    let same = if is_same { Same::Yes } else { Same::No };
    let chosen = chooser.map(|chooser| chooser.delta(&base.increment, same)).transpose()?;
    let (intervals, rest) = match chosen {
        Some((intervals, rest, left_out)) => {
            drafting.left_out = left_out;
            (Some(intervals), rest)
        }
        None => (None, Same::Yes),
    };
    let nothing_due = intervals.as_ref().is_none_or(|intervals| intervals.built.is_empty());
    if same == Same::Yes && nothing_due {
        return Ok(drafting.unchanged(&workspace.target.name, base, rendered));
    }
    let own = with_base(node, &base.increment, candidates);
    let names = Names { workspace, candidates: &own, session };
    let form = match intervals.as_ref().map(|intervals| joined(intervals.built.iter().cloned())) {
        None => Form::Delta,
        Some(windows) => match (windows.first(), windows.last()) {
            (Some(first), Some(last)) => {
                Form::DeltaWindow(Window { start: first.start.clone(), end: last.end.clone() })
            }
            // None is due, and the template may name its interval all the same.
            _ => interval.map_or(Form::Delta, |config| Form::DeltaWindow(crate::interval::first(config))),
        },
    };
    let delta = workspace.render_form(node, &form, &names)?;
    let why = match (&known.asked, always) {
        (Some(_), _) if interval.is_some() => "asked for with `--from` and `--to`".to_owned(),
        (_, Some(why)) => why,
        (_, None) if same == Same::Yes => "intervals are missing".to_owned(),
        (_, None) => why_changed(node, &drafting.definition, &Fingerprint::of([]), candidates, known),
    };
    Ok(drafting.delta(&workspace.target.name, base, delta, intervals, why, rest))
}

/// What every decision for a model has in it.
struct Drafting<'a> {
    node: &'a Node,
    config: &'a Incremental,
    known: &'a Known,
    definition: Fingerprint,
    inputs: Fingerprint,
    settles: Option<Fingerprint>,
    parents: Vec<String>,
    is_fleeting: bool,
    left_out: Vec<LeftOut>,
}

impl Drafting<'_> {
    fn whole(
        mut self,
        rendered: Rendered,
        base: Option<&Increment>,
        intervals: Option<Intervals>,
        why: String,
    ) -> Decision {
        if self.known.asked.is_some() && intervals.is_some() && base.is_none() {
            // What comes after the window that was asked for is still to come.
            self.inputs = Fingerprint::of([self.inputs.as_str().as_bytes(), self.known.salt.as_bytes()]);
        }
        let windows = intervals.as_ref().map(|intervals| to_text(&intervals.built)).unwrap_or_default();
        let fingerprint = Fingerprint::of([
            b"kiln whole 1".as_slice(),
            self.inputs.as_str().as_bytes(),
            windows.as_bytes(),
        ]);
        let reason = self.with_intervals(why, intervals.as_ref());
        self.decision(fingerprint, rendered, Step::Whole, intervals, reason)
    }

    fn unchanged(self, target: &str, base: Base, rendered: Rendered) -> Decision {
        let by_intervals = matches!(self.config.strategy, Strategy::Interval(_));
        let reason = match base.increment.target == target {
            true if by_intervals && self.known.asked.is_some() => {
                "nothing of `--from` and `--to` is due: what it reads ends before".to_owned()
            }
            true => "unchanged since the release".to_owned(),
            false => format!("what target `{}` has, and nothing is new", base.increment.target),
        };
        Decision {
            action: Action::Reuse,
            reason,
            fingerprint: base.increment.fingerprint.clone(),
            definition: self.definition,
            rendered,
            relation: base.increment.relation.clone(),
            rows: base.rows,
            growth: None,
            is_fleeting: self.is_fleeting,
            volatile: None,
        }
    }

    fn delta(
        mut self,
        target: &str,
        base: Base,
        rendered: Rendered,
        intervals: Option<Intervals>,
        why: String,
        rest: Same,
    ) -> Decision {
        let text = tokens::read(&rendered.with_relations(|id| Some(format!("\"{id}\"")))).normalised;
        let Incremental { strategy, unique_key, computed_key, predicates, updates, on_schema_change, .. } =
            self.config;
        let computed = computed_key.as_deref().unwrap_or_default();
        let how =
            format!("{strategy:?} {unique_key:?} {predicates:?} {updates:?} {on_schema_change:?}{computed}");
        let windows = intervals.as_ref().map(|intervals| to_text(&intervals.built)).unwrap_or_default();
        let asked = self.known.asked.is_some() && intervals.is_some();
        if asked && rest == Same::No {
            // Only what was asked for is done: what else changed is still to come, and so are the parents' new rows.
            self.settles = None;
            self.parents.clone_from(&base.increment.parents);
            self.inputs = Fingerprint::of([self.inputs.as_str().as_bytes(), self.known.salt.as_bytes()]);
        }
        let salt = if asked { self.known.salt.as_str() } else { "" };
        let fingerprint = Fingerprint::of([
            b"kiln delta 1".as_slice(),
            self.inputs.as_str().as_bytes(),
            base.increment.fingerprint.as_str().as_bytes(),
            how.as_bytes(),
            windows.as_bytes(),
            salt.as_bytes(),
            text.as_bytes(),
        ]);
        let is_own = base.increment.target == target;
        let reason = match (is_own, &intervals) {
            (true, None) => format!("{why}: new rows only"),
            (true, Some(_)) => self.with_intervals(why, intervals.as_ref()),
            (false, _) => format!(
                "copies {} rows of target `{}` and takes in what is new",
                base.rows.map_or("the".to_owned(), |rows| rows.to_string()),
                base.increment.target
            ),
        };
        let step = if is_own { Step::Onto(base) } else { Step::Copy(base) };
        self.decision(fingerprint, rendered, step, intervals, reason)
    }

    fn with_intervals(&self, why: String, intervals: Option<&Intervals>) -> String {
        match (&self.config.strategy, intervals) {
            (Strategy::Interval(_), Some(intervals))
                if intervals.built.is_empty() && self.known.asked.is_some() =>
            {
                format!("{why}: nothing, since what it reads ends before")
            }
            (Strategy::Interval(_), Some(intervals)) if intervals.built.is_empty() => {
                format!("{why}: no interval is due")
            }
            (Strategy::Interval(config), Some(intervals)) => {
                format!("{why}: {}", told(config.grain, &intervals.built))
            }
            _ => why,
        }
    }

    /// A decision for a version that may have been built already.
    fn decision(
        self,
        fingerprint: Fingerprint,
        rendered: Rendered,
        step: Step,
        intervals: Option<Intervals>,
        reason: String,
    ) -> Decision {
        let known = self.known;
        let base = match &step {
            Step::Onto(base) | Step::Copy(base) => Some(base.increment.relation.as_str()),
            Step::Whole | Step::Nothing => None,
        };
        let windows = intervals.as_ref().map(|intervals| joined(intervals.built.iter().cloned()));
        let replaces = Replaces::of(self.config, &windows.unwrap_or_default());
        // New rows that wait fit the very version that they were built for.
        // And a target that has a table goes on with it: with another's version it would have to copy that the next time.
        let owner = match &step {
            Step::Onto(base) => Some(base.increment.target.as_str()),
            _ => None,
        };
        let fits = |found: &&Increment| {
            (found.version.is_some() || found.base.as_deref() == base)
                && owner.is_none_or(|owner| found.target == owner)
        };
        let existing =
            known.builds.get(&fingerprint).filter(|_| known.refresh == Refresh::Reuse).and_then(|existing| {
                Some((existing, known.increments.get(&existing.relation).filter(fits)?))
            });
        let resume = existing.filter(|(_, found)| !found.failed.is_empty()).map(|(_, found)| Resume {
            table: match &step {
                Step::Whole => rows_of(&found.relation),
                _ => delta_of(&found.relation),
            },
            failed: from_text(&found.failed),
        });
        let growth = Growth {
            step,
            inputs: self.inputs,
            replaces,
            intervals,
            resume,
            parents: self.parents,
            left_out: self.left_out,
            settles: self.settles,
        };
        match existing.filter(|_| growth.resume.is_none()) {
            Some((existing, _)) => Decision {
                action: Action::Reuse,
                reason: "built before, by a run that did not publish it or for another target".to_owned(),
                relation: existing.relation.clone(),
                rows: existing.rows,
                fingerprint,
                definition: self.definition,
                rendered,
                growth: Some(Box::new(Growth { step: Step::Nothing, ..growth })),
                is_fleeting: self.is_fleeting,
                volatile: None,
            },
            None => Decision {
                action: Action::Build,
                reason: match (&growth.resume, &self.config.strategy) {
                    (Some(resume), Strategy::Interval(config)) => {
                        format!("{} failed before", told(config.grain, &resume.failed))
                    }
                    _ => reason,
                },
                relation: relation_name(self.node, &fingerprint, known),
                fingerprint,
                definition: self.definition,
                rendered,
                rows: None,
                growth: Some(Box::new(growth)),
                is_fleeting: self.is_fleeting,
                volatile: None,
            },
        }
    }
}

/// A definition with how time is cut.
fn with_cut(definition: &Fingerprint, interval: &Interval) -> Fingerprint {
    Fingerprint::of([
        b"kiln intervals 1".as_slice(),
        definition.as_str().as_bytes(),
        interval.event_time.as_bytes(),
        interval.grain.as_str().as_bytes(),
        interval.begin.as_bytes(),
    ])
}

/// The builds that a model reads, and those behind views.
fn parents_of(workspace: &Workspace, node: &Node, candidates: &Candidates) -> Vec<String> {
    due::behind(workspace, node, candidates).into_iter().map(|(_, candidate)| due::key(candidate)).collect()
}

/// Whether a model is built by intervals.
pub fn is_by_intervals(node: &Node) -> bool {
    matches!(&node.config.incremental, Some(Incremental { strategy: Strategy::Interval(_), .. }))
}

/// Whether a model's decision needs its parents' rows: how far a model that is built by intervals goes is seen there. Of
/// parents that are built by intervals themselves it is known beforehand.
pub(super) fn asks_parents(workspace: &Workspace, node: &Node, candidates: &Candidates) -> bool {
    is_by_intervals(node)
        && timed_parents(workspace, node, candidates).any(|parent| parent.candidate.intervals.is_none())
}

/// Why all rows are built, if they are.
fn why_whole(
    config: &Incremental,
    base: Option<&Base>,
    definition: &Fingerprint,
    known: &Known,
) -> Option<String> {
    let Some(base) = base else { return Some("new: all rows are built".into()) };
    let all = match base.rows {
        Some(rows) => format!("all {rows} rows are built anew"),
        None => "all rows are built anew".to_owned(),
    };
    if config.full_refresh == Some(true) {
        return Some(format!("it is marked `full_refresh: true`: {all}"));
    }
    // What must not be refreshed cannot be built again from its parents.
    if config.full_refresh == Some(false) {
        return None;
    }
    if known.refresh == Refresh::Full {
        return Some(format!("asked for with `--full-refresh`: {all}"));
    }
    let changed = base.increment.definition != *definition;
    (changed && config.on_change == OnChange::Rebuild)
        .then(|| format!("its SQL or configuration changed: {all} (`on_change: forward` would keep them)"))
}

/// The version that readers of this target see; where there is none, the one that those of another target see.
fn base_of(node: &Node, known: &Known, interval: Option<&Interval>) -> Option<Base> {
    let own = known.release.models.get(&node.name).map(|published| &published.relation);
    // With `--from` a target begins there instead of copying what another has.
    let begins = known.asked.is_some() && interval.is_some();
    let relation = own.or_else(|| known.elsewhere.get(&node.name).filter(|_| !begins))?;
    let increment = known.increments.get(relation)?.clone();
    let rows = known.builds.get(&increment.fingerprint).and_then(|build| build.rows);
    let head = head(&increment.table, &known.increments);
    Some(Base { increment, rows, head })
}

/// The candidates, with the version before under the model's own name: what `this` reads.
fn with_base(node: &Node, base: &Increment, candidates: &Candidates) -> Candidates {
    let mut own = candidates.clone();
    let this = Candidate {
        fingerprint: base.fingerprint.clone(),
        physical: Physical::Build(base.relation.clone()),
        rows: None,
        intervals: None,
        volatile: None,
    };
    own.insert(node.id.clone(), this);
    own
}

/// What new rows of a model take the place of, for whoever publishes it.
pub(super) fn replaces_of(decisions: &std::collections::HashMap<NodeId, Decision>, node: &Node) -> Replaces {
    let decided = decisions.get(&node.id).and_then(|decision| decision.growth.as_ref());
    match (decided, &node.config.incremental) {
        (Some(growth), _) => growth.replaces.clone(),
        (None, Some(config)) => Replaces::of(config, &[]),
        (None, None) => Replaces::Nothing,
    }
}
