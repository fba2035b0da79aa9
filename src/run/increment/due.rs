//! Due: which intervals a version builds.

use std::collections::{HashSet, VecDeque};

use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::engine::session::Session;
use crate::engine::state::DATA_SCHEMA;
use crate::engine::state::increment::Increment;
use crate::interval::{Intervals, News, cut, due, end_of, from_text, holes, is_in, joined, now, tomorrow};
use crate::manifest::{Interval, Node};
use crate::names::{NodeId, Relation};
use crate::run::candidate::{Candidate, Candidates, Physical, Reading, bind};
use crate::run::plan::{Known, shows_others, unwatched};
use crate::sql::quote::{identifier, literal};
use crate::template::Window;
use crate::workspace::Workspace;

use super::is_by_intervals;
use super::left_out::{LeftOut, Parent};

/// What there is to ask when intervals are chosen.
pub(super) struct Chooser<'a> {
    pub workspace: &'a Workspace,
    pub node: &'a Node,
    pub config: &'a Interval,
    pub candidates: &'a Candidates,
    pub known: &'a Known,
    pub session: Option<&'a Session>,
}

impl Chooser<'_> {
    /// All of them, for a table that is built whole; those of the window that was asked for where there is no table yet.
    pub fn whole(&self, base: Option<&Increment>) -> Result<(Intervals, Vec<LeftOut>), Diagnostics> {
        let begin = self.config.begin.clone();
        let (until, left_out) = self.until()?;
        let window = match self.known.asked.as_ref().filter(|_| base.is_none()) {
            Some(asked) => Window { start: asked.start.clone(), end: asked.end.clone().min(until) },
            None => Window { start: begin, end: until },
        };
        let built = cut(self.config.grain, &window).ok_or_else(|| self.too_many(&window))?;
        Ok((Intervals { covered: joined(built.iter().cloned()), built, base: None }, left_out))
    }

    /// Those that a version which goes on from another has to build, and whether more is due than what was asked for.
    /// `same` says that nothing it is made from changed.
    pub fn delta(
        &self,
        base: &Increment,
        same: Same,
    ) -> Result<(Intervals, Same, Vec<LeftOut>), Diagnostics> {
        let covered = from_text(&base.covered);
        let many = || self.too_many(&Window { start: self.config.begin.clone(), end: now() });
        let mut left_out = Vec::new();
        let mut until = String::new();
        if same == Same::No || self.known.asked.is_some() {
            (until, left_out) = self.until()?;
        }
        let due = match same {
            Same::Yes => holes(self.config, &covered),
            Same::No => due(self.config, &covered, &until, &self.parents_built(base), self.news(base)),
        };
        // That rows lie before `begin` was said when the table was made.
        left_out.iter_mut().for_each(|left| left.early = 0);
        let due = due.ok_or_else(many)?;
        let (wanted, is_changed) = (due.clone(), same == Same::No);
        let (built, same) = match &self.known.asked {
            None => (due, same),
            Some(asked) => {
                // An interval beyond the data would count as done, and its rows as late when they come.
                let end = covered.last().map_or(&until, |last| (&last.end).max(&until));
                let asked = Window { start: asked.start.clone(), end: asked.end.clone().min(end.clone()) };
                let built = cut(self.config.grain, &asked).ok_or_else(many)?;
                let windows = joined(built.iter().cloned());
                let done = due.iter().all(|interval| is_in(interval, &windows));
                (built, if done { Same::Yes } else { Same::No })
            }
        };
        if is_changed {
            let done: Vec<Window> = wanted.into_iter().chain(built.iter().cloned()).collect();
            left_out.extend(self.late(&base.covered, &done));
        }
        let covered = joined(covered.into_iter().chain(built.iter().cloned()));
        Ok((Intervals { covered, built, base: Some(base.relation.clone()) }, same, left_out))
    }

    /// Whether a parent has new rows that may lie anywhere: one that is not built by intervals, or behind which rows come
    /// and go unseen.
    fn news(&self, base: &Increment) -> News {
        if unwatched(self.workspace, self.node).is_some() {
            return News::Anywhere;
        }
        let mut parents = self.node.depends_on.iter().filter_map(|dependency| {
            let candidate = self.candidates.get(&dependency.node)?;
            let node = self.workspace.manifest.nodes.get(&dependency.node);
            Some((candidate, node.is_some_and(is_by_intervals)))
        });
        let anywhere = base.parents.is_empty()
            || parents.any(|(candidate, is_told)| !is_told && !base.parents.contains(&key(candidate)));
        if anywhere { News::Anywhere } else { News::Told }
    }

    /// How far it goes: to the end of the interval that holds the newest row of its parents that have an `event_time`;
    /// where none has, to that of this moment. Never far into the future: one row with a wrong time would else make all
    /// that comes until then late. And what no interval can take in of them.
    fn until(&self) -> Result<(String, Vec<LeftOut>), Diagnostics> {
        let mut newest: Option<String> = None;
        let mut left_out = Vec::new();
        let mut has_time = false;
        for parent in timed_parents(self.workspace, self.node, self.candidates) {
            has_time = true;
            let covered = self.covered(parent.candidate);
            let end = match covered.last() {
                Some(last) => Some(last.end.clone()),
                // It has no interval yet, and may not even be built.
                None if parent.candidate.intervals.is_some() => None,
                None => {
                    let (at, left) = self.newest(&parent)?;
                    left_out.extend(left);
                    at.and_then(|at| end_of(self.config.grain, &at))
                }
            };
            newest = newest.max(end);
        }
        let clock = || end_of(self.config.grain, &now()).unwrap_or_else(|| self.config.begin.clone());
        let until = match has_time {
            true => newest.unwrap_or_else(|| self.config.begin.clone()).min(self.cap()),
            false => clock(),
        };
        Ok((until, left_out))
    }

    /// The end of what can be built: a day from now, as time zones differ, and the rest of that interval.
    fn cap(&self) -> String {
        end_of(self.config.grain, &tomorrow()).unwrap_or_else(|| self.config.begin.clone())
    }

    fn newest(&self, parent: &Timed<'_>) -> Result<(Option<String>, Option<LeftOut>), Diagnostics> {
        let relation = match &parent.candidate.physical {
            Physical::Build(name) => Relation::new(DATA_SCHEMA, name).to_string(),
            Physical::Raw { relation, .. } | Physical::Source(relation) => relation.to_string(),
            Physical::Inline(rendered) => {
                format!("(\n{}\n)", bind(rendered, self.candidates, Reading::Now).sql)
            }
            Physical::Slice { .. } => return Ok((None, None)),
        };
        let Some(session) = self.session else { return Ok((None, None)) };
        let name = parent.column;
        let column = identifier(name);
        let (begin, cap) = (literal(&self.config.begin), literal(&self.cap()));
        // Most of the time the ends say that nothing is left out, and cost no look at the rows between.
        let ends = format!(
            "SELECT strftime(\"newest\", '%Y-%m-%d %H:%M:%S'), nulls::VARCHAR, \
             (\"oldest\" < TIMESTAMP {begin} OR \"newest\" >= TIMESTAMP {cap})::VARCHAR \
             FROM (SELECT min({column})::TIMESTAMP AS \"oldest\", max({column})::TIMESTAMP AS \"newest\", \
             count(*) - count({column}) AS nulls FROM {relation})"
        );
        let all = format!(
            "SELECT strftime(max(t) FILTER (isfinite(t)), '%Y-%m-%d %H:%M:%S'), \
             (count(*) FILTER (NOT isfinite(t)))::VARCHAR, \
             (count(*) FILTER (isfinite(t) AND t < TIMESTAMP {begin}))::VARCHAR, \
             (count(*) FILTER (isfinite(t) AND t >= TIMESTAMP {cap}))::VARCHAR \
             FROM (SELECT {column}::TIMESTAMP AS t FROM {relation})"
        );
        let found = session.rows(&ends).and_then(|rows| {
            let [newest, nulls, beyond] = first_row(rows);
            let mut left = LeftOut { nulls: number(nulls), ..LeftOut::default() };
            if beyond.as_deref() != Some("true") {
                return Ok((newest, left));
            }
            let [newest, infinite, early, future] = first_row(session.rows(&all)?);
            left.infinite = number(infinite);
            left.early = number(early);
            left.future = number(future);
            Ok((newest, left))
        });
        match found {
            Ok((newest, left)) => {
                let shown = match parent.candidate.physical {
                    // Nothing has its name.
                    Physical::Inline(_) => relation,
                    _ => parent.relation.to_string(),
                };
                let query = format!(
                    "select * from {shown} where {column} is null or not isfinite({column}::timestamp) or {column} < timestamp {begin} or {column} >= timestamp {cap}"
                );
                let of = Parent { name: parent.name.to_owned(), column: name.to_owned(), query };
                Ok((newest, Some(LeftOut { of: Some(of), ..left }).filter(|left| left.rows() > 0)))
            }
            Err(error) => Err(Diagnostic::error(
                "event-time",
                format!(
                    "the `event_time` `{name}` of `{}` cannot be read as a time: {}",
                    parent.name,
                    error.sentence()
                ),
            )
            .at(parent.at, "")
            .help("name a column of it that is a DATE or a TIMESTAMP in UTC")
            .into()),
        }
    }

    /// The windows that a parent built by intervals holds; none for another.
    fn covered(&self, candidate: &Candidate) -> Vec<Window> {
        if let Some(intervals) = &candidate.intervals {
            return intervals.covered.clone();
        }
        let Physical::Build(relation) = &candidate.physical else { return Vec::new() };
        self.known.increments.get(relation).map(|found| from_text(&found.covered)).unwrap_or_default()
    }

    /// What parents that are built by intervals, also behind views, have built since a version was made: those intervals
    /// follow.
    fn parents_built(&self, base: &Increment) -> Vec<Window> {
        let mut all = Vec::new();
        for (_, candidate) in behind(self.workspace, self.node, self.candidates) {
            let Physical::Build(relation) = &candidate.physical else { continue };
            let mut at = Some(relation.clone());
            if let Some(intervals) = &candidate.intervals {
                all.extend(intervals.built.iter().cloned());
                at.clone_from(&intervals.base);
            }
            while let Some(version) = at.take().filter(|version| !base.parents.contains(version)) {
                let Some(found) = self.known.increments.get(&version) else { break };
                all.extend(from_text(&found.built));
                at.clone_from(&found.base);
            }
        }
        joined(all)
    }

    fn too_many(&self, window: &Window) -> Diagnostics {
        let message = format!(
            "`{}` would be built in far too many intervals: every {} from {} to {}",
            self.node.name,
            self.config.grain.as_str(),
            window.start,
            window.end
        );
        let newest = timed_parents(self.workspace, self.node, self.candidates).filter_map(|parent| {
            let newest = self.newest(&parent).ok()?.0?;
            let Timed { name, column, .. } = parent;
            Some(format!("the newest `{column}` of `{name}` is {newest}: leave out rows whose time is wrong"))
        });
        let diagnostic =
            Diagnostic::error("interval-config", message).at(&super::refusal::said(self.node, "begin"), "");
        newest
            .fold(diagnostic, |diagnostic, help| diagnostic.help(help))
            .help("set `begin` to the first day that there is data of, or take a larger `batch_size`")
            .into()
    }
}

pub(super) fn first_row<const N: usize>(rows: Vec<Vec<Option<String>>>) -> [Option<String>; N] {
    let mut cells = rows.into_iter().next().unwrap_or_default().into_iter();
    std::array::from_fn(|_| cells.next().flatten())
}

pub(super) fn number(text: Option<String>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether what a version is made from is what its base was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Same {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// What names a parent's build: its relation, or what it is made from.
pub(super) fn key(candidate: &Candidate) -> String {
    match &candidate.physical {
        Physical::Build(relation) => relation.clone(),
        _ => candidate.fingerprint.as_str().to_owned(),
    }
}

/// What a model reads: its parents, and what stands behind those that are views or ephemeral.
pub(super) fn behind<'a>(
    workspace: &'a Workspace,
    node: &'a Node,
    candidates: &'a Candidates,
) -> Vec<(&'a NodeId, &'a Candidate)> {
    let nodes = &workspace.manifest.nodes;
    let mut seen: HashSet<&NodeId> = HashSet::new();
    let mut queue: VecDeque<&Node> = VecDeque::from([node]);
    let mut found = Vec::new();
    while let Some(node) = queue.pop_front() {
        for dependency in node.depends_on.iter().filter(|dependency| seen.insert(&dependency.node)) {
            found.extend(candidates.get_key_value(&dependency.node));
            queue.extend(nodes.get(&dependency.node).filter(|parent| shows_others(parent)));
        }
    }
    found
}

/// A parent with an `event_time`.
pub(super) struct Timed<'a> {
    pub id: &'a NodeId,
    pub name: &'a str,
    /// Where it is declared.
    pub at: &'a Location,
    /// What readers call it.
    pub relation: &'a Relation,
    /// The column that holds the time.
    pub column: &'a str,
    pub candidate: &'a Candidate,
}

/// Parents with an `event_time`: models, seeds, and tables outside.
pub(super) fn timed_parents<'a>(
    workspace: &'a Workspace,
    node: &'a Node,
    candidates: &'a Candidates,
) -> impl Iterator<Item = Timed<'a>> {
    node.depends_on.iter().filter_map(|dependency| {
        let id = &dependency.node;
        let candidate = candidates.get(id)?;
        if let Some(source) = workspace.manifest.sources.get(id) {
            let (column, relation) = (source.event_time.as_deref()?, &source.relation);
            return Some(Timed { id, name: id.short(), at: &source.at, relation, column, candidate });
        }
        let parent = workspace.manifest.nodes.get(id)?;
        let (column, relation) = (parent.config.event_time.as_deref()?, &parent.relation);
        Some(Timed { id, name: &parent.name, at: &parent.at, relation, column, candidate })
    })
}
