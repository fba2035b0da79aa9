//! The page of a model or a seed.

use serde_json::{Value, json};

use super::{above, below, builds, column, common, contract, growth, links, seconds, sql, test};
use crate::docs::facts::{Facts, NodeFacts, Thing};
use crate::docs::site::{Hide, Sql};

pub(super) fn content(facts: &Facts<'_>, hide: &Hide, number: u32, node: &NodeFacts<'_>) -> Value {
    let Thing::Node(model) = node.thing else { return json!({}) };
    let compiled = facts.models.get(node.id);
    let code = |text: &str| {
        let shown = hide.sql == Sql::Show && !text.trim().is_empty();
        shown.then(|| sql(&facts.masked(text)))
    };
    let consumers: Vec<u32> =
        below(facts, node).into_iter().filter(|number| facts.node(*number).kind() == "consumer").collect();
    let sources: Vec<u32> =
        above(facts, node).into_iter().filter(|number| facts.node(*number).kind() == "source").collect();
    let newest = facts.builds(node).last();
    let mut content = common(facts, number, node);
    content["relation"] = json!(facts.masked(&model.relation.plain()));
    content["columns"] = column::columns(facts, number, node);
    content["unknown"] =
        json!(compiled.and_then(|model| model.unknown.as_ref()).map(|why| facts.masked(why)));
    content["tests"] = json!(test::tests(facts, hide, node));
    content["contract"] = json!(contract::contract(facts, node));
    content["consumers"] = json!(links(facts, &consumers));
    content["sources"] = json!(links(facts, &sources));
    content["builds"] = builds::builds(facts, node);
    content["growth"] = json!(growth::growth(facts, hide, node, model));
    content["took"] = json!(newest.and_then(|build| build.seconds).map(seconds));
    content["source_sql"] = json!(code(&model.file.text));
    content["compiled_sql"] = json!(compiled.and_then(|model| code(&model.sql)));
    content["sql_hidden"] = json!(hide.sql == Sql::Hide);
    content
}
