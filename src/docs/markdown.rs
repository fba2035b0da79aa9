//! Markdown: descriptions, which anybody may have written, as HTML that can do nothing.
//!
//! HTML in a description is shown as the text that it is. Links lead to the web, to mail or to other pages; pictures
//! become links, because the site sends no request.

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

/// The text as HTML.
pub fn html(text: &str) -> String {
    // Control characters are nothing that HTML may hold.
    let text: String = text.trim().chars().filter(|c| !c.is_control() || "\n\t".contains(*c)).collect();
    let mut html = String::with_capacity(text.len() + 16);
    pulldown_cmark::html::push_html(&mut html, harmless(&text));
    html
}

/// The events of a text with nothing in them that a browser would run or load.
fn harmless(text: &str) -> impl Iterator<Item = Event<'_>> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    Parser::new_ext(text, options).map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Link { link_type, dest_url, title, .. }) => link(link_type, dest_url, title),
        Event::Start(Tag::Image { dest_url, title, .. }) => link(LinkType::Inline, dest_url, title),
        Event::End(TagEnd::Image) => Event::End(TagEnd::Link),
        // A heading of a description stands below those of the page, and its id could be one of the page's.
        Event::Start(Tag::Heading { .. }) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::Heading(_)) => Event::End(TagEnd::Paragraph),
        other => other,
    })
}

fn link<'a>(link_type: LinkType, address: CowStr<'a>, title: CowStr<'a>) -> Event<'a> {
    let safe = link_type == LinkType::Email || is_safe(&address);
    let dest_url = if safe { address } else { "#".into() };
    Event::Start(Tag::Link { link_type, dest_url, title, id: "".into() })
}

/// Whether a link leads to the web, to mail, or nowhere else than into the site.
pub fn is_safe(address: &str) -> bool {
    let scheme_end = address.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
    match scheme_end.map(|end| (&address[..end], &address[end..])) {
        Some((scheme, rest)) if rest.starts_with(':') => {
            ["http", "https", "mailto"].iter().any(|safe| scheme.eq_ignore_ascii_case(safe))
        }
        // Browsers drop blanks and control characters before they look for a scheme.
        _ => !address.contains(|c: char| c.is_control() || c == ':' || c == '\\'),
    }
}

/// The text as words, without marks.
pub fn plain(text: &str) -> String {
    let mut words = String::new();
    for event in harmless(text) {
        match event {
            Event::Text(text) | Event::Code(text) => words.push_str(&text),
            Event::SoftBreak | Event::HardBreak | Event::End(_) => words.push(' '),
            _ => {}
        }
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ").replace(" .", ".")
}

/// The first sentence as plain text, for lists.
pub fn first_sentence(text: &str) -> String {
    let first = text.trim().split("\n\n").next().unwrap_or_default();
    let words = plain(first);
    match words.find(". ") {
        Some(end) => words[..end].to_owned(),
        None => words.trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_shown() {
        insta::assert_snapshot!(html("**one** row per `order`, see [the wiki](https://wiki.example.com/a?b=c&d)\n\n- a\n- b\n\n# Title\n\n| a |\n|---|\n| 1 |"), @r#"
        <p><strong>one</strong> row per <code>order</code>, see <a href="https://wiki.example.com/a?b=c&amp;d">the wiki</a></p>
        <ul>
        <li>a</li>
        <li>b</li>
        </ul>
        <p>Title</p>
        <table><thead><tr><th>a</th></tr></thead><tbody>
        <tr><td>1</td></tr>
        </tbody></table>
        "#);
    }

    #[test]
    fn nothing_runs_and_nothing_is_loaded() {
        let hostile = [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<div onclick=\"x()\">\n\nhi\n\n</div>",
            "[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](data:text/html,x) [d](vbscript:x) [e](  javascript:x)",
            "[a](java\u{0}script:x) [b](\u{1}javascript:x) [c](&#106;avascript:x) [d](java&#10;script:x)",
            "![x](https://example.com/track.png \"t\\\" onload=x\")",
            "[a]: javascript:x\n\n[a]",
            "<javascript:alert(1)>",
            "# x {#main onclick=y}",
        ];
        let text: Vec<String> = hostile.iter().map(|text| html(text)).collect();
        insta::assert_snapshot!(text.join(""), @r##"
        <p>&lt;script&gt;alert(1)&lt;/script&gt;</p>
        <p>a &lt;img src=x onerror=alert(1)&gt; b</p>
        <p>&lt;div onclick="x()"&gt;
        </p>
        <p>hi</p>
        <p>&lt;/div&gt;</p>
        <p><a href="#">a</a> <a href="#">b</a> <a href="#">c</a> <a href="#">d</a> <a href="#">e</a></p>
        <p><a href="#">a</a> <a href="#">b</a> <a href="#">c</a> <a href="#">d</a></p>
        <p><a href="https://example.com/track.png" title="t&quot; onload=x">x</a></p>
        <p><a href="#">a</a></p>
        <p><a href="#">javascript:alert(1)</a></p>
        <p>x {#main onclick=y}</p>
        "##);
    }

    #[test]
    fn a_first_sentence_is_plain() {
        assert_eq!(first_sentence("One `row` per **order**. And more."), "One row per order");
        assert_eq!(first_sentence("\nsee [x](y)\nhere.\n\nNext."), "see x here");
        assert_eq!(first_sentence("<script>x</script>"), "<script>x</script>");
    }
}
