//! Macros: read from files once, found by name and package.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use minijinja::{Error, Value};

use super::errors::{Args, problem, problem_near};
use super::lexer::{PieceKind, TokenKind, next_piece, tokens};
use super::rewrite::{Rewriter, Rewritten};
use super::{MacroFile, TestParam, renderer};
use crate::diagnostic::{Diagnostic, Diagnostics, Location, SourceFile};

/// A macro or a generic test.
#[derive(Debug)]
pub(super) struct Macro {
    pub package: Arc<str>,
    /// As it is called; a generic test's begins with `test_`.
    pub name: String,
    pub at: Location,
    pub params: Vec<TestParam>,
    varargs: bool,
    kwargs: bool,
    /// All of it in its file, tags included.
    pub whole: Range<usize>,
    /// The rewritten slice; its text is in the environment.
    pub rewritten: Rewritten,
    /// It could not be compiled: said once already.
    pub broken: bool,
}

/// All macros.
#[derive(Debug, Default)]
pub(super) struct Library {
    pub macros: Vec<Macro>,
    /// Files by mark number less one.
    pub files: Vec<Arc<SourceFile>>,
    pub docs: HashMap<(String, String), String>,
    /// The same blocks with their files, in order.
    pub doc_blocks: Vec<DocBlock>,
    /// The project's and its packages' macros, then Kiln's own.
    own: HashMap<Arc<str>, HashMap<String, usize>>,
    embedded: HashMap<Arc<str>, HashMap<String, usize>>,
    /// Names of macros that need the database.
    asking: BTreeSet<String>,
}

/// A `{% docs %}` block.
#[derive(Debug)]
pub(super) struct DocBlock {
    pub package: String,
    pub name: String,
    pub file: Arc<SourceFile>,
}

/// Whose files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Project,
    Kiln,
}

impl Library {
    /// Reads a file's macros.
    pub fn read(&mut self, file: &MacroFile, origin: Origin, diagnostics: &mut Diagnostics) {
        self.files.push(Arc::clone(&file.file));
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let package: Arc<str> = Arc::from(file.package.as_str());
        let source = &file.file.text;
        let is_sql = file.file.path.extension().is_some_and(|ending| ending == "sql");
        if let Some(range) = super::marker::find(source) {
            diagnostics.push(renderer::private_use(&file.file, range));
            return;
        }
        // a page of docs may hold anything outside its blocks
        let start = |from: usize| match is_sql {
            true => Some(from),
            false => source.get(from..)?.find("{%").map(|at| from + at),
        };
        let mut at = 0;
        while let Some(piece) = start(at).and_then(|at| next_piece(source, at)) {
            at = piece.range.end;
            let unclosed = |what: &str| {
                Diagnostic::error("template-syntax", format!("broken Jinja: {what} is never closed"))
                    .at(&Location::new(&file.file, piece.range.start..(piece.range.start + 2)), "opened here")
            };
            match piece.kind {
                PieceKind::Broken if is_sql => diagnostics.push(unclosed("this tag")),
                PieceKind::Tag => {}
                _ => continue,
            }
            if piece.kind != PieceKind::Tag {
                continue;
            }
            let all = tokens(source, piece.inner.clone());
            let word = all.first().map_or("", |token| token.text(source));
            let word_end = all.first().map_or(piece.inner.end, |token| token.end);
            let tag = Location::new(&file.file, piece.range.clone());
            let end_word = match word {
                "macro" => "endmacro",
                "test" => "endtest",
                "data_test" => "enddata_test",
                "docs" => "enddocs",
                "snapshot" => "endsnapshot",
                "materialization" => "endmaterialization",
                _ => continue,
            };
            let name = all.get(1).filter(|token| token.kind == TokenKind::Ident);
            let end = match word {
                "docs" => docs_end(source, at),
                _ => block_end(source, at, word, end_word),
            };
            let Some(end) = end else {
                diagnostics.push(
                    Diagnostic::error(
                        "template-syntax",
                        format!("broken Jinja: this `{{% {word} %}}` is never closed"),
                    )
                    .at(&tag, "opened here")
                    .help(format!("end it with `{{% {end_word} %}}`")),
                );
                self.add_broken(word, name.map(|name| name.text(source)), &package, &tag, origin);
                continue;
            };
            let body = at..end.start;
            at = end.end;
            let Some(name) = name else {
                diagnostics.push(
                    Diagnostic::error(
                        "template-syntax",
                        format!("broken Jinja: `{{% {word} %}}` has no name"),
                    )
                    .at(&tag, ""),
                );
                continue;
            };
            let name_text = name.text(source);
            match word {
                "docs" => {
                    let text = source[body].trim().to_owned();
                    let (package, name) = (file.package.clone(), name_text.to_owned());
                    let block = DocBlock {
                        package: package.clone(),
                        name: name.clone(),
                        file: Arc::clone(&file.file),
                    };
                    if self.docs.insert((package, name), text).is_none() {
                        self.doc_blocks.push(block);
                    }
                }
                "snapshot" | "materialization" => {}
                _ => {
                    let full = full_name(word, name_text);
                    let parts = Parts {
                        number,
                        start: piece.range.start,
                        tag: piece.inner.clone(),
                        header: word_end..piece.range.end,
                        name: name.end,
                        body,
                        end,
                    };
                    match Macro::new(&package, full, &file.file, &parts) {
                        Ok(made) => self.add(made, origin, diagnostics),
                        Err(diagnostic) => {
                            diagnostics.push(*diagnostic);
                            self.add_broken(word, Some(name_text), &package, &tag, origin);
                        }
                    }
                }
            }
        }
    }

    /// Keeps the name of a macro that cannot be read, so that nobody who calls it is told that there is none.
    fn add_broken(
        &mut self,
        word: &str,
        name: Option<&str>,
        package: &Arc<str>,
        at: &Location,
        origin: Origin,
    ) {
        let Some(name) = name.filter(|_| ["macro", "test", "data_test"].contains(&word)) else { return };
        let made = Macro {
            package: Arc::clone(package),
            name: full_name(word, name),
            at: at.clone(),
            params: Vec::new(),
            varargs: true,
            kwargs: true,
            whole: at.span.clone(),
            rewritten: Rewritten::default(),
            broken: true,
        };
        // That there are two of the name was or will be said of the other one.
        self.add(made, origin, &mut Diagnostics::new());
    }

    fn add(&mut self, made: Macro, origin: Origin, diagnostics: &mut Diagnostics) {
        let index = self.macros.len();
        let names = match origin {
            Origin::Project => &mut self.own,
            Origin::Kiln => &mut self.embedded,
        };
        let names = names.entry(Arc::clone(&made.package)).or_default();
        if let Some(first) = names.get(&made.name) {
            let what = made
                .name
                .strip_prefix("test_")
                .map_or(format!("macro `{}`", made.name), |name| format!("test `{name}`"));
            diagnostics.push(
                Diagnostic::error("template-duplicate", format!("{what} is defined twice"))
                    .at(&made.at, "again here")
                    .related(&self.macros[*first].at, "first here"),
            );
            return;
        }
        names.insert(made.name.clone(), index);
        self.macros.push(made);
    }

    /// Works out which macros need the database, through the macros that they call.
    pub fn close(&mut self) {
        let mut asking: BTreeSet<String> =
            self.macros.iter().filter(|made| made.rewritten.asks).map(|made| made.name.clone()).collect();
        loop {
            let more: Vec<String> = self
                .macros
                .iter()
                .filter(|made| !asking.contains(&made.name))
                .filter(|made| made.rewritten.calls.iter().any(|name| asking.contains(name)))
                .map(|made| made.name.clone())
                .collect();
            if more.is_empty() {
                break;
            }
            asking.extend(more);
        }
        self.asking = asking;
    }

    /// Whether a template needs the database, itself or through a macro.
    pub fn asks(&self, rewritten: &Rewritten) -> bool {
        rewritten.asks || rewritten.calls.iter().any(|name| self.asking.contains(name))
    }

    /// A macro of a package: the project's files first, then what Kiln brings under that name.
    pub fn find(&self, package: &str, name: &str) -> Option<usize> {
        let in_package =
            |names: &HashMap<Arc<str>, HashMap<String, usize>>| names.get(package)?.get(name).copied();
        in_package(&self.own).or_else(|| in_package(&self.embedded))
    }

    /// A macro by its bare name, as code of `package` in `project` sees it.
    pub fn lookup(&self, package: &str, project: &str, name: &str) -> Option<usize> {
        self.find(package, name).or_else(|| self.find(project, name))
    }

    /// A macro that Kiln brings.
    pub fn internal(&self, name: &str) -> Option<usize> {
        self.find("dbt", name)
    }

    /// Whether a package of this name has macros.
    pub fn has_package(&self, name: &str) -> bool {
        self.own.contains_key(name) || self.embedded.contains_key(name)
    }

    /// Names of a package's macros.
    pub fn names(&self, package: &str) -> Vec<&str> {
        let names = |all: &'_ HashMap<Arc<str>, HashMap<String, usize>>| -> Vec<usize> {
            all.get(package).into_iter().flat_map(|names| names.values().copied()).collect()
        };
        let mut all: Vec<&str> = names(&self.own)
            .into_iter()
            .chain(names(&self.embedded))
            .map(|index| self.macros[index].name.as_str())
            .collect();
        all.sort_unstable();
        all
    }

    /// Names of packages with macros.
    pub fn packages(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.own.keys().chain(self.embedded.keys()).map(|name| &**name).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// As it is called inside: a generic test's name begins with `test_`.
fn full_name(word: &str, name: &str) -> String {
    match word {
        "macro" => name.to_owned(),
        _ => format!("test_{name}"),
    }
}

/// Where the parts of a macro stand in its file.
struct Parts {
    number: u32,
    start: usize,
    tag: Range<usize>,
    /// From after the word to the end of the opening tag.
    header: Range<usize>,
    /// The end of the name.
    name: usize,
    body: Range<usize>,
    end: Range<usize>,
}

impl Macro {
    fn new(
        package: &Arc<str>,
        name: String,
        file: &Arc<SourceFile>,
        parts: &Parts,
    ) -> Result<Self, Box<Diagnostic>> {
        let source = &file.text;
        let at = Location::new(file, parts.tag.clone());
        let all = tokens(source, parts.name..parts.tag.end);
        let bad = |message: &str| {
            Box::new(Diagnostic::error("template-syntax", format!("broken Jinja: {message}")).at(&at, ""))
        };
        match (all.first(), all.last()) {
            (Some(open), Some(close)) if open.is(b'(') && close.is(b')') => {}
            _ => return Err(bad(&format!("`{name}` needs its parameters in parentheses"))),
        }
        let mut params = Vec::new();
        let mut depth = 0;
        let mut starts = true;
        for token in &all[1..all.len() - 1] {
            match token.kind {
                TokenKind::Punct(b'(' | b'[' | b'{') => depth += 1,
                TokenKind::Punct(b')' | b']' | b'}') => depth -= 1,
                TokenKind::Punct(b',') if depth == 0 => {
                    starts = true;
                    continue;
                }
                TokenKind::Punct(b'=') if depth == 0 => {
                    if let Some(TestParam { has_default, .. }) = params.last_mut() {
                        *has_default = true;
                    }
                }
                TokenKind::Ident if starts => {
                    params.push(TestParam { name: token.text(source).to_owned(), has_default: false });
                }
                _ => {}
            }
            starts = false;
        }
        let mut rewriter = Rewriter::new(source, parts.number);
        rewriter.insert("{% macro kiln_macro(");
        let inner = all[0].end..all[all.len() - 1].start;
        rewriter.expression(inner.clone());
        let body = &source[parts.body.clone()];
        let mentions = |word: &str| body.contains(word);
        let (varargs, kwargs) = (mentions("varargs"), mentions("kwargs"));
        let trimmed = source[inner].trim_end();
        let mut comma = if trimmed.is_empty() || trimmed.ends_with(',') { "" } else { "," };
        // minijinja wants a default after every default
        let default = if params.last().is_some_and(|param| param.has_default) { "=none" } else { "" };
        for (used, word) in [(varargs, "varargs"), (kwargs, "kwargs")] {
            if used {
                rewriter.insert(&format!("{comma}{word}{default}"));
                comma = ",";
            }
        }
        rewriter.insert(")");
        rewriter.copy(parts.tag.end..parts.header.end);
        rewriter.body(parts.body.clone());
        let close = &source[parts.end.clone()];
        rewriter.insert(if close.starts_with("{%-") { "{%- endmacro %}" } else { "{% endmacro %}" });
        let rewritten = rewriter.finish();
        let whole = parts.start..parts.end.end;
        let package = Arc::clone(package);
        Ok(Self { package, name, at, params, varargs, kwargs, whole, rewritten, broken: false })
    }

    /// The range in its file that an error in it points at.
    pub fn place(&self, error: &Error) -> Range<usize> {
        renderer::place(error, &self.rewritten, &self.at.file, self.at.line_col().0)
    }

    /// Whether it takes named arguments that are not its parameters.
    pub fn takes_any(&self) -> bool {
        self.kwargs
    }

    /// The arguments of a call in the order of the parameters.
    pub fn bind(&self, args: &Args) -> Result<Vec<Value>, Error> {
        let shown = self.name.strip_prefix("test_").unwrap_or(&self.name);
        let mut bound: Vec<Value> = Vec::with_capacity(self.params.len() + 2);
        for (index, param) in self.params.iter().enumerate() {
            match (args.positional().get(index), args.named_value(&param.name)) {
                (Some(_), Some(_)) => {
                    return Err(problem(
                        "template-arguments",
                        format!("`{shown}()` gets `{}` twice", param.name),
                    ));
                }
                (Some(value), None) => bound.push(value.clone()),
                (None, Some(value)) => bound.push(value),
                (None, None) => bound.push(Value::UNDEFINED),
            }
        }
        let extra = args.positional().get(self.params.len()..).unwrap_or(&[]);
        if !extra.is_empty() && !self.varargs {
            let count = args.positional().len();
            return Err(problem(
                "template-arguments",
                format!("`{shown}()` takes {} arguments, {count} were given", self.params.len()),
            ));
        }
        let known = |name: &str| self.params.iter().any(|param| param.name == name);
        let others: Vec<&(String, Value)> =
            args.named().iter().filter(|(name, _)| !known(name) && name != "caller").collect();
        if let (Some((name, _)), false) = (others.first(), self.kwargs) {
            return Err(problem_near(
                "template-arguments",
                format!("`{shown}()` has no parameter `{name}`"),
                name,
                self.params.iter().map(|param| param.name.as_str()),
            ));
        }
        if self.varargs {
            bound.push(super::objects::list::List::value(extra.to_vec()));
        }
        if self.kwargs {
            let entries = others.iter().map(|(name, value)| (Value::from(name.as_str()), value.clone()));
            bound.push(super::objects::list::Dict::value(entries.collect()));
        }
        Ok(bound)
    }
}

/// The range of the closing tag of a block, minding blocks of the same kind in it.
fn block_end(source: &str, from: usize, word: &str, end_word: &str) -> Option<Range<usize>> {
    let mut at = from;
    let mut depth = 0;
    while let Some(piece) = next_piece(source, at) {
        at = piece.range.end;
        if piece.kind != PieceKind::Tag {
            continue;
        }
        let first = source[piece.inner.clone()].split_whitespace().next().unwrap_or("");
        if first == word {
            depth += 1;
        } else if first == end_word || (word == "data_test" && first == "endtest") {
            if depth == 0 {
                return Some(piece.range);
            }
            depth -= 1;
        }
    }
    None
}

/// The range of `{% enddocs %}`; what stands before it is text, whatever it looks like.
fn docs_end(source: &str, from: usize) -> Option<Range<usize>> {
    let mut at = from;
    loop {
        let open = at + source.get(at..)?.find("{%")?;
        let rest = &source[open + 2..];
        let close = open + 2 + rest.find("%}")?;
        if source[open + 2..close].trim_matches(['-', '+']).trim() == "enddocs" {
            return Some(open..close + 2);
        }
        at = open + 2;
    }
}
