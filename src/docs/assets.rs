//! Assets: the scripts and the style sheet, as they stand in this folder.

/// Where an asset goes in a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// A style sheet in the head.
    Style,
    /// A script in the head that runs before anything is painted.
    Head,
    /// A script that runs when the page is there, in the order of [`ASSETS`].
    Body,
}

/// A file of `assets/`.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its name in `assets/`.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// Where it goes.
    pub slot: Slot,
}

/// All of them. The scripts are classic ones: a page from a folder may not load modules.
pub const ASSETS: &[Asset] = &[
    Asset { name: "app.css", text: include_str!("assets/app.css"), slot: Slot::Style },
    Asset { name: "theme.js", text: include_str!("assets/theme.js"), slot: Slot::Head },
    Asset { name: "app.js", text: include_str!("assets/app.js"), slot: Slot::Body },
    Asset { name: "search.js", text: include_str!("assets/search.js"), slot: Slot::Body },
    Asset { name: "filters.js", text: include_str!("assets/filters.js"), slot: Slot::Body },
    Asset { name: "graph-model.js", text: include_str!("assets/graph-model.js"), slot: Slot::Body },
    Asset { name: "graph-layout.js", text: include_str!("assets/graph-layout.js"), slot: Slot::Body },
    Asset { name: "graph-draw.js", text: include_str!("assets/graph-draw.js"), slot: Slot::Body },
    Asset { name: "graph.js", text: include_str!("assets/graph.js"), slot: Slot::Body },
];

/// What `kiln docs serve` adds, so that a page is loaded again when the site was made anew.
pub const LIVE: &str = include_str!("assets/live.js");

/// What every template is called, and its text.
pub const TEMPLATES: &[(&str, &str)] = &[
    ("base.html", include_str!("templates/base.html")),
    ("macros.html", include_str!("templates/macros.html")),
    ("parts.html", include_str!("templates/parts.html")),
    ("index.html", include_str!("templates/index.html")),
    ("model.html", include_str!("templates/model.html")),
    ("source.html", include_str!("templates/source.html")),
    ("consumer.html", include_str!("templates/consumer.html")),
    ("releases.html", include_str!("templates/releases.html")),
    ("graph.html", include_str!("templates/graph.html")),
    ("search.html", include_str!("templates/search.html")),
];
