//! Search: one row for everything that can be found.

use super::data::Search;
use super::facts::{Facts, Thing};
use super::markdown;

/// Characters of a text at most.
const TEXT: usize = 300;

/// All rows.
pub fn search(facts: &Facts<'_>) -> Search {
    let mut search = Search { version: 1, ..Search::default() };
    for (number, node) in (0..).zip(&facts.nodes) {
        let (owner, email) = node.owner();
        let mut words = vec![markdown::plain(node.description()), owner, email];
        words.extend(node.tags().iter().cloned());
        words.retain(|word| !word.is_empty());
        search.nodes.push((
            node.kind(),
            facts.masked(&node.name),
            node.url.clone(),
            facts.layers[node.layer as usize].key.clone(),
            node.verdict.status.key(),
            shortened(&facts.masked(&words.join(" · "))),
        ));
        if matches!(node.thing, Thing::Consumer(_)) {
            continue;
        }
        for (position, (name, data_type)) in (1..).zip(&node.columns) {
            let text = shortened(&facts.masked(&markdown::plain(&node.column_description(name))));
            search.columns.push((number, facts.masked(name), data_type.clone(), text, position));
        }
        for (place, test) in (1..).zip(&node.tests) {
            search.tests.push((number, facts.masked(&test.name), place));
        }
    }
    search
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}
