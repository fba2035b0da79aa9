//! The page of a consumer: what it needs, and whether it gets it.

use serde_json::{Value, json};

use super::{Item, above, column, common, item, links, sql};
use crate::docs::facts::{Facts, NodeFacts, Thing};
use crate::docs::markdown::is_safe;
use crate::docs::site::{Hide, Sql};
use crate::docs::status::{age, needs, newest_data, words};
use crate::manifest::Exposure;

pub(super) fn content(facts: &Facts<'_>, hide: &Hide, number: u32, node: &NodeFacts<'_>) -> Value {
    let Thing::Consumer(exposure) = node.thing else { return json!({}) };
    let reads: Vec<Value> = node.parents.iter().map(|parent| reads(facts, exposure, node, *parent)).collect();
    // What its queries return are columns of its own, too.
    let named: Vec<&Value> = reads
        .iter()
        .filter_map(|read| read["columns"].as_array())
        .flatten()
        .map(|column| &column["id"])
        .collect();
    let returned: Vec<Value> = (0_u32..)
        .zip(&node.columns)
        .map(|(place, (name, _))| (place, name, json!(format!("c{}", place + 1))))
        .filter(|(_, _, id)| !named.contains(&id))
        .map(|(place, name, id)| {
            let value = column::references(facts, &facts.lineage.at((number, place)).value);
            json!({"id": id, "name": facts.masked(name), "value": value})
        })
        .collect();
    let queries: Vec<Value> = exposure
        .queries
        .iter()
        .map(|query| {
            let shown = hide.sql == Sql::Show;
            json!({"at": facts.masked(&query.at.to_string()), "sql": shown.then(|| sql(&facts.masked(&query.value)))})
        })
        .collect();
    let wrong: Vec<String> = needs(facts, exposure).map(|found| facts.masked(&found.message)).collect();
    let sources: Vec<Value> = above(facts, node)
        .into_iter()
        .filter_map(|number| match facts.node(number).thing {
            Thing::Source(source) => Some((number, newest_data(facts, source)?)),
            _ => None,
        })
        .map(|(number, newest)| {
            json!({"node": item(facts, number), "age": age(facts, &newest).map(words), "newest": newest})
        })
        .collect();
    let url = exposure.url.as_ref().filter(|url| url.contains("://") && is_safe(url));
    let mut content = common(facts, number, node);
    content["reads"] = json!(reads);
    content["returned"] = json!(returned);
    content["queries"] = json!(queries);
    content["wrong"] = json!(wrong);
    content["sources"] = json!(sources);
    content["link"] = json!(url.map(|url| facts.masked(url)));
    content
}

/// What a consumer reads of one model: each column that it names, its type, and where its value comes from.
fn reads(facts: &Facts<'_>, exposure: &Exposure, consumer: &NodeFacts<'_>, number: u32) -> Value {
    let node = facts.node(number);
    let read: Item = item(facts, number);
    let last = node.name.rsplit('.').next().unwrap_or(&node.name);
    let declared = exposure.columns.iter().find(|(model, _)| *model == &node.name || model.as_str() == last);
    let columns: Option<Vec<Value>> = declared.map(|(_, columns)| {
        columns
            .iter()
            .map(|wanted| {
                let same = |(name, _): &(String, String)| name.eq_ignore_ascii_case(&wanted.value);
                let place = node.columns.iter().position(same);
                let promised =
                    node.contract.is_some_and(|contract| contract.property(&wanted.value).is_some());
                // A consumer's own columns are called by what they read.
                let own = format!("{}.{}", node.name, wanted.value);
                let own = consumer.columns.iter().position(|(name, _)| name.eq_ignore_ascii_case(&own));
                json!({
                    "id": own.map(|place| format!("c{}", place + 1)),
                    "name": facts.masked(&wanted.value),
                    "there": place.is_some(),
                    "type": place.map(|place| &node.columns[place].1),
                    "anchor": place.map(|place| format!("c{}", place + 1)),
                    "promised": promised,
                    "value": place.map(|place| {
                        column::references(facts, &facts.lineage.at((number, place as u32)).value)
                    }),
                })
            })
            .collect()
    });
    let contract = node.contract.map(
        |contract| json!({"version": contract.version.value.to_string(), "status": contract.status.as_str()}),
    );
    json!({"node": read, "columns": columns, "contract": contract, "others": links(facts, &node.children).len() - 1})
}
