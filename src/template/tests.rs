//! Templates in, SQL and messages out.

mod hostile;
mod messages;
mod rendering;
mod same_bytes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::*;
use crate::diagnostic::Style;

pub(super) fn context() -> Context {
    let mut vars = Object::new();
    vars.insert("first_day".into(), "2026-11-01".into());
    vars.insert("levels".into(), serde_json::json!(["a", "b"]));
    Context {
        project: "shop".into(),
        target: TargetView {
            name: "dev".into(),
            schema: "main".into(),
            database: "shop".into(),
            kind: "duckdb".into(),
            threads: 4,
            extra: Object::new(),
        },
        vars,
        package_vars: BTreeMap::new(),
        env: Arc::new(|name| match name {
            "HOME_TOWN" => Some("Basel".into()),
            "KILN_SECRET_KEY" => Some("hush".into()),
            _ => None,
        }),
        invocation_id: "the-id".into(),
        run_started_at: "2026-11-22T10:41:59Z".parse().expect("a timestamp"),
        clock: Clock::default(),
        flags: Object::new(),
    }
}

pub(super) fn macro_file(text: &str) -> MacroFile {
    MacroFile { package: "shop".into(), file: SourceFile::new("macros/m.sql", text) }
}

pub(super) fn renderer(macros: &str) -> Renderer {
    let (renderer, diagnostics) = Renderer::new(context(), vec![macro_file(macros)], Vec::new(), Vec::new());
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(Style::Plain));
    renderer
}

pub(super) fn template(text: &str) -> Template {
    Template {
        id: NodeId::new("model", "shop", "m"),
        package: "shop".into(),
        name: "m".into(),
        file: SourceFile::new("models/m.sql", text),
    }
}

/// Answers anything, and notes the queries.
#[derive(Default)]
pub(super) struct Answers(pub Mutex<Vec<String>>);

impl Resolve for Answers {
    fn reference(&self, package: Option<&str>, name: &str) -> Result<(NodeId, Relation), String> {
        match name {
            "missing" => Err("there is no model `missing`".into()),
            _ => Ok((NodeId::new("model", package.unwrap_or("shop"), name), Relation::new("curated", name))),
        }
    }

    fn source(&self, source: &str, table: &str) -> Result<(NodeId, Relation), String> {
        Ok((NodeId::new("source", "shop", &format!("{source}.{table}")), Relation::new(source, table)))
    }

    fn query(&self, sql: &Rendered) -> Result<QueryTable, String> {
        self.0.lock().expect("a lock").push(sql.sql.clone());
        Ok(QueryTable {
            columns: vec!["status".into(), "n".into()],
            rows: vec![vec!["open".into(), 2.into()], vec!["paid".into(), 5.into()]],
        })
    }

    fn columns(&self, _: &NodeId, _: &Relation) -> Result<Vec<(String, String)>, String> {
        Ok(vec![("id".into(), "BIGINT".into()), ("name".into(), "VARCHAR".into())])
    }
}

pub(super) fn rendered_with(macros: &str, text: &str) -> Rendered {
    let renderer = renderer(macros);
    let template = template(text);
    let result = renderer.render(&template, None, &Object::new(), &Answers::default());
    result.unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render(Style::Plain)))
}

pub(super) fn sql(macros: &str, text: &str) -> String {
    rendered_with(macros, text).sql
}

/// Every failure of reading the macros and rendering the template, as it is shown.
pub(super) fn failure(macros: &str, text: &str) -> String {
    let (renderer, diagnostics) = Renderer::new(context(), vec![macro_file(macros)], Vec::new(), Vec::new());
    if !diagnostics.is_empty() {
        return diagnostics.render(Style::Plain);
    }
    match renderer.render(&template(text), None, &Object::new(), &Answers::default()) {
        Ok(rendered) => format!("no failure: {}", rendered.sql),
        Err(diagnostics) => diagnostics.render(Style::Plain),
    }
}
