//! The state of one render. It lives in the thread, not in the environment, so that one environment serves all
//! renders at once and nothing of it is copied.
//!
//! The resolver is borrowed from the caller, and minijinja's objects may hold no borrows. So a function that needs an
//! answer looks for it among the answers known so far; if it is not there, the question is noted, the render ends,
//! the renderer asks, and the render starts again. What `parse` found is asked beforehand, so this is rare.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use minijinja::{Error, Value};

use super::errors::{Unanswered, problem};
use super::renderer::Core;
use super::{Form, LogMessage, Overrides, Parsed, QueryTable, limits, marker};
use crate::diagnostic::{Location, SourceFile};
use crate::names::{NodeId, Relation};
use crate::sql::rendered::Rendered;

/// Which reading of a template this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// `execute` is false: what does it refer to?
    Parse,
    /// `execute` is true.
    Render,
}

/// What a render may ask.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Question {
    Reference(Option<String>, String),
    Source(String, String),
    Query(String),
    Columns(NodeId, Relation),
}

/// What is known.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Relation(Result<(NodeId, Relation), String>),
    Table(Rc<Result<QueryTable, String>>),
    Columns(Rc<Result<Vec<(String, String)>, String>>),
}

/// Answers of all attempts of one render.
pub(super) type Answers = Rc<RefCell<HashMap<Question, Answer>>>;

/// One attempt.
pub(super) struct Session {
    pub core: Arc<Core>,
    pub phase: Phase,
    /// The file that marks with number 0 mean.
    pub file: Arc<SourceFile>,
    /// The place of everything in that file, for a text that is not a file of its own.
    pub fixed: Option<Location>,
    this: RefCell<Option<Value>>,
    pub model: Value,
    pub form: Form,
    pub config: crate::yaml::Object,
    /// What a unit test puts in the place of what there is.
    pub overrides: Option<Arc<Overrides>>,
    pub answers: Answers,
    pub pending: RefCell<Vec<(Question, Option<Rendered>)>>,
    pub parsed: RefCell<Parsed>,
    nodes: RefCell<Vec<NodeId>>,
    pub texts: RefCell<HashMap<String, String>>,
    /// Macros as minijinja has them in this render, by number.
    pub loaded: RefCell<HashMap<usize, Value>>,
    pub loader: RefCell<Option<Value>>,
    pub wanted: Cell<usize>,
    pub taken: RefCell<Option<Value>>,
    /// Packages of the macros that are running, the template's own first.
    pub packages: RefCell<Vec<Arc<str>>>,
    pub returned: RefCell<Option<Value>>,
    /// Where the last call with a place stands: file number and byte.
    pub at: Cell<(u32, usize)>,
    /// What the embedded call template calls.
    pub entry: RefCell<Option<(Value, Vec<Value>)>>,
    pub results: RefCell<HashMap<String, Value>>,
    pub messages: RefCell<Vec<LogMessage>>,
    written: Cell<usize>,
}

thread_local! {
    static CURRENT: RefCell<Vec<Rc<Session>>> = const { RefCell::new(Vec::new()) };
}

/// The session of the render that is running on this thread.
pub(super) fn session() -> Rc<Session> {
    CURRENT
        .with(|current| current.borrow().last().cloned())
        .expect("templates run only inside a session, which the renderer opens")
}

/// Ends the session when dropped.
pub(super) struct Opened(());

impl Drop for Opened {
    fn drop(&mut self) {
        CURRENT.with(|current| current.borrow_mut().pop());
    }
}

impl Session {
    pub fn new(
        core: &Arc<Core>,
        phase: Phase,
        package: &str,
        file: &Arc<SourceFile>,
        answers: &Answers,
    ) -> Self {
        Self {
            core: Arc::clone(core),
            phase,
            file: Arc::clone(file),
            fixed: None,
            this: RefCell::default(),
            model: Value::from(()),
            form: Form::Whole,
            config: crate::yaml::Object::new(),
            overrides: None,
            answers: Rc::clone(answers),
            pending: RefCell::default(),
            parsed: RefCell::default(),
            nodes: RefCell::default(),
            texts: RefCell::default(),
            loaded: RefCell::default(),
            loader: RefCell::default(),
            wanted: Cell::new(0),
            taken: RefCell::default(),
            packages: RefCell::new(vec![Arc::from(package)]),
            returned: RefCell::default(),
            at: Cell::new((0, 0)),
            entry: RefCell::default(),
            results: RefCell::default(),
            messages: RefCell::default(),
            written: Cell::new(0),
        }
    }

    /// Makes it the session of this thread.
    pub fn open(self) -> (Rc<Self>, Opened) {
        let session = Rc::new(self);
        CURRENT.with(|current| current.borrow_mut().push(Rc::clone(&session)));
        (session, Opened(()))
    }

    /// The package whose code is running.
    pub fn package(&self) -> Arc<str> {
        self.packages.borrow().last().cloned().unwrap_or_else(|| Arc::from(""))
    }

    /// What a unit test says that a macro gives.
    pub fn overridden(&self, name: &str) -> Option<Value> {
        let value = self.overrides.as_ref()?.macros.get(name)?;
        Some(Value::from_object(Fixed(super::objects::from_json(value))))
    }

    /// The moment that a unit test says it is.
    pub fn frozen(&self) -> Option<jiff::Timestamp> {
        self.overrides.as_ref()?.now
    }

    /// The number of a node among the marks.
    pub fn mark(&self, node: &NodeId) -> usize {
        let mut nodes = self.nodes.borrow_mut();
        match nodes.iter().position(|known| known == node) {
            Some(index) => index,
            None => {
                nodes.push(node.clone());
                nodes.len() - 1
            }
        }
    }

    /// Sets what `this` means.
    pub fn set_this(&self, this: Value) {
        *self.this.borrow_mut() = Some(this);
    }

    /// What `this` means.
    pub fn this_value(&self) -> Option<Value> {
        self.this.borrow().clone()
    }

    /// Counts bytes that are written.
    pub fn spend(&self, bytes: usize) -> Result<(), Error> {
        let written = self.written.get() + bytes;
        self.written.set(written);
        match written > limits::BYTES {
            false => Ok(()),
            true => Err(problem(
                "template-limit",
                format!("the template wrote more than {} MB", limits::BYTES / 1024 / 1024),
            )),
        }
    }

    /// Written text as a value: without line marks, which come back when the same text is written again.
    pub fn keep(&self, text: &str) -> Result<Value, Error> {
        self.spend(text.len())?;
        let Some(plain) = marker::without_lines(text) else { return Ok(Value::from(text)) };
        // a single line belongs to the line that writes it, so only longer texts are worth keeping
        if plain.contains('\n') {
            self.texts.borrow_mut().insert(plain.clone(), text.to_owned());
        }
        Ok(Value::from(plain))
    }

    /// The SQL of a written text.
    pub fn extract(&self, text: &str) -> Result<Rendered, marker::Damaged> {
        marker::extract(text, &self.nodes.borrow(), |number| self.file_of(number))
    }

    /// The SQL of a value, with its line marks where they are known.
    pub fn rendered(&self, value: &str) -> Result<Rendered, Error> {
        let marked = self.texts.borrow().get(value).cloned();
        self.extract(marked.as_deref().unwrap_or(value)).map_err(|_| damaged())
    }

    /// The file that a mark's number means.
    pub fn file_of(&self, number: u32) -> Option<Arc<SourceFile>> {
        match number {
            0 => Some(Arc::clone(&self.file)),
            number => self.core.library.files.get(number as usize - 1).cloned(),
        }
    }

    /// The place of the call that runs, as far as it is known.
    pub fn place(&self) -> Location {
        let (number, at) = self.at.get();
        match (&self.fixed, number) {
            (Some(fixed), 0) => fixed.clone(),
            _ => {
                let file = self.file_of(number).unwrap_or_else(|| Arc::clone(&self.file));
                let end = call_end(&file.text, at);
                Location::new(&file, at..end)
            }
        }
    }

    /// The answer to a question; notes the question and ends the render when it is not known.
    pub fn ask(&self, question: Question, sql: Option<Rendered>) -> Result<Answer, Error> {
        if let Some(answer) = self.answers.borrow().get(&question) {
            return Ok(answer.clone());
        }
        self.pending.borrow_mut().push((question, sql));
        Err(Error::new(minijinja::ErrorKind::InvalidOperation, "not answered yet").with_source(Unanswered))
    }
}

/// A macro whose result a unit test has fixed: whatever it is called with, it gives the same.
#[derive(Debug)]
struct Fixed(Value);

impl minijinja::value::Object for Fixed {
    fn repr(self: &Arc<Self>) -> minijinja::value::ObjectRepr {
        minijinja::value::ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut minijinja::State<'_, '_>, _: &[Value]) -> Result<Value, Error> {
        Ok(self.0.clone())
    }
}

/// The end of a call like `ref('x')` that begins at `at`.
fn call_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0;
    for (index, byte) in bytes.iter().enumerate().skip(at) {
        match byte {
            b'(' => depth += 1,
            b')' if depth <= 1 => return index + 1,
            b')' => depth -= 1,
            b'\n' if depth == 0 => return index,
            _ => {}
        }
    }
    at
}

/// What to say when a relation's name was changed so that it cannot be followed.
pub(super) fn damaged() -> Error {
    super::errors::problem_with_help(
        "template-relation",
        "the text of a relation was cut or changed, so it is not known any more which relation it is",
        "use `.schema`, `.identifier` or `.include()` of what `ref()` and `source()` return",
    )
}
