//! Due: which intervals a version builds.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::engine::session::Session;
use crate::engine::state::DATA_SCHEMA;
use crate::engine::state::increment::Increment;
use crate::interval::{Intervals, News, cut, due, end_of, from_text, holes, is_in, joined, now};
use crate::manifest::{Interval, Node, Strategy};
use crate::names::Relation;
use crate::run::candidate::{Candidate, Candidates, Physical};
use crate::run::plan::Known;
use crate::sql::quote::identifier;
use crate::template::Window;
use crate::workspace::Workspace;

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
    pub fn whole(&self, base: Option<&Increment>) -> Result<Intervals, Diagnostics> {
        let begin = self.config.begin.clone();
        let window = match self.known.asked.as_ref().filter(|_| base.is_none()) {
            Some(asked) => asked.clone(),
            None => Window { start: begin, end: self.until()? },
        };
        let built = cut(self.config.grain, &window).ok_or_else(|| self.too_many(&window))?;
        Ok(Intervals { covered: joined(built.iter().cloned()), built, base: None })
    }

    /// Those that a version which goes on from another has to build, and whether more is due than what was asked for.
    /// `same` says that nothing it is made from changed.
    pub fn delta(&self, base: &Increment, same: Same) -> Result<(Intervals, Same), Diagnostics> {
        let covered = from_text(&base.covered);
        let many = || self.too_many(&Window { start: self.config.begin.clone(), end: now() });
        let due = match same {
            Same::Yes => holes(self.config, &covered),
            Same::No => {
                due(self.config, &covered, &self.until()?, &self.parents_built(base), self.news(base))
            }
        };
        let due = due.ok_or_else(many)?;
        let (built, same) = match &self.known.asked {
            None => (due, same),
            Some(asked) => {
                let built = cut(self.config.grain, asked).ok_or_else(many)?;
                let windows = joined(built.iter().cloned());
                let done = due.iter().all(|interval| is_in(interval, &windows));
                (built, if done { Same::Yes } else { Same::No })
            }
        };
        let covered = joined(covered.into_iter().chain(built.iter().cloned()));
        Ok((Intervals { covered, built, base: Some(base.relation.clone()) }, same))
    }

    /// Whether a parent has new rows that may lie anywhere: one that is not built by intervals.
    fn news(&self, base: &Increment) -> News {
        let mut parents = self.node.depends_on.iter().filter_map(|dependency| {
            let candidate = self.candidates.get(&dependency.node)?;
            let node = self.workspace.manifest.nodes.get(&dependency.node);
            let is_told = node.is_some_and(|node| {
                let by_intervals = node.config.incremental.as_ref();
                by_intervals.is_some_and(|config| matches!(config.strategy, Strategy::Interval(_)))
            });
            Some((candidate, is_told))
        });
        let anywhere = base.parents.is_empty()
            || parents.any(|(candidate, is_told)| !is_told && !base.parents.contains(&key(candidate)));
        if anywhere { News::Anywhere } else { News::Told }
    }

    /// How far it goes: to the end of the interval that holds the newest row of its parents that have an `event_time`;
    /// where none has, to that of this moment.
    fn until(&self) -> Result<String, Diagnostics> {
        let mut newest: Option<String> = None;
        let mut has_time = false;
        for (parent, column, candidate) in timed_parents(self.workspace, self.node, self.candidates) {
            has_time = true;
            let covered = self.covered(candidate);
            let end = match covered.last() {
                Some(last) => Some(last.end.clone()),
                None => self.newest(parent, column, candidate)?.and_then(|at| end_of(self.config.grain, &at)),
            };
            newest = newest.max(end);
        }
        let clock = || end_of(self.config.grain, &now()).unwrap_or_else(|| self.config.begin.clone());
        Ok(match has_time {
            true => newest.unwrap_or_else(|| self.config.begin.clone()),
            false => clock(),
        })
    }

    fn newest(
        &self,
        parent: &Node,
        column: &str,
        candidate: &Candidate,
    ) -> Result<Option<String>, Diagnostics> {
        let relation = match &candidate.physical {
            Physical::Build(name) => Relation::new(DATA_SCHEMA, name).to_string(),
            Physical::Raw { relation, .. } | Physical::Source(relation) => relation.to_string(),
            Physical::Inline(_) | Physical::Slice { .. } => return Ok(None),
        };
        let Some(session) = self.session else { return Ok(None) };
        let column = identifier(column);
        let newest = session
            .rows(&format!("SELECT strftime(max({column})::TIMESTAMP, '%Y-%m-%d %H:%M:%S') FROM {relation}"));
        match newest {
            Ok(rows) => Ok(rows.into_iter().next().and_then(|mut row| row.remove(0))),
            Err(error) => Err(Diagnostic::error(
                "event-time",
                format!(
                    "the `event_time` {column} of `{}` cannot be read as a time: {}",
                    parent.name,
                    error.sentence()
                ),
            )
            .at(&parent.at, "")
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

    /// What parents that are built by intervals have built since a version was made: those intervals follow.
    fn parents_built(&self, base: &Increment) -> Vec<Window> {
        let mut all = Vec::new();
        for (_, _, candidate) in timed_parents(self.workspace, self.node, self.candidates) {
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
        Diagnostic::error("interval-config", message)
            .at(&super::make::said(self.node, "begin"), "")
            .help("set `begin` to the first day that there is data of, or take a larger `batch_size`")
            .into()
    }
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

/// Parents with an `event_time`, with its name.
pub(super) fn timed_parents<'a>(
    workspace: &'a Workspace,
    node: &'a Node,
    candidates: &'a Candidates,
) -> impl Iterator<Item = (&'a Node, &'a str, &'a Candidate)> {
    node.depends_on.iter().filter_map(|dependency| {
        let parent = workspace.manifest.nodes.get(&dependency.node)?;
        Some((parent, parent.config.event_time.as_deref()?, candidates.get(&dependency.node)?))
    })
}
