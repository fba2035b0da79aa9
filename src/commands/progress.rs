//! Progress: a run as it goes on. Live bars on a terminal; elsewhere a line for each finished model, and a heartbeat that
//! names what is running when nothing has been said for a while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::manifest::Materialization;
use crate::names::NodeId;
use crate::run::event::{
    Action, Event, LoadOutcome, NodeReport, Observer, Outcome, PlannedNode, Started, TestReport, TestStatus,
};
use crate::workspace::Workspace;

use super::json_log::JsonLog;
use super::terminal::{Paint, Progress, Terminal};
use super::words::{self, counted, duration};

/// How long nothing may be said.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Most running models shown by name.
const MOST_RUNNING: usize = 6;

/// Widest column of names.
const WIDEST: usize = 48;

/// Watches a run and says how it goes.
pub struct Reporter<'a> {
    terminal: &'a Terminal,
    json: JsonLog<'a>,
    project: String,
    width: usize,
    opened: Duration,
    state: Mutex<State>,
}

struct State {
    running: IndexMap<NodeId, Running>,
    bar: Option<ProgressBar>,
    total: usize,
    done: usize,
    built: usize,
    failed: usize,
    skipped: usize,
    tests: usize,
    of_tests: usize,
    last_word: Instant,
}

struct Running {
    since: Instant,
    bar: Option<ProgressBar>,
}

impl<'a> Reporter<'a> {
    /// A reporter for one run. `opened` is how long opening the project took.
    pub fn new(
        terminal: &'a Terminal,
        workspace: &Workspace,
        command: &'static str,
        names: impl Iterator<Item = &'a str>,
        opened: Duration,
    ) -> Self {
        let width = names.map(|name| name.chars().count()).max().unwrap_or(0).clamp(12, WIDEST);
        let state = State {
            running: IndexMap::new(),
            bar: None,
            total: 0,
            done: 0,
            built: 0,
            failed: 0,
            skipped: 0,
            tests: 0,
            of_tests: 0,
            last_word: Instant::now(),
        };
        Self {
            terminal,
            json: JsonLog { terminal, command },
            project: workspace.project.file.name.value.clone(),
            width,
            opened,
            state: Mutex::new(state),
        }
    }

    /// Runs something while a heartbeat is kept, and takes the bars away afterwards.
    pub fn during<T>(&self, body: impl FnOnce() -> T) -> T {
        let over = AtomicBool::new(false);
        let value = std::thread::scope(|scope| {
            let pulse = scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::thread::park_timeout(Duration::from_millis(250));
                    self.beat();
                }
            });
            let value = body();
            over.store(true, Ordering::Relaxed);
            pulse.thread().unpark();
            value
        });
        let mut state = self.lock();
        for (_, running) in state.running.drain(..) {
            running.bar.iter().for_each(ProgressBar::finish_and_clear);
        }
        state.bar.take().iter().for_each(ProgressBar::finish_and_clear);
        value
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, state: &mut State, line: &str) {
        state.last_word = Instant::now();
        self.terminal.talk(line);
    }

    fn beat(&self) {
        let mut state = self.lock();
        if self.terminal.progress == Progress::Bars
            || state.running.is_empty()
            || state.last_word.elapsed() < HEARTBEAT
        {
            return;
        }
        let names: Vec<String> = state
            .running
            .iter()
            .take(MOST_RUNNING)
            .map(|(node, running)| format!("{} ({})", node.short(), duration(running.since.elapsed())))
            .collect();
        let more = state.running.len().saturating_sub(MOST_RUNNING);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let line = format!(
            "  still running: {}{more} {} {} of {} done\n",
            names.join(", "),
            self.terminal.signs.dot,
            state.done,
            state.total
        );
        self.say(&mut state, &line);
        let running: Vec<&str> = state.running.keys().map(NodeId::as_str).collect();
        let fields = json!({"running": running, "done": state.done, "total": state.total});
        self.terminal.log("heartbeat", None, fields);
    }

    fn started(&self, state: &mut State, started: &Started<'_>) {
        (state.total, state.of_tests) = (started.nodes, started.tests);
        let dot = self.terminal.signs.dot;
        let what = [
            (started.nodes > 0).then(|| counted(started.nodes as u64, "model", "models")),
            Some(counted(started.tests as u64, "test", "tests")),
        ];
        let what: Vec<String> = what.into_iter().flatten().collect();
        let line = format!(
            " {} {} of {} in {} {dot} target {} {dot} {}\n",
            self.terminal.paint(Paint::Bold, "Opened"),
            what.join(" and "),
            self.project,
            duration(self.opened),
            started.target,
            counted(started.threads as u64, "thread", "threads"),
        );
        self.say(state, &line);
        if self.terminal.progress == Progress::Bars {
            let bar = self.terminal.bars().add(ProgressBar::new_spinner());
            bar.set_style(self.style("{spinner} {msg}  {elapsed_precise}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            state.bar = Some(bar);
            self.refresh(state);
        }
    }

    fn style(&self, template: &str) -> ProgressStyle {
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        style.tick_chars(self.terminal.signs.spinner)
    }

    /// Brings the bars in line with the state.
    fn refresh(&self, state: &mut State) {
        let Some(bar) = state.bar.clone() else { return };
        let dot = self.terminal.signs.dot;
        let mut parts = vec![format!("{} built", state.built)];
        let failed = format!("{} failed", state.failed);
        parts.extend((state.failed > 0).then(|| self.terminal.paint(Paint::Red, &failed)));
        parts.extend((state.skipped > 0).then(|| format!("{} skipped", state.skipped)));
        parts.push(format!("{} running", state.running.len()));
        bar.set_message(format!("[{}/{}] {}", state.done, state.total, parts.join(&format!(" {dot} "))));
        let shown = state.running.values().filter(|running| running.bar.is_some()).count();
        let waiting = state.running.iter_mut().filter(|(_, running)| running.bar.is_none());
        for (node, running) in waiting.take(MOST_RUNNING.saturating_sub(shown)) {
            let line = self.terminal.bars().insert_before(&bar, ProgressBar::new_spinner());
            line.set_style(self.style("  {spinner} {msg}  {elapsed}"));
            line.set_elapsed(running.since.elapsed());
            line.set_message(format!("{:<1$}", node.short(), self.width));
            line.enable_steady_tick(Duration::from_millis(120));
            running.bar = Some(line);
        }
    }

    fn begin(&self, state: &mut State, node: &NodeId) {
        state.running.insert(node.clone(), Running { since: Instant::now(), bar: None });
        self.refresh(state);
    }

    fn end(&self, state: &mut State, node: &NodeId) {
        if let Some(Running { bar: Some(bar), .. }) = state.running.shift_remove(node) {
            bar.finish_and_clear();
            self.terminal.bars().remove(&bar);
        }
    }

    fn planned(&self, state: &mut State, nodes: &[PlannedNode]) {
        let count = |action| nodes.iter().filter(|planned| planned.action == action).count();
        let mut parts = vec![format!("{} to build", count(Action::Build))];
        let more = [
            (Action::Reuse, "unchanged (reused)"),
            (Action::Later, "known later"),
            (Action::Inline, "pasted into others"),
            (Action::Load, "loaded"),
        ];
        for (action, words) in more {
            parts.extend((count(action) > 0).then(|| format!("{} {words}", count(action))));
        }
        let line = format!(" {}   {}\n", self.terminal.paint(Paint::Bold, "Plan"), parts.join(", "));
        self.say(state, &line);
    }

    fn loaded(&self, state: &mut State, outcome: &LoadOutcome) {
        self.end(state, &outcome.node);
        let signs = self.terminal.signs;
        let name = format!("{:<1$}", outcome.node.short(), self.width);
        let time = duration(outcome.elapsed);
        let report = match &outcome.result {
            Ok(report) => report,
            Err(_) => {
                let sign = self.terminal.paint(Paint::Red, signs.bad);
                let word = self.terminal.paint(Paint::Red, "DID NOT LOAD");
                self.say(state, &format!("  {sign} {name}  {word}\n"));
                return;
            }
        };
        if report.objects.is_empty() && report.failed.is_empty() {
            let what = match outcome.objects {
                0 => "no file yet".to_owned(),
                files => format!("nothing new in {}", counted(files as u64, "file", "files")),
            };
            let line = format!("  {} {name}  {what}", signs.skipped);
            self.say(state, &(self.terminal.paint(Paint::Dim, &line) + "\n"));
            return;
        }
        let sign = match report.is_complete() {
            true => self.terminal.paint(Paint::Green, signs.loaded),
            false => self.terminal.paint(Paint::Red, signs.bad),
        };
        let mut said = counted(report.objects.len() as u64, "new file", "new files");
        if report.rejected() > 0 {
            said += &format!(", {}", counted(report.rejected(), "row quarantined", "rows quarantined"));
        }
        if !report.is_complete() {
            said += &format!(", {} DID NOT LOAD", counted(report.failed.len() as u64, "file", "files"));
        }
        let rows = counted(report.rows(), "row", "rows");
        let mut text = format!("  {sign} {name}  {:<9} {rows:>16} {time:>8}   {said}\n", "loaded");
        let notes =
            report.objects.iter().flat_map(|object| object.notes.iter().map(move |note| (object, note)));
        for (object, note) in notes {
            let mark = match note.is_warning() {
                true => self.terminal.paint(Paint::Yellow, signs.warn),
                false => " ".into(),
            };
            text += &format!("      {mark} {}: {note}\n", object.object);
        }
        for failed in &report.failed {
            let mark = self.terminal.paint(Paint::Red, signs.bad);
            text += &format!("      {mark} {}: {}\n", failed.object, failed.reason);
        }
        self.say(state, &text);
    }

    fn finished(&self, state: &mut State, report: &NodeReport) {
        self.end(state, &report.node);
        state.done += 1;
        match &report.outcome {
            Outcome::Built => state.built += 1,
            Outcome::Reused | Outcome::NothingNew => {}
            Outcome::Error(_) | Outcome::Failed => state.failed += 1,
            Outcome::Skipped { .. } | Outcome::Cancelled => state.skipped += 1,
        }
        if let Some(line) = self.line(report) {
            self.say(state, &line);
        }
        self.refresh(state);
    }

    /// The line of a finished node; none where nothing was done.
    fn line(&self, report: &NodeReport) -> Option<String> {
        let signs = self.terminal.signs;
        let name = format!("{:<1$}", report.node.short(), self.width);
        let (sign, paint) = match &report.outcome {
            Outcome::Error(_) | Outcome::Failed => (signs.bad, Paint::Red),
            Outcome::Skipped { because } => {
                let line = format!("  {} {name}  skipped: {} failed", signs.skipped, because.short());
                return Some(self.terminal.paint(Paint::Dim, &line) + "\n");
            }
            Outcome::Cancelled => return None,
            _ if report.tests.iter().any(|test| test.status == TestStatus::Warn) => {
                (signs.warn, Paint::Yellow)
            }
            Outcome::Built => (signs.good, Paint::Green),
            Outcome::Reused if tests_run(&report.tests) == 0 => return None,
            Outcome::Reused | Outcome::NothingNew => (signs.good, Paint::Green),
        };
        let sign = self.terminal.paint(paint, sign);
        if matches!(&report.outcome, Outcome::Error(_)) {
            // That a raw model did not load has been said already.
            let word = self.terminal.paint(Paint::Red, "DID NOT BUILD");
            let is_raw = report.materialized == Materialization::Append;
            return (!is_raw).then(|| format!("  {sign} {name}  {word}\n"));
        }
        let kind = match (&report.outcome, report.materialized) {
            (Outcome::Reused, Materialization::Append) => "raw",
            (Outcome::Reused, _) => "reused",
            (_, materialized) => materialized.as_str(),
        };
        let rows = match (&report.change, report.rows) {
            _ if matches!(report.outcome, Outcome::NothingNew) => "nothing new".to_owned(),
            (Some(change), _) => words::change(change),
            (None, Some(rows)) => counted(rows, "row", "rows"),
            (None, None) => String::new(),
        };
        let time = duration(report.elapsed);
        let tests = self.tests(&report.tests);
        // A long word takes its room from the rows.
        let left = 26_usize.saturating_sub(kind.len().max(9) + 1);
        Some(
            format!("  {sign} {name}  {kind:<9} {rows:>left$} {time:>8}   {tests}").trim_end().to_owned()
                + "\n",
        )
    }

    fn tests(&self, tests: &[TestReport]) -> String {
        let count = |wanted: fn(TestStatus) -> bool| tests.iter().filter(|test| wanted(test.status)).count();
        let run = tests_run(tests);
        let failed = count(TestStatus::blocks);
        let warned = count(|status| status == TestStatus::Warn);
        if run == 0 {
            return String::new();
        }
        if failed > 0 {
            let text = format!("{failed} of {} FAILED", counted(run as u64, "test", "tests"));
            return self.terminal.paint(Paint::Red, &text);
        }
        let text = counted(run as u64, "test", "tests");
        match warned {
            0 => text,
            _ => format!("{text}, {}", self.terminal.paint(Paint::Yellow, &format!("{warned} warned"))),
        }
    }
}

fn tests_run(tests: &[TestReport]) -> usize {
    tests.iter().filter(|test| !matches!(test.status, TestStatus::Reused | TestStatus::Skipped)).count()
}

impl Observer for Reporter<'_> {
    fn event(&self, event: Event<'_>) {
        let mut state = self.lock();
        match &event {
            Event::Started(started) => self.started(&mut state, started),
            Event::LoadStarted { node, .. } => self.begin(&mut state, node),
            Event::LoadProgress { node, progress } => {
                if let Some(Running { bar: Some(bar), .. }) = state.running.get(*node) {
                    let name = format!("{:<1$}", node.short(), self.width);
                    bar.set_message(format!("{name}  {} of {} files", progress.objects, progress.of_objects));
                }
            }
            Event::Loaded(outcome) => self.loaded(&mut state, outcome),
            Event::Planned(nodes) => self.planned(&mut state, nodes),
            Event::NodeStarted { node } => self.begin(&mut state, node),
            Event::NodeFinished(report) => self.finished(&mut state, report),
            Event::TestsFinished(tests) => {
                state.tests += tests.len();
                if let (Some(bar), 0) = (&state.bar, state.total) {
                    bar.set_message(format!("[{}/{}] tests", state.tests, state.of_tests));
                }
            }
            Event::Publishing => {
                if let Some(bar) = &state.bar {
                    bar.set_message("publishing");
                }
            }
        }
        self.json.event(event);
    }
}
