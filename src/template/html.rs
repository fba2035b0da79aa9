//! HTML: Kiln's own pages, filled with text that is escaped wherever it stands.
//!
//! An environment apart from the one that users' templates run in: nothing of a project is a template here.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, State, UndefinedBehavior, Value};
use serde::Serialize;

use crate::error::{Error, Result};

/// Kiln's own templates, by name.
pub struct Html(Environment<'static>);

impl Html {
    /// Reads templates; each may extend or include the others by name.
    ///
    /// # Errors
    /// One of them is broken, which is Kiln's own mistake.
    pub fn new(templates: &[(&'static str, &'static str)]) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| broken("syntax", &error))?);
        environment.set_formatter(|out, state, value| match value.is_none() {
            // What is not known is not shown.
            true => Ok(()),
            false => minijinja::escape_formatter(out, state, value),
        });
        environment.add_filter("ticks", ticks);
        environment.add_filter("breaks", breaks);
        environment.add_function("href", href);
        environment.add_function("id", id);
        environment.add_function("view", view);
        for (name, text) in templates {
            environment.add_template(name, text).map_err(|error| broken(name, &error))?;
        }
        Ok(Self(environment))
    }

    /// Fills one.
    ///
    /// # Errors
    /// It asks for what is not there, which is Kiln's own mistake.
    pub fn render(&self, name: &str, page: impl Serialize) -> Result<String> {
        let template = self.0.get_template(name).map_err(|error| broken(name, &error))?;
        template.render(Serde(page)).map_err(|error| broken(name, &error))
    }
}

/// The address of a page from the page that is being made, whose `site` says where the root is, or that there is one
/// document only.
///
/// Addresses are Kiln's own and hold nothing that would have to be escaped.
fn href(state: &State<'_, '_>, url: &str, anchor: Option<&str>) -> Value {
    let site = state.lookup("site").unwrap_or_default();
    let attribute = |name: &str| site.get_attr(name).unwrap_or_default();
    let address = match (attribute("single").is_true(), anchor) {
        (true, Some(anchor)) => format!("#/{url}/{anchor}"),
        (true, None) => format!("#/{url}"),
        (false, Some(anchor)) => format!("{}{url}#{anchor}", attribute("root")),
        (false, None) => format!("{}{url}", attribute("root")),
    };
    Value::from_safe_string(address)
}

/// A sentence in which names stand in backticks, as Kiln's messages have them. Nothing stays nothing.
fn ticks(text: Option<&str>) -> Value {
    let escaped = escaped(text.unwrap_or_default());
    let mut parts = escaped.split('`');
    let mut html = parts.next().unwrap_or_default().to_owned();
    while let Some(name) = parts.next() {
        match parts.next() {
            Some(after) => html.push_str(&format!("<code>{name}</code>{after}")),
            None => html.push_str(&format!("`{name}")),
        }
    }
    Value::from_safe_string(html)
}

/// A path or a name that may be broken behind its separators.
fn breaks(text: Option<&str>) -> Value {
    let text = text.unwrap_or_default();
    let mut html = String::with_capacity(text.len() + 16);
    for part in text.split_inclusive(['/', '_', '.', '@']) {
        html.push_str(&escaped(part));
        html.push_str("<wbr>");
    }
    Value::from_safe_string(html)
}

/// Text for HTML and XML, in elements and in attributes.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no such characters, in whatever way they are written.
            c if c.is_control() && !"\n\t".contains(c) => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The id of an anchor: that of another page in the same document is another one.
fn id(state: &State<'_, '_>, anchor: &str) -> Value {
    let site = state.lookup("site").unwrap_or_default();
    let plain = |c: char| if c.is_alphanumeric() || "_-".contains(c) { c } else { '-' };
    let anchor: String = anchor.chars().map(plain).collect();
    Value::from_safe_string(match site.get_attr("single").unwrap_or_default().is_true() {
        true => format!("/{}/{anchor}", state.lookup("path").unwrap_or_default()),
        false => anchor,
    })
}

/// The address of a page in a state: one key and its value.
fn view(state: &State<'_, '_>, url: &str, key: &str, value: &str) -> Value {
    let page = href(state, url, None);
    let hash = if page.as_str().is_some_and(|page| page.starts_with('#')) { "" } else { "#" };
    Value::from_safe_string(format!("{page}{hash}?{key}={}", percent_encoded(value)))
}

/// A value for the query of an address.
fn percent_encoded(value: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    value
        .bytes()
        .map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn broken(name: &str, error: &minijinja::Error) -> Error {
    Error::Bug(format!("the page template `{name}`: {error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_wherever_it_stands() {
        let text = "<p title=\"{{ text }}\">{{ text }}{{ nothing }}</p>{{ text|ticks }}{{ nothing|ticks }}{{ nothing|breaks }} {{ path|breaks }}";
        let html = Html::new(&[("page.html", text)]).expect("is sound");
        let page = html
            .render(
                "page.html",
                serde_json::json!({"text": "<script>\"'`a<b`", "path": "a/b_<", "nothing": null}),
            )
            .expect("is filled");
        insta::assert_snapshot!(page, @r#"<p title="&lt;script&gt;&quot;&#x27;`a&lt;b`">&lt;script&gt;&quot;&#x27;`a&lt;b`</p>&lt;script&gt;&quot;&#39;<code>a&lt;b</code> a/<wbr>b_<wbr>&lt;<wbr>"#);
    }
}
