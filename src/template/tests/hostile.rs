//! Templates that would take all memory or all time.

use super::*;

/// What is said of a template, without the place.
fn said(template: &str) -> String {
    let error = failure("{% macro echo(x) %}{{ x|length }}{% endmacro %}", template);
    error.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn nothing_grows_without_end() {
    let texts = [
        "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = ns.x.replace('a', 'aa') %}{% endfor %}",
        "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = ns.x|replace('a', 'aa') %}{% endfor %}",
        "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = ns.x.join(ns.x) %}{% endfor %}",
        "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = range(9999)|join(ns.x) %}{% endfor %}",
        "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = modules.re.sub('a', 'aa', ns.x) %}{% endfor %}",
        "{% set x = 'a' * 9000000 %}",
        "{% for x in ['a' * 9000000] %}{% for y in [x ~ x] %}{% endfor %}{% endfor %}",
        "{% with x = 'a' * 9000000, y = 1 %}{% endwith %}",
        "{{ echo('a' * 9000000) }}",
        "{{ 'x' | indent(10000000000) }}",
    ];
    for template in texts {
        let limit = "error[template-limit]: a text grows beyond 8 MB: look for a loop that doubles it";
        assert_eq!(said(template), limit, "{template}");
    }
    let lists = [
        "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set x = [1] %}{% for i in range(60) %}{% do x.extend(x) %}{% endfor %}",
        "{% set x = [1, 2] * 40000000 %}",
    ];
    for template in lists {
        let limit = "error[template-limit]: a list grows beyond 1000000: look for a loop that doubles it";
        assert_eq!(said(template), limit, "{template}");
    }
    insta::assert_snapshot!(said("{% set l = [] %}{% for i in range(90000) %}{% do l.append('x' * 100000) %}{% endfor %}"), @"error[template-limit]: lists hold more than 256 MB");
    insta::assert_snapshot!(said("{{ '{:>10000000000}'.format(3) }}"), @"error[template-limit]: a format with a width of more than 99999");
    insta::assert_snapshot!(said("{% for i in range(90000) %}{{ ref('a') }}{% endfor %}"), @"error[template-limit]: `ref`, `source` and `config` are called more than 10000 times");
    insta::assert_snapshot!(said("{% for i in range(90000) %}{% do log('x') %}{% endfor %}"), @"error[template-limit]: the template says more than 10000 things");
}

#[test]
fn lists_in_lists_end() {
    let limit = "error[template-limit]: lists that lie in each other deeper than 100, or hold more than 1000000 values";
    for template in [
        "{% set x = [] %}{% do x.append(x) %}{{ x }}",
        "{% set x = [] %}{% do x.append(x) %}{{ x|tojson }}",
        "{% set x = {} %}{% do x.update(a=x) %}{{ x }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}{{ [] }}",
    ] {
        assert_eq!(said(template), limit, "{template}");
    }
    insta::assert_snapshot!(said("{% set ns = namespace(x=0) %}{% for i in range(90000) %}{% set ns.x = (ns.x,) %}{% endfor %}"), @"error[template-limit]: lists lie in each other deeper than 100");
    insta::assert_snapshot!(said("{% set ns = namespace(x=0) %}{% for i in range(90000) %}{% set ns.x = namespace(y=ns.x) %}{% endfor %}"), @"error[template-limit]: lists lie in each other deeper than 100");
    // Many lists in each other are no mistake as long as nobody writes them, and are dropped one by one.
    assert_eq!(
        sql(
            "",
            "{% set ns = namespace(x=[]) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}select 1"
        ),
        "select 1"
    );
}

#[test]
fn what_people_write_is_not_measured_out() {
    let template = "{% set ns = namespace(sql='', rows=[]) %}{% for i in range(300) %}{% set ns.sql = ns.sql ~ 'a' ~ i %}\
                    {% do ns.rows.append({'i': (i + 1) * 2, 'xs': [i, (i, 'a')]}) %}{% endfor %}\
                    {% set (a, b) = (1, 2 + 3) %}{% set c = (a ~ b) if b else none %}{% with d = a + b, e = 'x' %}{{ d }}{{ e }}{% endwith %}\
                    {% for k, v in {'p': 1 + 1}.items() %}{{ k }}{{ v }}{% endfor %}{{ ns.sql|length }} {{ ns.rows|length }} {{ ns.rows[2] }} {{ c }}";
    insta::assert_snapshot!(sql("", template), @"6xp21090 300 {'i': 6, 'xs': [2, (2, 'a')]} 15");
}
