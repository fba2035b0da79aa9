//! Every message that a template can cause.

use super::*;

/// Templates that fail, each with the macros that it uses.
const FAILURES: &[(&str, &str, &str)] = &[
    ("an unknown variable", "", "select\n  {{ targt.name }}\nfrom x"),
    ("an unknown function", "", "select {{ reff('x') }}"),
    ("an unknown name in a condition", "", "{% if exekute %}a{% endif %}"),
    ("a value that an object lacks", "", "select {{ target.nam }}"),
    ("an unknown filter", "", "select {{ 'a' | uper }}"),
    ("an unknown test", "", "{% if 1 is numbr %}{% endif %}"),
    ("an unknown method", "", "{{ 'a'.uper() }}"),
    ("a block that is not closed", "", "select 1\n{% if true %}\nfrom x"),
    ("an expression that is not closed", "", "select\n {{ ref('x')\nfrom y"),
    ("an expression that makes no sense", "", "select {{ 1 + }}"),
    ("a tag that does not exist", "", "select 1\n{% fro x %}"),
    ("a tag that stands elsewhere", "", "{% snapshot a %}{% endsnapshot %}"),
    ("a macro with broken Jinja", "{% macro a() %}\n  {{ 1 + }}\n{% endmacro %}", ""),
    ("a macro that is not closed", "{% macro a() %}\n  b", ""),
    ("a macro without parentheses", "{% macro a %}b{% endmacro %}", ""),
    ("two macros of one name", "{% macro a() %}{% endmacro %}\n{% macro a() %}{% endmacro %}", ""),
    ("an error inside a macro", "{% macro a(x) %}\n  {{ x.y.z }}\n{% endmacro %}", "select\n  {{ a(1) }}"),
    (
        "an error two macros deep",
        "{% macro a() %}\n{{ b() }}\n{% endmacro %}\n{% macro b() %}\n{{ nope }}\n{% endmacro %}",
        "select\n  {{ a() }}",
    ),
    (
        "a message of the user's own",
        "{% macro a() %}{{ exceptions.raise_compiler_error('no such region') }}{% endmacro %}",
        "{{ a() }}",
    ),
    ("too many arguments", "{% macro a(x) %}{% endmacro %}", "{{ a(1, 2) }}"),
    ("an unknown argument", "{% macro a(colour) %}{% endmacro %}", "{{ a(color=2) }}"),
    ("a macro that a package lacks", "", "{{ dbt_utils.stra(ref('x')) }}"),
    (
        "a macro that a package lacks, far from its arguments",
        "",
        "{{ dbt_utils.stra(\n  ref('x'),\n  except=[]\n) }}",
    ),
    ("a package that is not there", "", "{{ dbt_expectations_x.thing('a',\n  1) }}"),
    ("a name without quotes", "", "{{ ref(orders) }}"),
    (
        "a macro that is not closed before another",
        "{% macro a() %}\n  b\n{% macro c() %}d{% endmacro %}",
        "{{ c() }}",
    ),
    ("a dispatch that finds nothing", "", "{{ adapter.dispatch('f', 'shop')() }}"),
    ("a missing variable", "", "{{ var('first_dya') }}"),
    ("a missing environment variable", "", "select '{{ env_var('NOT_SET') }}'"),
    ("a missing model", "", "select *\nfrom {{ ref('missing') }}"),
    ("ref without a name", "", "{{ ref() }}"),
    ("ref of a number", "", "{{ ref(1) }}"),
    ("a version of a model", "", "{{ ref('a', v=2) }}"),
    ("source with one name", "", "{{ source('a') }}"),
    ("a missing docs block", "", "{{ doc('nope') }}"),
    ("a required config", "", "{{ config.require('partition') }}"),
    ("a relation cut to pieces", "", "select 1 from {{ (ref('x') | string).split('.')[0] }}"),
    ("columns of a text", "", "{{ adapter.get_columns_in_relation('x') }}"),
    ("a change of the database", "", "{% do adapter.drop_relation(this) %}"),
    ("a change of what a filter made", "", "{% set l = [1] | map('string') %}{% do l.append(2) %}"),
    (
        "a loop without an end",
        "",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    ),
    ("macros that call each other for ever", "{% macro a() %}{{ a() }}{% endmacro %}", "{{ a() }}"),
    (
        "text without an end",
        "",
        "{% set ns = namespace(t='xxxxxxxxxx') %}{% for a in range(40) %}{% set ns.t = ns.t ~ ns.t %}{{ ns.t }}{% endfor %}",
    ),
    (
        "long text in a long loop",
        "",
        "{% for a in range(90000) %}{% for b in range(90000) %}\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n{% endfor %}{% endfor %}",
    ),
    ("a regular expression that is none", "", "{{ modules.re.search('(', 'a') }}"),
    ("return outside a macro", "", "{{ return(1) }}"),
    ("private characters", "", "select '\u{F0001}'"),
    ("graph", "", "{{ graph.nodes }}"),
    ("not a number", "", "{{ 'a' | as_number }}"),
    ("a call of what is no function", "", "{{ target() }}"),
];

#[test]
fn every_message() {
    let mut text = String::new();
    for (what, macros, template) in FAILURES {
        text.push_str(&format!("### {what}\n{}\n", failure(macros, template).trim_end()));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn an_error_in_a_yaml_string_points_at_it() {
    let yaml = SourceFile::new("kiln.yml", "path: \"{{ env_var('NOT_SET') }}\"\n");
    let error =
        renderer("").expand("{{ env_var('NOT_SET') }}", &Location::new(&yaml, 6..32)).expect_err("not set");
    insta::assert_snapshot!(error.render(Style::Plain));
}

#[test]
fn an_error_in_a_test_points_at_its_declaration_and_the_macro() {
    let renderer = renderer("{% test odd(model) %}\n{{ nope }}\n{% endtest %}");
    let yaml = SourceFile::new("models/schema.yml", "- odd\n");
    let mut call = TestCall {
        package: "shop".into(),
        name: "odd".into(),
        model: (NodeId::new("model", "shop", "x"), Relation::new("curated", "x")),
        where_clause: None,
        column: None,
        args: Object::new(),
        at: Location::new(&yaml, 2..5),
    };
    let first = renderer.test(&call, &Answers::default()).expect_err("undefined").render(Style::Plain);
    call.name = "od".into();
    let second = renderer.test(&call, &Answers::default()).expect_err("unknown").render(Style::Plain);
    call.name = "odd".into();
    call.column = Some("c".into());
    let third = renderer.test(&call, &Answers::default()).expect_err("no column").render(Style::Plain);
    insta::assert_snapshot!(format!("{first}{second}{third}"));
}
