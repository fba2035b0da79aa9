//! Jinja in YAML: text that holds `{{` or `{%` is rendered before anything reads it.
//!
//! The renderer itself is the caller's ([`Expand`]); this module knows which text is to be rendered, and that
//! `"{{ env_var('THREADS') }}"` is meant to be a number.

use crate::diagnostic::{Diagnostics, Location};
use crate::yaml::{Kind, Yaml};

/// Renders the Jinja in a YAML string.
pub trait Expand {
    /// The rendered text; `at` is the place of the string that holds it.
    fn expand(&self, text: &str, at: &Location) -> Result<String, Diagnostics>;
}

/// Leaves every text as it is: for projects without Jinja in their YAML, and for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verbatim;

impl Expand for Verbatim {
    fn expand(&self, text: &str, _: &Location) -> Result<String, Diagnostics> {
        Ok(text.to_owned())
    }
}

/// Renders every text of a tree in place, except what stands under a key that `skip` names.
pub(super) fn expand_tree(
    yaml: &mut Yaml,
    expand: &dyn Expand,
    skip: &dyn Fn(&str) -> bool,
    problems: &mut Diagnostics,
) {
    match &mut yaml.kind {
        Kind::String(text) if has_jinja(text) => match expand.expand(text, &yaml.at) {
            Ok(expanded) if is_one_expression(text) => yaml.kind = typed(expanded),
            Ok(expanded) => *text = expanded,
            Err(found) => problems.extend(found),
        },
        Kind::List(items) => {
            items.iter_mut().for_each(|item| expand_tree(item, expand, skip, problems));
        }
        Kind::Map(entries) => {
            for (key, value) in entries {
                if !skip(&key.value) {
                    expand_tree(value, expand, skip, problems);
                }
            }
        }
        _ => {}
    }
}

/// Whether a text holds Jinja.
fn has_jinja(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

fn is_one_expression(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("{{") && text.ends_with("}}") && text.matches("{{").count() == 1
}

/// What one expression gave, with the type that it reads as: a text that looks like a number only if it is written
/// exactly as that number would be (`007` stays text).
fn typed(text: String) -> Kind {
    match text.trim() {
        "true" | "True" => return Kind::Bool(true),
        "false" | "False" => return Kind::Bool(false),
        "none" | "None" => return Kind::Null,
        _ => {}
    }
    match serde_json::from_str::<serde_json::Number>(&text) {
        Ok(number) if number.to_string() == text => Kind::Number(number),
        _ => Kind::String(text),
    }
}
