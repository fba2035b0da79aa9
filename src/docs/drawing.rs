//! Drawing: the graph of nodes, and the same folded into groups, with the place of every box.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::columns::SHARD;
use super::data::{Diff, Graph, Group, Grouping, Node, Run};
use super::diff::{Overlay, Removed};
use super::facts::{Facts, NodeFacts};
use super::layout::{BOX_HEIGHT, BOX_WIDTH, Drawing, layout};
use super::status::Status;

/// Groups of one collapsed drawing at most.
const GROUPS: usize = 300;

/// The graph of everything.
pub fn graph(facts: &Facts<'_>, diff: Option<&Overlay>) -> Graph {
    let gone = diff.map_or(&[][..], |diff| &diff.removed);
    let gone_layer = |gone: &Removed| {
        let is = |key: &str| facts.layers.iter().position(|layer| layer.key == key);
        let seed = gone.id.as_ref().filter(|id| id.starts_with("seed.")).and_then(|_| is("seeds"));
        let layer = || gone.folders.iter().find_map(|folder| is(folder));
        // Where nothing says it, it stands with the models.
        let first = || facts.layers.iter().position(|layer| !["sources", "seeds"].contains(&&*layer.key));
        seed.or_else(layer).or_else(|| is("none")).or_else(first).unwrap_or(0) as u32
    };
    let bands: Vec<u32> =
        facts.nodes.iter().map(|node| node.layer).chain(gone.iter().map(gone_layer)).collect();
    let edges = facts.edges();
    let band_count = facts.layers.len() as u32;
    let laid = layout(&Drawing { bands: &bands, band_count, edges: &edges });
    let fresh = fresh(facts);
    let node = |(node, place): (&NodeFacts<'_>, &super::layout::Place)| {
        let newest = facts.builds(node).last();
        Node {
            id: facts.masked(node.id.as_str()),
            name: facts.masked(&node.name),
            kind: node.kind(),
            layer: node.layer,
            url: node.url.clone(),
            status: node.verdict.status.key(),
            why: node.verdict.why.clone(),
            mat: node.made_as().to_owned(),
            folder: node.folder(),
            owner: facts.masked(&node.owner_line()),
            tags: node.tags().iter().map(|tag| facts.masked(tag)).collect(),
            rows: facts.rows(node),
            seconds: newest.and_then(|build| build.seconds).map(rounded),
            built: facts.made_at(node).map(str::to_owned),
            fresh: fresh.contains(node.name.as_str()),
            columns: node.columns.len() as u32,
            up: node.up,
            down: node.down,
            rank: place.rank,
            order: place.order,
            x: place.x,
            y: place.y,
            diff: None,
        }
    };
    let mut nodes: Vec<Node> = facts.nodes.iter().zip(&laid.places).map(node).collect();
    for (gone, place) in gone.iter().zip(&laid.places[facts.nodes.len()..]) {
        nodes.push(Node {
            id: gone.id.clone().unwrap_or_else(|| format!("removed.{}", gone.name)),
            name: gone.name.clone(),
            kind: "model",
            layer: gone_layer(gone),
            status: Status::None.key(),
            rank: place.rank,
            order: place.order,
            x: place.x,
            y: place.y,
            diff: Some("removed"),
            ..Node::default()
        });
    }
    for (number, label) in diff.iter().flat_map(|diff| &diff.labels) {
        nodes[*number as usize].diff = Some(label);
    }
    let groups = [
        ("layer", (|_: &Node| String::new()) as fn(&Node) -> String),
        ("folder", |node| node.folder.clone()),
        ("tag", |node| node.tags.first().cloned().unwrap_or_default()),
        ("owner", |node| node.owner.clone()),
    ];
    let groups = groups.map(|(by, name)| (by, grouping(&nodes, &edges, band_count, name)));
    Graph {
        version: 1,
        project: facts.workspace.manifest.project.clone(),
        target: facts.workspace.target.name.clone(),
        run: run(facts),
        layers: facts.layers.clone(),
        statuses: Status::ALL.map(Status::word).to_vec(),
        nodes,
        edges,
        boxed: [BOX_WIDTH, BOX_HEIGHT],
        size: laid.size,
        bands: laid.bands,
        groups: BTreeMap::from(groups),
        shard: SHARD,
        diff: diff.map(|diff| Diff { base: diff.base.clone(), counts: diff.counts() }),
    }
}

/// Milliseconds are enough.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// The newest run.
pub fn run(facts: &Facts<'_>) -> Option<Run> {
    let run = facts.memory.runs.first()?;
    Some(Run {
        id: run.id.clone(),
        at: run.ended.clone().unwrap_or_else(|| run.started.clone()),
        status: run.status.clone(),
        release: facts.memory.releases.first().map(|release| release.id),
    })
}

/// Models of which the newest release shows another build than the one before.
pub fn fresh<'f>(facts: &'f Facts<'_>) -> BTreeSet<&'f str> {
    // All of a first release is new, which says nothing.
    let newest = facts.memory.releases.first().filter(|_| facts.memory.releases.len() > 1);
    newest
        .iter()
        .flat_map(|release| release.added.iter().chain(&release.changed))
        .map(String::as_str)
        .collect()
}

/// Folds nodes of a band with the same name into groups.
fn grouping(nodes: &[Node], edges: &[[u32; 2]], band_count: u32, name: fn(&Node) -> String) -> Grouping {
    let mut sizes: BTreeMap<(u32, String), usize> = BTreeMap::new();
    for node in nodes {
        *sizes.entry((node.layer, name(node))).or_default() += 1;
    }
    // Too many groups: the smallest of each band share one.
    let mut kept: Vec<(&(u32, String), &usize)> = sizes.iter().collect();
    kept.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let room = if kept.len() > GROUPS { GROUPS - band_count as usize } else { GROUPS };
    let kept: BTreeSet<(u32, String)> = kept.into_iter().take(room).map(|(key, _)| key.clone()).collect();
    let key = |node: &Node| {
        let key = (node.layer, name(node));
        if kept.contains(&key) { key } else { (node.layer, "others".to_owned()) }
    };
    let keys: BTreeSet<(u32, String)> = nodes.iter().map(key).collect();
    let numbers: HashMap<&(u32, String), u32> = keys.iter().zip(0..).collect();
    let of: Vec<u32> = nodes.iter().map(|node| numbers[&key(node)]).collect();
    let mut joined: BTreeMap<[u32; 2], u32> = BTreeMap::new();
    for [from, to] in edges {
        let ends = [of[*from as usize], of[*to as usize]];
        if ends[0] != ends[1] {
            *joined.entry(ends).or_default() += 1;
        }
    }
    let bands: Vec<u32> = keys.iter().map(|(band, _)| *band).collect();
    let ends: Vec<[u32; 2]> = joined.keys().copied().collect();
    let laid = layout(&Drawing { bands: &bands, band_count, edges: &ends });
    let mut groups: Vec<Group> = std::iter::zip(&keys, &laid.places)
        .map(|((layer, name), place)| Group {
            name: name.clone(),
            layer: *layer,
            count: 0,
            status: vec![0; Status::ALL.len()],
            rank: place.rank,
            order: place.order,
            x: place.x,
            y: place.y,
        })
        .collect();
    for (node, group) in nodes.iter().zip(&of) {
        let group = &mut groups[*group as usize];
        group.count += 1;
        if let Some(at) = Status::ALL.iter().position(|status| status.key() == node.status) {
            group.status[at] += 1;
        }
    }
    let edges = joined.into_iter().map(|([from, to], count)| [from, to, count]).collect();
    Grouping { groups, of, edges, size: laid.size, bands: laid.bands }
}
