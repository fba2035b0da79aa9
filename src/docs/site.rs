//! The site: every page and file of it, made one after the other, for a folder or for one file.

use serde::Serialize;
use serde_json::{Value, json};

use super::assets::{ASSETS, LIVE, Slot, TEMPLATES};
use super::data::Graph;
use super::facts::Facts;
use super::pages::{self, Page};
use super::script::json as script;
use super::workers::in_order;
use super::write::LIST;
use super::{drawing, export, search};
use crate::error::Result;
use crate::template::html::{Html, escaped};

/// Where pages of a folder may take things from. Chromium and Firefox do not agree on whether a file is of the same
/// origin as its page, so files are named too; a page from the web cannot read any.
const CSP: &str = "default-src 'none'; script-src 'self' file:; style-src 'self' file: 'unsafe-inline'; \
                   img-src 'self' file: data: blob:; base-uri 'none'; form-action 'self' file:";

/// Pages that a single file holds as they are: each is some hundred elements, and a browser makes all of them.
const UNPACKED: usize = 300;

/// What a single file with more says where scripts do not run.
const PACKED: &str = "<noscript><p class=\"note\">The pages of this file are unpacked by a script. A folder, as \
                      <code>kiln docs generate</code> makes it, can be read without.</p></noscript>\n";

/// Whether SQL is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sql {
    /// On pages.
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

/// Takes a file of the site by its path, `/`-separated.
pub type Sink<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<()>;

/// What the frame of a page fills in.
#[derive(Debug, Clone, Default, Serialize)]
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

/// What a whole page fills in.
#[derive(Debug, Serialize)]
struct Whole<'a> {
    site: &'a Frame,
    page: &'a str,
    path: &'a str,
    node: Option<u32>,
    title: &'a str,
    main: &'a str,
}

/// What the content of a page fills in.
#[derive(Debug, Serialize)]
struct Content<'a> {
    site: Site<'a>,
    page: &'a str,
    path: &'a str,
    content: &'a Value,
}

/// What of a frame concerns the content of a page.
#[derive(Debug, Serialize)]
struct Site<'a> {
    project: &'a str,
    target: &'a str,
    root: &'a str,
    single: bool,
}

/// The paths of all files of the site of a folder, sorted.
pub fn files(facts: &Facts<'_>, options: &Options) -> Vec<String> {
    let data = ["graph.js", "search.js", "lineage.json", "graph.mmd", "graph.svg", "llms.txt"];
    let fixed = ["index.html", "graph.html", "releases.html", "search.html", LIST].map(str::to_owned);
    let mut files: Vec<String> = fixed
        .into_iter()
        .chain(facts.nodes.iter().map(|node| node.url.clone()))
        .chain(data.map(|name| format!("data/{name}")))
        .chain((0..facts.lineage.shard_count()).map(|shard| format!("data/cols/{shard}.js")))
        .chain(assets(options).map(|(name, _)| format!("assets/{name}")))
        .collect();
    files.sort();
    files
}

fn assets(options: &Options) -> impl Iterator<Item = (&'static str, &'static str)> {
    let live = options.live.is_some().then_some(("live.js", LIVE));
    ASSETS.iter().map(|asset| (asset.name, asset.text)).chain(live)
}

/// Makes the site of a folder.
///
/// # Errors
/// The sink's, or a template is broken, which is Kiln's own mistake.
pub fn folder(facts: &Facts<'_>, options: &Options, graph: &Graph, sink: Sink<'_>) -> Result<()> {
    let html = Html::new(TEMPLATES)?;
    let frames = ["", "../"].map(|root| folder_frame(facts, options, root));
    let make = |at: usize| {
        let page = pages::page(facts, &options.hide, at);
        let site = &frames[usize::from(page.path.contains('/'))];
        let main = content(&html, site, &page)?;
        let whole = Whole {
            site,
            page: page.kind,
            path: &page.path,
            node: page.node,
            title: &page.title,
            main: &main,
        };
        let text = html.render("base.html", whole)?;
        Ok((page.path, text))
    };
    in_order(pages::count(facts), facts.workspace.threads(), &make, &mut |(path, text)| {
        sink(&path, text.as_bytes())
    })?;
    for (name, text) in assets(options) {
        sink(&format!("assets/{name}"), text.as_bytes())?;
    }
    for (path, text) in scripts(facts, graph)? {
        sink(&path, text.as_bytes())?;
    }
    for (path, text) in exports(facts, graph)? {
        sink(path, text.as_bytes())?;
    }
    let manifest = export::manifest(facts, &files(facts, options));
    sink(LIST, format!("{}\n", script(&manifest)?).as_bytes())
}

/// Makes the site as one document, with everything in it.
///
/// # Errors
/// A template is broken, which is Kiln's own mistake.
pub fn single(facts: &Facts<'_>, options: &Options, graph: &Graph) -> Result<String> {
    let html = Html::new(TEMPLATES)?;
    let mut frame = Frame { single: true, ..frame(facts, options) };
    let mut main = String::new();
    let count = pages::count(facts);
    let make = |at: usize| {
        let page = pages::page(facts, &options.hide, at);
        let content = content(&html, &frame, &page)?;
        Ok(match count > UNPACKED && page.node.is_some() && can_be_packed(&content) {
            true => packed(&page, &content),
            false => section(&page, &content),
        })
    };
    if count > UNPACKED {
        main.push_str(PACKED);
    }
    in_order(count, facts.workspace.threads(), &make, &mut |section| {
        main.push_str(&section);
        Ok(())
    })?;
    let data: Vec<(String, String)> = scripts(facts, graph)?;
    // A text in the document can hold the nonce only if it knew it before, and it follows from all texts.
    let mut hasher = blake3::Hasher::new();
    hasher.update(main.as_bytes());
    data.iter().for_each(|(_, text)| {
        hasher.update(text.as_bytes());
    });
    let nonce = hasher.finalize().to_hex()[..32].to_owned();
    frame.csp = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    );
    let inline = |text: &str| format!("<script nonce=\"{nonce}\">\n{text}</script>\n");
    for asset in ASSETS {
        match asset.slot {
            Slot::Style => frame.head.push_str(&format!("<style>\n{}</style>\n", asset.text)),
            Slot::Head => frame.head.push_str(&inline(asset.text)),
            Slot::Body => {}
        }
    }
    data.iter().for_each(|(_, text)| frame.tail.push_str(&inline(text)));
    let body = ASSETS.iter().filter(|asset| asset.slot == Slot::Body);
    body.for_each(|asset| frame.tail.push_str(&inline(asset.text)));
    let title = &facts.workspace.manifest.project;
    html.render("base.html", Whole { site: &frame, page: "single", path: "", node: None, title, main: &main })
}

/// A page of a single file.
fn section(page: &Page, content: &str) -> String {
    let Page { path, kind, .. } = page;
    let node = page.node.map(|node| format!(" data-node=\"{node}\"")).unwrap_or_default();
    format!(
        "<section class=\"page page-{kind}\" id=\"/{path}\" data-path=\"{path}\" data-page=\"{kind}\" \
         data-title=\"{}\"{node}>\n{content}\n</section>\n",
        escaped(&page.title),
    )
}

/// A page of a single file that a script unpacks when it is asked for: until then it is text, which costs a browser
/// nothing.
fn packed(page: &Page, content: &str) -> String {
    let text = section(page, content);
    format!("<script type=\"text/html\" id=\"packed:/{}\">\n{text}</script>\n", page.path)
}

/// Whether nothing in it could end a script or hide its end. All text of users is escaped, so nothing does.
fn can_be_packed(content: &str) -> bool {
    let small = content.to_ascii_lowercase();
    !["<script", "</script", "<!--"].iter().any(|end| small.contains(end))
}

/// A page without its frame.
fn content(html: &Html, frame: &Frame, page: &Page) -> Result<String> {
    let Frame { project, target, root, single, .. } = frame;
    let site = Site { project, target, root, single: *single };
    html.render(page.template, Content { site, page: page.kind, path: &page.path, content: &page.content })
}

/// The data that scripts read, by path.
fn scripts(facts: &Facts<'_>, graph: &Graph) -> Result<Vec<(String, String)>> {
    let mut all = vec![
        ("data/graph.js".to_owned(), format!("window.__KILN = {};\n", script(graph)?)),
        (
            "data/search.js".to_owned(),
            format!("window.__KILN_SEARCH = {};\n", script(&search::search(facts))?),
        ),
    ];
    for (number, shard) in facts.lineage.shards(&facts.nodes).iter().enumerate() {
        let text =
            format!("(window.__KILN_COLS = window.__KILN_COLS || {{}})[{number}] = {};\n", script(shard)?);
        all.push((format!("data/cols/{number}.js"), text));
    }
    Ok(all)
}

/// What other programs read, by path.
fn exports(facts: &Facts<'_>, graph: &Graph) -> Result<[(&'static str, String); 4]> {
    Ok([
        ("data/lineage.json", facts.masked(&format!("{}\n", script(&export::lineage(facts))?))),
        ("data/graph.mmd", export::mermaid(facts)),
        ("data/graph.svg", export::svg(graph)),
        ("data/llms.txt", export::llms(facts)),
    ])
}

/// What all frames show.
fn frame(facts: &Facts<'_>, options: &Options) -> Frame {
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
        live: options.live.clone(),
        nav: nav.map(|(page, url, label)| json!({"page": page, "url": url, "label": label})).to_vec(),
        run,
        ..Frame::default()
    }
}

/// The frame of a page of a folder.
fn folder_frame(facts: &Facts<'_>, options: &Options, root: &'static str) -> Frame {
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
    Frame { root, csp, head, tail, ..frame(facts, options) }
}
