//! The site: every file of it, by its path, before any of it is written.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::assets::{ASSETS, LIVE, Slot, TEMPLATES};
use super::facts::Facts;
use super::pages::{self, Page};
use super::script::json as script;
use super::{drawing, search};
use crate::error::Result;
use crate::template::html::Html;

/// Where pages of a folder may take things from.
const CSP: &str = "default-src 'none'; script-src 'self' file:; style-src 'self' file: 'unsafe-inline'; \
                   img-src 'self' file: data: blob:; base-uri 'none'; form-action 'self' file:";

/// Whether SQL is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sql {
    /// On pages and in exports.
    #[default]
    Show,
    /// Nowhere.
    Hide,
}

/// Whether values out of the data are shown: rejected rows, what DuckDB quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Samples {
    /// Where they explain something.
    #[default]
    Show,
    /// Nowhere.
    Hide,
}

/// What is left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hide {
    /// SQL.
    pub sql: Sql,
    /// Data.
    pub samples: Samples,
}

/// How the site is made.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What is left out.
    pub hide: Hide,
    /// For `kiln docs serve`: the number of this making.
    pub live: Option<String>,
}

/// Files by path, `/`-separated.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What the frame of a page fills in.
#[derive(Debug, Clone, Serialize)]
struct Frame {
    project: String,
    target: String,
    root: &'static str,
    single: bool,
    live: Option<String>,
    csp: String,
    nav: Vec<Value>,
    run: Option<Value>,
    head: String,
    tail: String,
}

/// Makes the site of a folder.
///
/// # Errors
/// A template is broken, which is Kiln's own mistake.
pub fn folder(facts: &Facts<'_>, options: &Options) -> Result<Files> {
    let html = Html::new(TEMPLATES)?;
    let mut files = Files::new();
    for at in 0..pages::count(facts) {
        let page = pages::page(facts, &options.hide, at);
        let text = in_frame(facts, options, &html, &page)?;
        files.insert(page.path, text.into_bytes());
    }
    for asset in ASSETS {
        files.insert(format!("assets/{}", asset.name), asset.text.into());
    }
    if options.live.is_some() {
        files.insert("assets/live.js".into(), LIVE.into());
    }
    let graph = format!("window.__KILN = {};\n", script(&drawing::graph(facts, None))?);
    files.insert("data/graph.js".into(), graph.into_bytes());
    let rows = format!("window.__KILN_SEARCH = {};\n", script(&search::search(facts))?);
    files.insert("data/search.js".into(), rows.into_bytes());
    for (number, shard) in facts.lineage.shards(&facts.nodes).iter().enumerate() {
        let text =
            format!("(window.__KILN_COLS = window.__KILN_COLS || {{}})[{number}] = {};\n", script(shard)?);
        files.insert(format!("data/cols/{number}.js"), text.into_bytes());
    }
    Ok(files)
}

fn in_frame(facts: &Facts<'_>, options: &Options, html: &Html, page: &Page) -> Result<String> {
    let root = if page.path.contains('/') { "../" } else { "" };
    let frame = frame(facts, options, root);
    let content = json!({"site": frame, "page": page.kind, "path": page.path, "content": page.content});
    let main = html.render(page.template, &content)?;
    html.render(
        "base.html",
        json!({
            "site": frame,
            "page": page.kind,
            "path": page.path,
            "node": page.node,
            "title": page.title,
            "main": main,
        }),
    )
}

fn frame(facts: &Facts<'_>, options: &Options, root: &'static str) -> Frame {
    let mut csp = CSP.to_owned();
    let (mut head, mut tail) = (String::new(), String::new());
    for asset in ASSETS {
        let address = format!("{root}assets/{}", asset.name);
        match asset.slot {
            Slot::Style => head.push_str(&format!("<link rel=\"stylesheet\" href=\"{address}\">\n")),
            Slot::Head => head.push_str(&format!("<script src=\"{address}\"></script>\n")),
            Slot::Body => tail.push_str(&format!("<script src=\"{address}\"></script>\n")),
        }
    }
    if options.live.is_some() {
        tail.push_str(&format!("<script src=\"{root}assets/live.js\"></script>\n"));
        csp.push_str("; connect-src 'self'");
    }
    let nav = [
        ("index", "index.html", "Overview"),
        ("graph", "graph.html", "Lineage"),
        ("releases", "releases.html", "Releases"),
    ];
    let run = drawing::run(facts).map(
        |run| json!({"at": run.at, "iso": format!("{}Z", run.at.replace(' ', "T")), "release": run.release}),
    );
    Frame {
        project: facts.workspace.manifest.project.clone(),
        target: facts.workspace.target.name.clone(),
        root,
        single: false,
        live: options.live.clone(),
        csp,
        nav: nav.map(|(page, url, label)| json!({"page": page, "url": url, "label": label})).to_vec(),
        run,
        head,
        tail,
    }
}
