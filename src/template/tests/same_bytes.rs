//! Marks leave the output as it would be without them.

use minijinja::Environment;
use proptest::prelude::*;

use super::*;

/// What minijinja itself makes of a template that needs nothing of Kiln's.
fn plain(text: &str) -> Option<String> {
    let mut env = Environment::new();
    env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    env.render_str(text, minijinja::context! { x => "v", yes => true }).ok()
}

fn marked(text: &str) -> Option<Rendered> {
    let text = format!("{{% set x = 'v' %}}{{% set yes = true %}}{text}");
    renderer("").render(&template(&text), None, &Object::new(), &Answers::default()).ok()
}

fn part() -> impl Strategy<Value = String> {
    let written = prop::sample::select(vec![
        "x",
        "'a\nb'",
        "1 + 2",
        "{'a': {'b': '}}'}}['a']['b']",
        "[1, 2]",
        "x | upper",
        "none",
    ]);
    let blank = prop::sample::select(vec!["", " ", "\n", "\n\n  ", "\t", "\r\n"]);
    let dash = || prop::sample::select(vec!["", "-"]);
    let word = prop::sample::select(vec![
        "select",
        "é a",
        "-- {",
        "}} %}",
        "'{'",
        "#",
        "a\n  b\n",
        "  long enough to be counted, as only more than sixty-four bytes in one run are  ",
    ]);
    prop_oneof![
        word.prop_map(str::to_owned),
        blank.prop_map(str::to_owned),
        (dash(), written, dash()).prop_map(|(a, expression, b)| format!("{{{{{a} {expression} {b}}}}}")),
        (dash(), dash()).prop_map(|(a, b)| format!("{{#{a} note {{{{ {b}#}}")),
        (dash(), dash(), dash(), dash())
            .prop_map(|(a, b, c, d)| format!("{{%{a} raw {b}%}}\n {{{{ r }}}}\n q {{%{c} endraw {d}%}}")),
    ]
}

fn template_text() -> impl Strategy<Value = String> {
    let dash = || prop::sample::select(vec!["", "-"]);
    let body = prop::collection::vec(part(), 0..6).prop_map(|parts| parts.concat());
    body.prop_recursive(3, 24, 4, move |inner| {
        let dashes = (dash(), dash(), dash(), dash());
        prop_oneof![
            (dashes.clone(), inner.clone())
                .prop_map(|((a, b, c, d), body)| format!("{{%{a} if yes {b}%}}{body}{{%{c} endif {d}%}}")),
            (dashes.clone(), inner.clone()).prop_map(|((a, b, c, d), body)| format!(
                "{{%{a} for i in [1, 2] {b}%}}{body}{{%{c} endfor {d}%}}"
            )),
            (dashes.clone(), inner.clone()).prop_map(|((a, b, c, d), body)| format!(
                "{{%{a} set s {b}%}}{body}{{%{c} endset {d}%}}[{{{{ s }}}}|{{{{ s | length }}}}]"
            )),
            (dashes.clone(), inner.clone()).prop_map(|((a, b, c, d), body)| format!(
                "{{%{a} filter upper {b}%}}{body}{{%{c} endfilter {d}%}}"
            )),
            (dashes, inner.clone()).prop_map(|((a, b, c, d), body)| format!(
                "{{%{a} macro m() {b}%}}{body}{{%{c} endmacro {d}%}} {{{{ m() }}}} {{{{ m() == m() }}}}"
            )),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{a}\n{b}")),
        ]
    })
}

/// Bits of Jinja in any order: mostly broken.
fn rubbish() -> impl Strategy<Value = String> {
    let bits = vec![
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "-",
        "'",
        "\"",
        "\\",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "%",
        "|",
        ".",
        ",",
        "=",
        " ",
        "\n",
        "é",
        "\u{1F600}",
        "set",
        "endset",
        "if",
        "endif",
        "for",
        "in",
        "macro",
        "endmacro",
        "m(",
        "raw",
        "endraw",
        "ref",
        "config",
        "('x')",
        "1",
        "filter",
        "upper",
        "test",
        "docs",
        "enddocs",
        "~",
        "'%s' % x",
    ];
    prop::collection::vec(prop::sample::select(bits), 0..40).prop_map(|bits| bits.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rubbish_gives_messages_and_no_panic(text in rubbish()) {
        let (renderer, read) = Renderer::new(context(), vec![macro_file(&text)], Vec::new(), Vec::new());
        read.render(Style::Plain);
        let written = format!("{{{{ {text} }}}}");
        for diagnostics in [text.as_str(), &written].map(|text| renderer.parse(&template(text)).err()).into_iter().flatten() {
            diagnostics.render(Style::Plain);
        }
    }

    #[test]
    fn marks_change_no_byte(text in template_text()) {
        let expected = plain(&text);
        prop_assume!(expected.is_some());
        let rendered = marked(&text);
        prop_assert_eq!(rendered.as_ref().map(|r| r.sql.clone()), expected);
        if let Some(rendered) = rendered {
            prop_assert_eq!(rendered.origins.len(), rendered.sql.lines().count());
        }
    }
}
