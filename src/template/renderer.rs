//! The renderer: one environment with all macros, one session a render.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};

use super::callable::MacroRef;
use super::errors::{self, Returned, Traced, Unanswered, source_of};
use super::library::{Library, Origin};
use super::objects::list::Dict;
use super::objects::relation::TemplateRelation;
use super::objects::{from_json, methods};
use super::rewrite::{Rewriter, Rewritten, assigned};
use super::scope::{globals, root};
use super::session::{Answer, Answers, Phase, Question, Session, session};
use super::{
    Context, Dispatch, Form, LogMessage, MacroFile, Overrides, Parsed, Resolve, Template, filters, growth,
    limits, marker, packages,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Location, SourceFile};
use crate::names::{NodeId, Relation};
use crate::sql::rendered::Rendered;
use crate::yaml::Object;

/// What stands before a template that calls anything: how a macro of another file gets into its render. The `with`
/// keeps the template's own variables out of sight of the macros.
pub(super) const PRELUDE: &str = "{% with %}{% macro kiln_loader() %}{% from kiln_slice() import kiln_macro as kiln_m %}\
{% do kiln_take(kiln_m) %}{% endmacro %}{% do kiln_boot(kiln_loader) %}{% endwith %}";

/// The template that calls one thing: how a test is rendered.
const CALL: &str = "kiln_call";

/// The name that a rendered template has in minijinja.
pub(super) const MAIN: &str = "kiln_main";

thread_local! {
    /// What templates said on this thread, while somebody listens.
    static HEARD: RefCell<Option<Vec<LogMessage>>> = const { RefCell::new(None) };
}

/// What all renders share.
#[derive(Debug)]
pub(super) struct Core {
    pub context: Context,
    pub library: Library,
    pub dispatch: HashMap<String, Vec<String>>,
    pub globals: HashMap<&'static str, Value>,
    secrets: Mutex<Vec<String>>,
    messages: Mutex<Vec<LogMessage>>,
}

/// Reads and renders templates. Shared by all threads.
pub struct Renderer {
    pub(super) env: Environment<'static>,
    pub(super) core: Arc<Core>,
    /// What `parse` found, to be asked before a render begins.
    questions: RwLock<HashMap<NodeId, Arc<Vec<Question>>>>,
}

/// The name of a macro's slice in the environment.
pub(super) fn slice_name(index: usize) -> String {
    format!("kiln_macro_{index}")
}

/// Characters that marks are made of may not stand in a template.
pub(super) fn private_use(file: &Arc<SourceFile>, range: Range<usize>) -> Diagnostic {
    Diagnostic::error("template-text", "a private-use character that kiln needs for itself")
        .at(&Location::new(file, range), "U+F0000 to U+F1FFF cannot be used")
}

impl Renderer {
    /// Reads the macros; what is wrong with them is returned beside a renderer that works without them. `builtins` come
    /// with Kiln: the project's own and those of its packages win over them.
    pub fn new(
        context: Context,
        macros: Vec<MacroFile>,
        builtins: Vec<MacroFile>,
        dispatch: Vec<Dispatch>,
    ) -> (Self, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        let mut library = Library::default();
        for file in &macros {
            library.read(file, Origin::Project, &mut diagnostics);
        }
        for file in packages::files().chain(builtins) {
            library.read(&file, Origin::Kiln, &mut diagnostics);
        }
        library.close();
        let renderer = Self::build(context, library, dispatch, &mut diagnostics);
        (renderer, diagnostics)
    }

    /// A renderer for texts that call no macros.
    pub(super) fn without_macros(context: Context) -> Self {
        Self::build(context, Library::default(), Vec::new(), &mut Diagnostics::new())
    }

    fn build(
        context: Context,
        mut library: Library,
        dispatch: Vec<Dispatch>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        env.set_debug(false);
        env.set_fuel(Some(limits::FUEL));
        env.set_recursion_limit(limits::RECURSION);
        env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        env.set_unknown_method_callback(methods::unknown);
        env.set_formatter(write);
        env.remove_global("debug");
        filters::add(&mut env);
        let call = format!("{PRELUDE}{{{{ kiln_run() }}}}");
        if let Err(error) = env.add_template_owned(CALL, call) {
            diagnostics.push(Diagnostic::error("template-syntax", format!("kiln's own template: {error}")));
        }
        for (index, made) in library.macros.iter_mut().enumerate().filter(|(_, made)| !made.broken) {
            let text = std::mem::take(&mut made.rewritten.text);
            if let Err(error) = env.add_template_owned(slice_name(index), text) {
                made.broken = true;
                let place = Location::new(&made.at.file, made.place(&error));
                let diagnostic = errors::describe(&error, None, made.rewritten.open.as_ref(), Vec::new);
                diagnostics.push(diagnostic.at(&place, "").related(&made.at, "in this macro"));
            }
        }
        let dispatch = dispatch.into_iter().map(|one| (one.macro_namespace, one.search_order)).collect();
        let globals = globals(&context);
        let core = Core {
            context,
            library,
            dispatch,
            globals,
            secrets: Mutex::default(),
            messages: Mutex::default(),
        };
        Self { env, core: Arc::new(core), questions: RwLock::default() }
    }

    /// First reading: what the template refers to and how it is configured.
    pub fn parse(&self, template: &Template) -> Result<Parsed, Diagnostics> {
        let rewritten = rewritten(&template.file)?;
        let mut parsed = self.parse_form(template, &rewritten, Form::Whole)?;
        // What an incremental model reads in its other form alone is read too, and dbt would not see it.
        if template.file.text.contains("is_incremental") {
            match self.parse_form(template, &rewritten, Form::Delta) {
                Ok(delta) => {
                    parsed.asks_database |= delta.asks_database;
                    for call in delta.refs {
                        if !parsed.refs.contains(&call) {
                            parsed.refs.push(call);
                        }
                    }
                    for call in delta.sources {
                        if !parsed.sources.contains(&call) {
                            parsed.sources.push(call);
                        }
                    }
                }
                // It may use an answer that nothing gives while templates are only read.
                Err(_) => parsed.asks_database = true,
            }
        }
        let questions = parsed
            .refs
            .iter()
            .map(|call| Question::Reference(call.package.clone(), call.name.clone()))
            .chain(
                parsed.sources.iter().map(|call| Question::Source(call.source.clone(), call.table.clone())),
            );
        self.remember(&template.id, questions.collect());
        Ok(parsed)
    }

    fn parse_form(
        &self,
        template: &Template,
        rewritten: &Rewritten,
        form: Form,
    ) -> Result<Parsed, Diagnostics> {
        let mut session =
            Session::new(&self.core, Phase::Parse, &template.package, &template.file, &Answers::default());
        session.model = self.model(template, None, &form);
        session.form = form;
        let (session, _open) = session.open();
        let this = Relation::new(self.core.context.target.schema.clone(), template.name.clone());
        session.set_this(TemplateRelation::of(template.id.clone(), this));
        self.env
            .render_named_str(MAIN, &rewritten.text, root())
            .map_err(|error| self.core.diagnose(&session, &error, Some(rewritten)))?;
        self.flush(&session);
        let mut parsed = session.parsed.take();
        parsed.asks_database |= self.core.library.asks(rewritten);
        Ok(parsed)
    }

    /// Second reading: the SQL.
    pub fn render(
        &self,
        template: &Template,
        this: Option<(NodeId, Relation)>,
        config: &Object,
        resolve: &dyn Resolve,
    ) -> Result<Rendered, Diagnostics> {
        self.render_with(template, this, config, (&Form::Whole, None), resolve)
    }

    /// Second reading: the SQL of the rows that a form asks for, with what a unit test says in the place of what there is.
    pub fn render_with(
        &self,
        template: &Template,
        this: Option<(NodeId, Relation)>,
        config: &Object,
        (form, overrides): (&Form, Option<&Arc<Overrides>>),
        resolve: &dyn Resolve,
    ) -> Result<Rendered, Diagnostics> {
        let rewritten = rewritten(&template.file)?;
        let known = self.questions.read().unwrap_or_else(PoisonError::into_inner).get(&template.id).cloned();
        let at = Location::new(&template.file, 0..0);
        self.answer(&at, resolve, known.as_deref().map_or(&[], |known| known), |answers| {
            let mut session =
                Session::new(&self.core, Phase::Render, &template.package, &template.file, answers);
            session.config = config.clone();
            session.form = form.clone();
            session.overrides = overrides.cloned();
            session.model = self.model(template, this.as_ref().map(|(_, relation)| relation), form);
            let (session, _open) = session.open();
            if let Some((node, relation)) = &this {
                session.set_this(TemplateRelation::of(node.clone(), relation.clone()));
            }
            let result = self.env.render_named_str(MAIN, &rewritten.text, root());
            self.finish(&session, result, Some(&rewritten))
        })
    }

    /// Jinja inside a string of a YAML file: `var`, `env_var`, `target`, `doc`.
    pub fn expand(&self, text: &str, at: &Location) -> Result<String, Diagnostics> {
        if !text.contains("{{") && !text.contains("{%") && !text.contains("{#") {
            return Ok(text.to_owned());
        }
        let file = SourceFile::new(at.file.path.clone(), text);
        let rewritten = rewritten(&file).map_err(|_| private_use(&at.file, at.span.clone()))?;
        let package = &self.core.context.project;
        let mut session = Session::new(&self.core, Phase::Parse, package, &file, &Answers::default());
        session.fixed = Some(at.clone());
        let (session, _open) = session.open();
        let text = self
            .env
            .render_named_str(MAIN, &rewritten.text, root())
            .map_err(|error| self.core.diagnose(&session, &error, Some(&rewritten)))?;
        self.flush(&session);
        Ok(marker::plain(&text))
    }

    /// The text of a macro of the project called by itself, such as `generate_schema_name`; `None` where the project
    /// has no such macro.
    pub fn evaluate(
        &self,
        name: &str,
        args: &[serde_json::Value],
        at: &Location,
    ) -> Option<Result<String, Diagnostics>> {
        let project = &self.core.context.project;
        let index = self.core.library.find(project, name)?;
        let mut session = Session::new(&self.core, Phase::Parse, project, &at.file, &Answers::default());
        session.fixed = Some(at.clone());
        let (session, _open) = session.open();
        let args = args.iter().map(from_json).collect();
        *session.entry.borrow_mut() = Some((MacroRef::value(index), args));
        let result = self.call().map_err(|error| self.core.diagnose(&session, &error, None));
        self.flush(&session);
        Some(result.map(|text| marker::plain(&text)))
    }

    /// Names of all macros and functions that a template of the project can call, those of packages with the package's
    /// name before them.
    pub fn macro_names(&self) -> Vec<String> {
        let library = &self.core.library;
        let functions = self.core.globals.keys().filter(|name| !name.starts_with("kiln_"));
        let mut names: Vec<String> = functions.map(|name| (*name).to_owned()).collect();
        for package in library.packages() {
            let bare = package == self.core.context.project || package == "dbt";
            for name in library.names(package).into_iter().filter(|name| !name.starts_with("test_")) {
                names.push(format!("{package}.{name}"));
                names.extend(bare.then(|| name.to_owned()));
            }
        }
        names.sort();
        names.dedup();
        names
    }

    /// What templates said since the last time.
    pub fn messages(&self) -> Vec<LogMessage> {
        std::mem::take(&mut *self.core.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does something, and gives what templates said meanwhile on this thread instead of keeping it.
    pub fn hearing<T>(&self, work: impl FnOnce() -> T) -> (T, Vec<LogMessage>) {
        let outer = HEARD.with(|heard| heard.borrow_mut().replace(Vec::new()));
        let value = work();
        let heard = HEARD.with(|heard| std::mem::replace(&mut *heard.borrow_mut(), outer));
        (value, heard.unwrap_or_default())
    }

    /// Keeps what was heard.
    pub fn say(&self, mut messages: Vec<LogMessage>) {
        self.core.messages.lock().unwrap_or_else(PoisonError::into_inner).append(&mut messages);
    }

    /// Values that must not be shown: those of `env_var` for names that begin with `DBT_ENV_SECRET` or `KILN_SECRET`.
    pub fn secrets(&self) -> Vec<String> {
        self.core.secrets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, id: &NodeId, questions: Vec<Question>) {
        let mut known = self.questions.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(id.clone(), Arc::new(questions));
    }

    pub(super) fn flush(&self, session: &Session) {
        let mut said = session.messages.take();
        let heard = HEARD.with(|heard| match &mut *heard.borrow_mut() {
            Some(heard) => {
                heard.append(&mut said);
                true
            }
            None => false,
        });
        if !heard {
            self.say(said);
        }
    }

    fn model(&self, template: &Template, relation: Option<&Relation>, form: &Form) -> Value {
        let schema = relation.map_or(self.core.context.target.schema.as_str(), |relation| &relation.schema);
        let alias = relation.map_or(template.name.as_str(), |relation| &relation.name);
        let path = template.file.path.to_string_lossy().into_owned();
        let times = |start: &str, end: &str| {
            Dict::named([("event_time_start", Value::from(start)), ("event_time_end", Value::from(end))])
        };
        let batch = match form.window() {
            Some(window) => times(&window.start, &window.end),
            // While templates are only read there is no window yet.
            None if relation.is_none() => times("", ""),
            None => Value::from(()),
        };
        Dict::named([
            ("batch", batch),
            ("unique_id", Value::from(template.id.as_str())),
            ("name", Value::from(template.name.as_str())),
            ("alias", Value::from(alias)),
            ("schema", Value::from(schema)),
            ("database", Value::from(self.core.context.target.database.as_str())),
            ("package_name", Value::from(template.package.as_str())),
            ("resource_type", Value::from(template.id.resource_type())),
            ("original_file_path", Value::from(path)),
        ])
    }

    /// Renders until nothing is left to ask.
    pub(super) fn answer(
        &self,
        at: &Location,
        resolve: &dyn Resolve,
        known: &[Question],
        render: impl Fn(&Answers) -> Result<Attempt, Diagnostics>,
    ) -> Result<Rendered, Diagnostics> {
        let answers: Answers = Rc::new(RefCell::new(HashMap::with_capacity(known.len())));
        let learn = |question: Question, sql: Option<Rendered>| {
            let answer = match &question {
                Question::Reference(package, name) => {
                    Answer::Relation(resolve.reference(package.as_deref(), name))
                }
                Question::Source(source, table) => Answer::Relation(resolve.source(source, table)),
                Question::Query(_) => Answer::Table(Rc::new(resolve.query(&sql.unwrap_or_default()))),
                Question::Columns(node, relation) => {
                    Answer::Columns(Rc::new(resolve.columns(node, relation)))
                }
            };
            answers.borrow_mut().insert(question, answer);
        };
        for question in known {
            learn(question.clone(), None);
        }
        for _ in 0..limits::QUESTIONS {
            match render(&answers)? {
                Attempt::Done(rendered) => return Ok(rendered),
                Attempt::Asks(questions) => {
                    for (question, sql) in questions {
                        learn(question, sql);
                    }
                }
            }
        }
        let message = format!("the template asked the database more than {} times", limits::QUESTIONS);
        Err(Diagnostic::error("template-limit", message)
            .at(at, "")
            .help("ask once for all rows, as with `where x in (…)`, and go over them in a loop")
            .into())
    }

    pub(super) fn finish(
        &self,
        session: &Session,
        result: Result<String, Error>,
        rewritten: Option<&Rewritten>,
    ) -> Result<Attempt, Diagnostics> {
        let questions = session.pending.take();
        if !questions.is_empty() {
            return Ok(Attempt::Asks(questions));
        }
        let text = result.map_err(|error| self.core.diagnose(session, &error, rewritten));
        self.flush(session);
        session.extract(&text?).map(Attempt::Done).map_err(|_| {
            let at = session.fixed.clone().unwrap_or_else(|| Location::new(&session.file, 0..0));
            let error = super::session::damaged();
            errors::describe(&error, None, None, Vec::new).at(&at, "").into()
        })
    }

    pub(super) fn call(&self) -> Result<String, Error> {
        self.env.get_template(CALL)?.render(root())
    }
}

/// What one attempt of a render came to.
pub(super) enum Attempt {
    Done(Rendered),
    Asks(Vec<(Question, Option<Rendered>)>),
}

/// A whole template rewritten, with the prelude where it calls anything.
fn rewritten(file: &Arc<SourceFile>) -> Result<Rewritten, Diagnostics> {
    if let Some(range) = marker::find(&file.text) {
        return Err(private_use(file, range).into());
    }
    let mut rewriter = Rewriter::new(&file.text, 0);
    rewriter.body(0..file.text.len());
    let mut rewritten = rewriter.finish();
    if !rewritten.calls.is_empty() {
        rewritten.prefix(PRELUDE);
    }
    Ok(rewritten)
}

/// The range in the source that an error points at. `first` is the source's line that the rewritten text begins in.
pub(super) fn place(error: &Error, rewritten: &Rewritten, file: &SourceFile, first: usize) -> Range<usize> {
    if error.kind() == ErrorKind::SyntaxError
        && let Some((_, range)) = &rewritten.open
    {
        return range.clone();
    }
    match (error.range(), error.line()) {
        (Some(range), _) => rewritten.source_range(range),
        (None, Some(line)) => {
            let start = file.offset(first + line - 1, 1);
            let text = file.text[start..].split('\n').next().unwrap_or("");
            start + (text.len() - text.trim_start().len())..start + text.trim_end().len()
        }
        (None, None) => 0..0,
    }
}

/// The text that an error points at; an attribute with what it is an attribute of.
fn written(at: &Location) -> Option<&str> {
    let text = &at.file.text;
    let mut start = at.span.start;
    if text.get(start..)?.starts_with('.') {
        let path = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        start = text[..start].rfind(|c: char| !path(c)).map_or(0, |index| index + 1);
    }
    Some(text.get(start..at.span.end)?.trim_matches(['{', '}', '-', ' ', '\n']))
}

/// Writes a value; the one formatter of the environment.
fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        // an error, but for `{{ 'x' if no }}`, which writes nothing
        return minijinja::escape_formatter(out, state, value);
    }
    let session = session();
    match value.as_str() {
        Some(text) => {
            session.spend(text.len())?;
            match text.contains('\n').then(|| session.texts.borrow().get(text).cloned()).flatten() {
                Some(marked) => out.write_str(&marked)?,
                None => out.write_str(text)?,
            }
        }
        None => {
            let text = growth::written(value)?;
            session.spend(text.len())?;
            out.write_str(&text)?;
        }
    }
    Ok(())
}

impl Core {
    /// Remembers a value that must not be shown.
    pub fn keep_secret(&self, value: &str) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        if !value.is_empty() && !secrets.iter().any(|known| known == value) {
            secrets.push(value.to_owned());
        }
    }

    /// The place of an error that happened in a macro.
    pub fn locate(&self, _: &Session, error: &Error) -> Option<Location> {
        let index: usize = error.name()?.strip_prefix("kiln_macro_")?.parse().ok()?;
        let made = self.library.macros.get(index)?;
        Some(Location::new(&made.at.file, made.place(error)))
    }

    /// What an error says, with the text at its place to name things by.
    pub fn describe(
        &self,
        error: &Error,
        at: Option<&Location>,
        open: Option<&(String, Range<usize>)>,
    ) -> Diagnostic {
        errors::describe(error, at.and_then(written), open, || {
            let mut known = self.known();
            known.extend(at.into_iter().flat_map(|at| assigned(&at.file.text)));
            known
        })
    }

    /// Names that can be used, for suggestions.
    pub fn known(&self) -> Vec<&str> {
        let package = session().package();
        let functions = self.globals.keys().copied().filter(|name| !name.starts_with("kiln_"));
        let mut all: Vec<&str> = functions.chain(["this", "execute", "model", "loop"]).collect();
        for name in [&*package, &self.context.project, "dbt"] {
            all.extend(self.library.names(name).into_iter().filter(|name| !name.starts_with("test_")));
        }
        all.extend(self.library.packages());
        all
    }

    /// An error of a render as diagnostics.
    pub fn diagnose(&self, session: &Session, error: &Error, main: Option<&Rewritten>) -> Diagnostics {
        let in_main = || match (&session.fixed, main) {
            (Some(fixed), _) => fixed.clone(),
            (None, Some(rewritten)) => {
                Location::new(&session.file, place(error, rewritten, &session.file, 1))
            }
            (None, None) => Location::new(&session.file, 0..0),
        };
        if source_of::<Unanswered>(error).is_some() {
            return Diagnostic::error("template-query", "the database was asked where it cannot answer")
                .at(&in_main(), "")
                .into();
        }
        if let Some(traced) = source_of::<Traced>(error) {
            let mut diagnostic = traced.diagnostic.clone();
            let calls = traced.calls.iter().cloned().chain([in_main()]);
            for call in calls {
                match diagnostic.primary {
                    None => diagnostic = diagnostic.at(&call, ""),
                    Some(_) => diagnostic = diagnostic.related(&call, "called from here"),
                }
            }
            return diagnostic.into();
        }
        if source_of::<Returned>(error).is_some() {
            let message = "`return()` can be used only in a macro";
            return Diagnostic::error("template-value", message).at(&in_main(), "").into();
        }
        let at = self.locate(session, error).unwrap_or_else(in_main);
        let named = (session.fixed.is_none()).then_some(&at);
        self.describe(error, named, main.and_then(|main| main.open.as_ref())).at(&at, "").into()
    }
}
