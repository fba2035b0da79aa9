//! The shelf: macros and docs blocks as they were written, and which macro calls which, for those who list them.

use std::path::Path;

use super::lexer::{PieceKind, TokenKind, next_piece, tokens, unquoted};
use super::library::Macro;
use super::renderer::Renderer;

/// A macro or generic test as it was written.
#[derive(Debug, Clone)]
pub struct MacroText<'a> {
    /// Its package.
    pub package: &'a str,
    /// As it is called; a generic test's begins with `test_`.
    pub name: &'a str,
    /// Its file.
    pub path: &'a Path,
    /// All of it, tags included.
    pub text: &'a str,
    /// Names of its parameters.
    pub params: Vec<&'a str>,
}

/// A docs block as it was written.
#[derive(Debug, Clone)]
pub struct DocsText<'a> {
    /// Its package.
    pub package: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its file.
    pub path: &'a Path,
    /// What stands in it.
    pub text: &'a str,
}

impl Renderer {
    /// All macros and generic tests, those that Kiln brings along too, in the order read.
    pub fn macros(&self) -> impl Iterator<Item = MacroText<'_>> {
        self.core.library.macros.iter().map(|made| MacroText {
            package: &made.package,
            name: &made.name,
            path: &made.at.file.path,
            text: made.at.file.text.get(made.whole.clone()).unwrap_or_default(),
            params: made.params.iter().map(|param| param.name.as_str()).collect(),
        })
    }

    /// All docs blocks, in the order read.
    pub fn docs(&self) -> impl Iterator<Item = DocsText<'_>> {
        let library = &self.core.library;
        library.doc_blocks.iter().map(|block| DocsText {
            package: &block.package,
            name: &block.name,
            path: &block.file.path,
            text: library
                .docs
                .get(&(block.package.clone(), block.name.clone()))
                .map(String::as_str)
                .unwrap_or_default(),
        })
    }

    /// The package and name of each macro that a template or macro of `package` calls, in order of first use.
    pub fn calls(&self, package: &str, source: &str) -> Vec<(&str, &str)> {
        let library = &self.core.library;
        let project = &self.core.context.project;
        let mut found: Vec<usize> = Vec::new();
        let mut at = 0;
        while let Some(piece) = next_piece(source, at) {
            at = piece.range.end;
            if !matches!(piece.kind, PieceKind::Expression | PieceKind::Tag) {
                continue;
            }
            let all = tokens(source, piece.inner.clone());
            for (index, token) in all.iter().enumerate() {
                let is_called = all.get(index + 1).is_some_and(|next| next.is(b'('));
                if token.kind != TokenKind::Ident || !is_called {
                    continue;
                }
                let name = token.text(source);
                let before = |back: usize| index.checked_sub(back).and_then(|at| all.get(at));
                let owner = before(1).filter(|dot| dot.is(b'.')).and_then(|_| before(2));
                match owner.map(|owner| owner.text(source)) {
                    Some(_) if name == "dispatch" => {
                        let close = all[index..].iter().position(|token| token.is(b')'));
                        let inside = &all[index..index + close.unwrap_or(all.len() - index)];
                        let mut texts = inside.iter().filter(|token| token.kind == TokenKind::Text);
                        let Some(wanted) = texts.next().map(|text| unquoted(text, source)) else { continue };
                        let space = texts.next().map(|text| unquoted(text, source));
                        let names = [format!("duckdb__{wanted}"), format!("default__{wanted}")];
                        found.extend(names.iter().find_map(|name| {
                            let named = space.as_ref().and_then(|space| library.find(space, name));
                            library.find(project, name).or(named).or_else(|| library.find(package, name))
                        }));
                    }
                    Some(owner) => found.extend(library.find(owner, name)),
                    None => found.extend(library.lookup(package, project, name)),
                }
            }
        }
        let mut calls: Vec<(&str, &str)> = Vec::new();
        for Macro { package, name, .. } in found.into_iter().map(|index| &library.macros[index]) {
            let call = (&**package, name.as_str());
            if !calls.contains(&call) {
                calls.push(call);
            }
        }
        calls
    }

    /// The package and name of the macro behind a generic test.
    pub fn test_macro(&self, package: &str, test: &str) -> Option<(&str, &str)> {
        let made = &self.core.library.macros[self.test_index(package, test)?];
        Some((&*made.package, made.name.as_str()))
    }
}
