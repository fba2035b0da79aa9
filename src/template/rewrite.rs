//! A template as minijinja gets it: the same template, with marks before each line of text and with the few
//! constructs of dbt's Jinja that minijinja lacks put in other words. Every byte knows where it came from.
//!
//! What is put in other words: list and dict literals become objects that can be changed, `ref`, `source` and
//! `config` calls carry their place, `{% set %}` and `{% filter %}` blocks take line marks out of what they capture,
//! `'…' % x` becomes a filter, macros inside a template are wrapped so that `return` works in them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use super::lexer::{Piece, PieceKind, Token, TokenKind, next_piece, tokens, unquoted};
use super::marker;

/// A rewritten template.
#[derive(Debug, Default)]
pub(super) struct Rewritten {
    /// What minijinja compiles.
    pub text: String,
    /// Pairs of (place in `text`, place in the source) where a run of copied bytes begins, ascending.
    map: Vec<(usize, usize)>,
    /// Names that are called, and names that are dispatched to.
    pub calls: BTreeSet<String>,
    /// The first tag, or the last block, that is never closed: its word and its place.
    pub open: Option<(String, Range<usize>)>,
    /// Uses something that only a database can answer.
    pub asks: bool,
}

impl Rewritten {
    /// Puts text of Kiln's own before all of it.
    pub fn prefix(&mut self, text: &str) {
        self.text.insert_str(0, text);
        self.map.iter_mut().for_each(|(out, _)| *out += text.len());
    }

    /// The place in the source of a place in `text`.
    pub fn source_offset(&self, at: usize) -> usize {
        let index = self.map.partition_point(|(out, _)| *out <= at);
        let Some((out, source)) = index.checked_sub(1).and_then(|index| self.map.get(index)) else {
            return self.map.first().map_or(0, |(_, source)| *source);
        };
        let end = self.map.get(index).map_or(usize::MAX, |(_, source)| *source);
        (source + (at - out)).min(end.max(*source))
    }

    /// The range in the source of a range in `text`.
    pub fn source_range(&self, range: Range<usize>) -> Range<usize> {
        let start = self.source_offset(range.start);
        let end = self.source_offset(range.end.saturating_sub(1)) + 1;
        start..end.max(start)
    }
}

/// How many bytes of text in a loop are not worth counting: the limit of steps bounds them well enough.
const FREE_TEXT: usize = 64;

/// Functions that only a database can answer.
const ASKING: &[&str] = &["run_query", "statement", "load_result", "load_relation", "get_columns_in_query"];
const ASKING_METHODS: &[&str] = &[
    "get_columns_in_relation",
    "get_relation",
    "get_relations_by_pattern",
    "get_missing_columns",
    "check_schema_exists",
    "execute",
];
const KEYWORDS: &[&str] =
    &["in", "if", "else", "elif", "not", "and", "or", "is", "set", "do", "call", "for", "recursive"];

/// Rewrites a file or parts of one.
pub(super) struct Rewriter<'s> {
    source: &'s str,
    file: u32,
    out: Rewritten,
    /// Up to where lines were counted, and the line there.
    counted: (usize, u32),
    /// The line whose text has its mark.
    marked: u32,
    /// Macros inside the template that are still open.
    locals: Vec<String>,
    /// Blocks that are still open.
    blocks: Vec<(String, Range<usize>)>,
    broken: Option<(String, Range<usize>)>,
    /// Names that get a value somewhere in the file, once they are needed.
    assigned: Option<BTreeSet<&'s str>>,
}

impl<'s> Rewriter<'s> {
    /// Starts on a file; `file` is the number that marks carry.
    pub fn new(source: &'s str, file: u32) -> Self {
        let out =
            Rewritten { text: String::with_capacity(source.len() * 3 / 2 + 64), ..Rewritten::default() };
        Self {
            source,
            file,
            out,
            counted: (0, 1),
            marked: 0,
            locals: Vec::new(),
            blocks: Vec::new(),
            broken: None,
            assigned: None,
        }
    }

    /// Ends the work.
    pub fn finish(self) -> Rewritten {
        self.out
    }

    /// Adds text of Kiln's own.
    pub fn insert(&mut self, text: &str) {
        self.out.text.push_str(text);
    }

    /// Adds source text as it stands.
    pub fn copy(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.out.map.push((self.out.text.len(), range.start));
        self.out.text.push_str(&self.source[range]);
    }

    fn line(&mut self, at: usize) -> u32 {
        let (from, line) = self.counted;
        let newlines = |range: Range<usize>| {
            self.source.as_bytes()[range].iter().filter(|byte| **byte == b'\n').count() as u32
        };
        let line = match at >= from {
            true => line + newlines(from..at),
            false => 1 + newlines(0..at),
        };
        self.counted = (at, line);
        line
    }

    fn mark(&mut self, at: usize) -> Option<String> {
        let line = self.line(at);
        if line == self.marked {
            return None;
        }
        self.marked = line;
        let mut text = String::with_capacity(20);
        marker::push_line(&mut text, self.file, line);
        Some(text)
    }

    /// Rewrites a range of the source that is a body: texts, tags and expressions.
    pub fn body(&mut self, range: Range<usize>) {
        let source = &self.source[..range.end];
        let mut at = range.start;
        while let Some(piece) = next_piece(source, at) {
            at = piece.range.end;
            match piece.kind {
                PieceKind::Text => self.text(piece.range),
                PieceKind::Comment => self.copy(piece.range),
                PieceKind::Broken => {
                    let open = piece.range.start..piece.range.start + 2;
                    self.broken = Some((source[open.clone()].to_owned(), open));
                    self.copy(piece.range);
                }
                PieceKind::Raw => {
                    self.copy(piece.range.start..piece.inner.start);
                    self.text(piece.inner.clone());
                    self.copy(piece.inner.end..piece.range.end);
                }
                PieceKind::Expression => self.written(&piece),
                PieceKind::Tag => self.tag(&piece),
            }
        }
        self.out.open = self.broken.take().or(self.blocks.pop());
    }

    fn text(&mut self, range: Range<usize>) {
        // text in a loop is counted, so that it cannot fill the memory
        let mut uncounted = range.len() > FREE_TEXT && self.blocks.iter().any(|(word, _)| word == "for");
        let length = range.len();
        let mut at = range.start;
        for line in self.source[range].split_inclusive('\n') {
            let blank = line.len() - line.trim_start().len();
            if blank == line.len() {
                self.copy(at..at + line.len());
            } else {
                self.copy(at..at + blank);
                if std::mem::take(&mut uncounted) {
                    let _ = write!(self.out.text, "{{{{kiln_wrote({length})}}}}");
                }
                if let Some(mark) = self.mark(at + blank) {
                    self.insert(&mark);
                }
                self.copy(at + blank..at + line.len());
            }
            at += line.len();
        }
    }

    fn written(&mut self, piece: &Piece) {
        let start = piece.range.start;
        let strips = self.source.as_bytes().get(start + 2) == Some(&b'-');
        match (self.mark(start), strips) {
            (Some(mark), false) => {
                self.insert(&mark);
                self.copy(start..piece.inner.start);
            }
            // a mark before `{{-` would keep the blanks that it strips, so it goes into a tag of its own
            (Some(mark), true) => {
                self.copy(start..piece.inner.start);
                let _ = write!(self.out.text, "'{mark}'}}}}{{{{");
            }
            (None, _) => self.copy(start..piece.inner.start),
        }
        self.expression(piece.inner.clone());
        self.copy(piece.inner.end..piece.range.end);
    }

    fn tag(&mut self, piece: &Piece) {
        let all = tokens(self.source, piece.inner.clone());
        let word = all.first().filter(|token| token.kind == TokenKind::Ident);
        let open = piece.range.start..piece.inner.start;
        let close = piece.inner.end..piece.range.end;
        let word_text = word.map_or("", |token| token.text(self.source));
        match word_text.strip_prefix("end") {
            Some(opened) if self.blocks.last().is_some_and(|(word, _)| word == opened) => {
                self.blocks.pop();
            }
            _ => {
                let block = match word_text {
                    "set" => !all.iter().any(|token| token.is(b'=')),
                    word => matches!(word, "if" | "for" | "call" | "filter" | "macro" | "with"),
                };
                if block {
                    self.blocks.push((word_text.to_owned(), piece.range.clone()));
                }
            }
        }
        match word.map(|token| token.text(self.source)) {
            Some("set") => {
                let mut depth = 0;
                let mut assigns = false;
                for token in &all {
                    match token.kind {
                        TokenKind::Punct(b'(' | b'[' | b'{') => depth += 1,
                        TokenKind::Punct(b')' | b']' | b'}') => depth -= 1,
                        TokenKind::Punct(b'=') if depth == 0 => {
                            assigns = true;
                            break;
                        }
                        TokenKind::Punct(b'|') => break,
                        _ => {}
                    }
                }
                self.copy(open);
                if assigns
                    && let Some(at) =
                        all.iter().position(|token| token.is(b'=')).filter(|_| grows(&all, self.source))
                {
                    self.tokens(piece.inner.start..all[at].end, &all[..=at]);
                    self.insert(" (");
                    self.tokens(all[at].end..piece.inner.end, &all[at + 1..]);
                    // What is wrong with the value is said where its expression begins; the first pair ends the run
                    // that was copied.
                    self.out.map.push((self.out.text.len(), piece.inner.end));
                    let start = all.get(at + 1).map_or(all[at].end, |token| token.start);
                    self.out.map.push((self.out.text.len(), start));
                    self.insert(")|kiln_fit ");
                } else if assigns {
                    self.tokens(piece.inner.clone(), &all);
                } else {
                    match all.iter().find(|token| token.is(b'|')) {
                        Some(pipe) => {
                            self.copy(piece.inner.start..pipe.end);
                            self.insert("kiln_keep|");
                            self.expression(pipe.end..piece.inner.end);
                        }
                        None => {
                            self.copy(piece.inner.clone());
                            self.insert("|kiln_keep ");
                        }
                    }
                }
                self.copy(close);
            }
            Some("filter") => {
                let word = word.map_or(piece.inner.start, |token| token.end);
                self.copy(open.start..word);
                self.insert(" kiln_keep|");
                self.expression(word..piece.inner.end);
                self.copy(close);
            }
            Some("macro") => {
                if let Some(name) = all.get(1) {
                    self.locals.push(name.text(self.source).to_owned());
                }
                self.copy(open);
                self.tokens(piece.inner.clone(), &all);
                self.copy(close);
            }
            Some(word @ ("for" | "with")) if grows(&all, self.source) => {
                self.copy(open);
                self.tokens(piece.inner.clone(), &all);
                let names = given(&all, word, self.source).join(",");
                let _ = write!(self.out.text, "%}}{{% do kiln_fit({names}) ");
                self.copy(close);
            }
            Some("endmacro") => {
                self.copy(open.start..piece.inner.end);
                match self.locals.pop() {
                    Some(name) => {
                        let _ = write!(self.out.text, "%}}{{% set {name} = kiln_local({name}) ");
                        self.copy(close);
                    }
                    None => self.copy(close),
                }
            }
            _ => {
                self.copy(open);
                self.tokens(piece.inner.clone(), &all);
                self.copy(close);
            }
        }
    }

    /// Rewrites a range of the source that is an expression.
    pub fn expression(&mut self, range: Range<usize>) {
        let all = tokens(self.source, range.clone());
        self.tokens(range, &all);
    }

    fn tokens(&mut self, range: Range<usize>, all: &[Token]) {
        let source = self.source;
        let mut copied = range.start;
        // for each bracket that is open: whether it was wrapped
        let mut open: Vec<bool> = Vec::new();
        // closing parentheses owed after a token
        let mut owed: Vec<(usize, &'static str)> = Vec::new();
        for (index, token) in all.iter().enumerate() {
            let before = index.checked_sub(1).map(|index| all[index]);
            let after = all.get(index + 1);
            match token.kind {
                TokenKind::Punct(b'[' | b'{') => {
                    let literal = before.is_none_or(|before| match before.kind {
                        TokenKind::Ident => KEYWORDS.contains(&before.text(source)),
                        TokenKind::Punct(byte) => !matches!(byte, b')' | b']' | b'}'),
                        _ => false,
                    });
                    if literal {
                        self.copy(copied..token.start);
                        self.insert(if token.is(b'[') { "kiln_list(" } else { "kiln_dict(" });
                        copied = token.start;
                    }
                    open.push(literal);
                }
                TokenKind::Punct(b'(') => open.push(false),
                TokenKind::Punct(b')' | b']' | b'}') if open.pop() == Some(true) => {
                    self.copy(copied..token.end);
                    self.insert(")");
                    copied = token.end;
                }
                TokenKind::Punct(b'%') if before.is_some_and(|before| before.kind == TokenKind::Text) => {
                    if let Some(last) = operand(all, index + 1, source) {
                        self.copy(copied..token.start);
                        self.insert("|kiln_percent(");
                        copied = token.end;
                        owed.push((all[last].end, ")"));
                    }
                }
                TokenKind::Ident => {
                    let name = token.text(source);
                    if self.is_doubtful(before, name, after) {
                        self.copy(copied..token.start);
                        let _ = write!(self.out.text, "kiln_truth('{name}',");
                        self.copy(token.start..token.end);
                        self.insert(")");
                        copied = token.end;
                    }
                    let member = before.is_some_and(|before| before.is(b'.'));
                    let called = after.is_some_and(|after| after.is(b'('));
                    if member && ASKING_METHODS.contains(&name) || !member && name == "graph" {
                        self.out.asks = true;
                    }
                    if called {
                        if !member && ASKING.contains(&name) {
                            self.out.asks = true;
                        }
                        if member
                            && name == "dispatch"
                            && let Some(text) = all[index..].iter().find(|t| t.kind == TokenKind::Text)
                        {
                            let text = unquoted(text, source);
                            self.out.calls.insert(format!("duckdb__{text}"));
                            self.out.calls.insert(format!("default__{text}"));
                        }
                        self.out.calls.insert(name.to_owned());
                        let piped = before.is_some_and(|before| before.is(b'|'));
                        if !member && !piped && matches!(name, "ref" | "source" | "config") {
                            self.copy(copied..token.start);
                            let place = u64::from(self.file) << 32 | token.start as u64;
                            let _ = write!(self.out.text, "kiln_at({place},");
                            self.copy(token.start..token.end);
                            self.insert(")");
                            copied = token.end;
                        }
                    }
                }
                _ => {}
            }
            while owed.last().is_some_and(|(end, _)| *end <= token.end) {
                self.copy(copied..token.end);
                copied = token.end.max(copied);
                if let Some((_, text)) = owed.pop() {
                    self.insert(text);
                }
            }
        }
        self.copy(copied..range.end);
    }
}

impl<'s> Rewriter<'s> {
    /// Whether a name is all of a condition and gets a value nowhere in the file. Jinja takes such a name, if there
    /// is nothing of that name, for false, and a slip of the hand goes unseen.
    fn is_doubtful(&mut self, before: Option<Token>, name: &str, after: Option<&Token>) -> bool {
        let source = self.source;
        let word = |token: &Token, words: &[&str]| {
            token.kind == TokenKind::Ident && words.contains(&token.text(source))
        };
        let begins = before.is_some_and(|before| word(&before, &["if", "elif", "and", "or", "not"]));
        let ends = after.is_none_or(|after| word(after, &["and", "or", "else"]));
        if !begins || !ends || KNOWN.contains(&name) || KEYWORDS.contains(&name) {
            return false;
        }
        !self.assigned.get_or_insert_with(|| assigned(source)).contains(name)
    }
}

/// Names that are always there, or are there by rules of their own.
const KNOWN: &[&str] = &[
    "execute", "this", "true", "false", "none", "True", "False", "None", "loop", "caller", "varargs",
    "kwargs", "model", "node",
];

/// Whether what stands in a tag can be much larger than what it is made of.
fn grows(all: &[Token], source: &str) -> bool {
    all.iter().enumerate().any(|(index, token)| match token.kind {
        TokenKind::Punct(b'~' | b'+' | b'*') => true,
        // A tuple: the only list that is not Kiln's own.
        TokenKind::Punct(b'(') => {
            let before = index.checked_sub(1).map(|at| &all[at]);
            before.is_none_or(|before| {
                before.kind != TokenKind::Ident || KEYWORDS.contains(&before.text(source))
            })
        }
        TokenKind::Ident => token.text(source) == "namespace",
        _ => false,
    })
}

/// The names that a `for` or a `with` gives values to.
fn given<'s>(all: &[Token], word: &str, source: &'s str) -> Vec<&'s str> {
    let inner = &all[1..];
    let is_name = |token: &&Token| token.kind == TokenKind::Ident;
    if word == "for" {
        let names = inner.iter().take_while(|token| token.text(source) != "in");
        return names.filter(is_name).map(|token| token.text(source)).collect();
    }
    let mut depth = 0;
    let mut names = Vec::new();
    for (at, token) in inner.iter().enumerate() {
        match token.kind {
            TokenKind::Punct(b'(' | b'[' | b'{') => depth += 1,
            TokenKind::Punct(b')' | b']' | b'}') => depth -= 1,
            TokenKind::Ident if depth == 0 && inner.get(at + 1).is_some_and(|next| next.is(b'=')) => {
                names.push(token.text(source));
            }
            _ => {}
        }
    }
    names
}

/// Names that get a value anywhere in a file.
pub(super) fn assigned(source: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let mut at = 0;
    while let Some(piece) = next_piece(source, at) {
        at = piece.range.end;
        if piece.kind != PieceKind::Tag {
            continue;
        }
        let all = tokens(source, piece.inner);
        let word = all.first().map_or("", |token| token.text(source));
        let idents = all.iter().skip(1).filter(|token| token.kind == TokenKind::Ident);
        match word {
            "set" | "for" => {
                let targets =
                    all.iter().skip(1).take_while(|token| !token.is(b'=') && token.text(source) != "in");
                names.extend(targets.map(|token| token.text(source)));
            }
            "macro" | "test" | "data_test" | "call" | "with" | "import" | "from" => {
                names.extend(idents.map(|token| token.text(source)));
            }
            _ => {}
        }
    }
    names
}

/// The last token of the operand that begins at `index`: a name, text, number or bracket with what is hung on it.
fn operand(all: &[Token], index: usize, source: &str) -> Option<usize> {
    let mut at = index;
    match all.get(at)?.kind {
        TokenKind::Punct(b'(' | b'[' | b'{') => at = closing(all, at)?,
        TokenKind::Ident if KEYWORDS.contains(&all[at].text(source)) => return None,
        TokenKind::Ident | TokenKind::Text | TokenKind::Number => {}
        TokenKind::Punct(_) => return None,
    }
    while let Some(next) = all.get(at + 1) {
        match next.kind {
            TokenKind::Punct(b'(' | b'[') => at = closing(all, at + 1)?,
            TokenKind::Punct(b'.' | b'|') => at += 2,
            _ => break,
        }
    }
    (at < all.len()).then_some(at)
}

fn closing(all: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (index, token) in all.iter().enumerate().skip(open) {
        match token.kind {
            TokenKind::Punct(b'(' | b'[' | b'{') => depth += 1,
            TokenKind::Punct(b')' | b']' | b'}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index);
        }
    }
    None
}
