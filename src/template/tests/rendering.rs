//! What templates render to.

use super::*;

#[test]
fn relations_are_slots_and_lines_have_origins() {
    let rendered = rendered_with(
        "{% macro cols() %}\na,\nb\n{% endmacro %}",
        "{{ config(materialized='table') }}\nselect\n{{ cols() }}\nfrom {{ ref('x') }} join {{ source('s', 't') }}\n",
    );
    insta::assert_snapshot!(rendered.sql, @r#"

    select

    a,
    b

    from "curated"."x" join "s"."t"
    "#);
    let slots: Vec<&str> = rendered.slots.iter().map(|slot| &rendered.sql[slot.range.clone()]).collect();
    assert_eq!(slots, ["\"curated\".\"x\"", "\"s\".\"t\""]);
    let origins: Vec<String> = rendered
        .origins
        .iter()
        .map(|origin| origin.as_ref().map_or("-".into(), |o| format!("{}:{}", o.file.path.display(), o.line)))
        .collect();
    insta::assert_snapshot!(origins.join("\n"), @r"
    models/m.sql:1
    models/m.sql:2
    models/m.sql:3
    macros/m.sql:2
    macros/m.sql:3
    macros/m.sql:3
    models/m.sql:4
    ");
}

#[test]
fn values_never_hold_line_marks() {
    let macros = "{% macro word() %}abc{% endmacro %}{% macro lines() %}\n  a\n  b\n{% endmacro %}";
    let text = "{% if word() == 'abc' %}same{% endif %} {{ lines() | trim | length }} {% set q %}\nselect 1\n{% endset %}{{ q | length }} {{ q }}";
    assert_eq!(sql(macros, text), "same 5 10 \nselect 1\n");
}

#[test]
fn a_captured_text_keeps_its_origins() {
    let rendered = rendered_with("", "{% set q %}\nselect 1\nfrom t\n{% endset %}\n\n\n\n{{ q }}");
    let line = rendered.sql.lines().position(|line| line == "from t").expect("the line");
    assert_eq!(rendered.origins[line].as_ref().map(|origin| origin.line), Some(3));
}

#[test]
fn macros_take_defaults_varargs_and_return_values() {
    let macros = "
{% macro three(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}
{% macro all() %}{{ varargs | join('+') }}/{{ kwargs.k }}{% endmacro %}
{% macro pick(n) %}{% if n > 1 %}{{ return({'v': [n, n + 1]}) }}{% endif %}{{ return(none) }}{% endmacro %}
{% macro down(n) %}{% if n == 0 %}{{ return(0) }}{% endif %}{{ return(1 + down(n - 1)) }}{% endmacro %}";
    let text = "{{ three(1, c='y') }} {{ all(1, 2, k='v') }} {{ pick(3).v[1] }} {{ pick(1) }} {{ down(20) }}";
    assert_eq!(sql(macros, text), "12y 1+2/v 4 None 20");
}

#[test]
fn lists_and_dicts_change_in_place() {
    let text = "{% set l = [1] %}{% do l.append(2) %}{% for i in [3, 4] %}{% do l.append(i) %}{% endfor %}{{ l }} {% set d = {'a': []} %}{% do d.update({'b': 1}) %}{% do d['a'].append('x') %}{{ d }} {{ d.items() | list | length }} {{ l[-1] }} {{ l[1:3] }} {{ 'a-b'.split('-')[1] }}";
    assert_eq!(sql("", text), "[1, 2, 3, 4] {'a': ['x'], 'b': 1} 2 4 [2, 3] b");
}

#[test]
fn a_caller_is_called() {
    let macros = "{% macro wrap(n) %}<{{ n }}:{{ caller('z') }}>{% endmacro %}";
    assert_eq!(sql(macros, "{% call(y) wrap(1) %}in {{ y }}{% endcall %}"), "<1:in z>");
}

#[test]
fn dispatch_finds_the_adapter_then_the_default() {
    let macros = "{% macro f() %}{{ return(adapter.dispatch('f', 'shop')()) }}{% endmacro %}{% macro default__f() %}d{% endmacro %}{% macro duckdb__g() %}k{% endmacro %}{% macro g() %}{{ adapter.dispatch('g')() }}{% endmacro %}";
    assert_eq!(sql(macros, "{{ f() }}{{ g() }}{{ shop.f() }}"), "dkd");
}

#[test]
fn the_context_is_there() {
    let text = "{{ var('first_day') }} {{ var('nope', 1) }} {{ env_var('HOME_TOWN') }} {{ env_var('NO', 'd') }} {{ target.name }}.{{ target.schema }} {{ execute }} {{ is_incremental() }} {{ project_name }} {{ invocation_id }} {{ run_started_at.strftime('%Y-%m-%d') }} {{ run_started_at }} {{ flags.WHICH }} {{ none }} {{ [none, true, 'it'] | tojson }} {{ '%s-%03d' % ('a', 7) }} {{ 'x%s' % var('first_day') }}";
    assert_eq!(
        sql("", text),
        "2026-11-01 1 Basel d dev.main True False shop the-id 2026-11-22 2026-11-22 10:41:59+00:00 run None [null, true, \"it\"] a-007 x2026-11-01"
    );
}

#[test]
fn embedded_packages_work() {
    let text = "{{ dbt.type_string() }} {{ dbt_utils.generate_surrogate_key(['a']) }} {{ dbt_utils.group_by(3) }} {{ dateadd('day', 1, 'd') }} {{ dbt_utils.star(ref('x'), except=['ID']) }}";
    assert_eq!(
        sql("", text),
        "varchar md5(cast(coalesce(cast(a as varchar), '_dbt_utils_surrogate_key_null_') as varchar)) group by 1,2,3 (d + (interval '1 day' * (1))) \"name\""
    );
}

#[test]
fn a_query_is_asked_once_and_read() {
    let answers = Answers::default();
    let text = "{% if execute %}{% set r = run_query('select 1 from ' ~ ref('x')) %}{% for row in r %}{{ row['status'] }}={{ row[1] }};{% endfor %}{{ r.columns[0].values() }}{{ r.column_names }}{{ r.rows[1].n }}{% endif %}{% call statement('s', fetch_result=True) %}select 2{% endcall %}{% if execute %}{{ load_result('s').data[0][0] }}{% endif %}";
    let template = template(text);
    let renderer = renderer("");
    assert!(renderer.parse(&template).expect("parses").asks_database);
    let rendered = renderer.render(&template, None, &Object::new(), &answers).expect("renders");
    assert_eq!(rendered.sql, "open=2;paid=5;['open', 'paid']['status', 'n']5open");
    assert_eq!(*answers.0.lock().expect("a lock"), ["select 1 from \"curated\".\"x\"", "select 2"]);
}

#[test]
fn relations_have_parts() {
    let text = "{{ ref('x').identifier }} {{ ref('x').include(schema=false) }} {{ 'from ' ~ ref('x') }} {{ [ref('a'), ref('b')] | join(', ') }} {{ ref('a') == ref('a') }} {{ api.Relation.create(schema='s', identifier='t') }} {{ adapter.quote('q') }}";
    let rendered = rendered_with("", text);
    assert_eq!(
        rendered.sql,
        "x \"x\" from \"curated\".\"x\" \"curated\".\"a\", \"curated\".\"b\" True \"s\".\"t\" \"q\""
    );
    assert_eq!(rendered.slots.len(), 3);
}

#[test]
fn parse_finds_calls_and_config() {
    let text = "{{ config(materialized='table', tags=['a'],\n  meta={'k': 1}) }}\nselect * from {{ ref('a') }}, {{ ref('p', 'b') }}, {{ source('s', 't') }}\n{% if execute %}{{ boom() }}{% endif %}";
    let parsed = renderer("").parse(&template(text)).expect("parses");
    let refs: Vec<String> =
        parsed.refs.iter().map(|call| format!("{:?} {} {}", call.package, call.name, call.at)).collect();
    insta::assert_snapshot!(refs.join("\n"), @r#"
    None a models/m.sql:3:18
    Some("p") b models/m.sql:3:34
    "#);
    assert_eq!(parsed.sources[0].at.to_string(), "models/m.sql:3:55");
    assert_eq!(
        serde_json::Value::from(parsed.config).to_string(),
        r#"{"materialized":"table","tags":["a"],"meta":{"k":1}}"#
    );
    assert_eq!(parsed.config_at["meta"].to_string(), "models/m.sql:2:3");
}

#[test]
fn a_macros_query_makes_its_callers_ask() {
    let renderer = renderer(
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{% if execute %}{{ run_query('x') }}{% endif %}{% endmacro %}",
    );
    assert!(renderer.parse(&template("{{ a() }}")).expect("parses").asks_database);
    assert!(!renderer.parse(&template("{{ ref('a') }}")).expect("parses").asks_database);
}

#[test]
fn generic_tests_render() {
    let macros = "{% test positive(model, column_name, than=0, other=none) %}select * from {{ model }} where {{ column_name }} <= {{ than }}{% if other %} and x in (select x from {{ other }}){% endif %}{% endtest %}";
    let renderer = renderer(macros);
    let mut args = Object::new();
    args.insert("other".into(), "ref('y')".into());
    args.insert("than".into(), "{{ 1 + 2 }}".into());
    let call = TestCall {
        package: "shop".into(),
        name: "positive".into(),
        model: (NodeId::new("model", "shop", "x"), Relation::new("curated", "x")),
        where_clause: Some("a > 1".into()),
        column: Some("n".into()),
        args,
        at: Location::whole_file("models/schema.yml"),
    };
    let rendered = renderer.test(&call, &Answers::default()).expect("renders");
    assert_eq!(
        rendered.sql,
        "select * from (select * from \"curated\".\"x\" where a > 1) dbt_subquery where n <= 3 and x in (select x from \"curated\".\"y\")"
    );
    assert_eq!(rendered.slots.len(), 2);
    let parsed = renderer.parse_test(&call).expect("parses");
    assert_eq!(parsed.refs[0].name, "y");
    let signature = renderer.test_signature("shop", "positive").expect("known");
    assert_eq!(signature.params.len(), 4);
    assert!(signature.params[2].has_default);
}

#[test]
fn yaml_strings_expand() {
    let file = MacroFile {
        package: "shop".into(),
        file: SourceFile::new("models/d.md", "# {{ }\n{% docs orders %}\nAll {{ orders }}.\n{% enddocs %}"),
    };
    let (renderer, diagnostics) = Renderer::new(context(), vec![file], Vec::new(), Vec::new());
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(Style::Plain));
    let at = Location::whole_file("kiln.yml");
    assert_eq!(
        renderer.expand("{{ doc('orders') }} {{ env_var('KILN_SECRET_KEY') }}", &at).expect("expands"),
        "All {{ orders }}. hush"
    );
    assert_eq!(renderer.secrets(), ["hush"]);
    assert_eq!(Expander::new(context()).expand("{{ target.name }}", &at).expect("expands"), "dev");
}

#[test]
fn messages_are_collected() {
    let renderer = renderer("");
    let template = template("{{ log('a', info=true) }}{{ log(ref('x')) }}{% do exceptions.warn('w') %}");
    renderer.render(&template, None, &Object::new(), &Answers::default()).expect("renders");
    let said: Vec<String> = renderer.messages().iter().map(|m| format!("{:?} {}", m.level, m.text)).collect();
    assert_eq!(said, ["Info a", "Debug \"curated\".\"x\"", "Warning w"]);
    assert!(renderer.messages().is_empty());
}

#[test]
fn macros_do_not_see_the_templates_variables() {
    let macros = "{% macro seen() %}{{ hidden is defined }}{{ target.name }}{% endmacro %}";
    assert_eq!(
        sql(macros, "{% set hidden = 1 %}{% set target = {'name': 'mine'} %}{{ seen() }}{{ target.name }}"),
        "Falsedevmine"
    );
}

#[test]
fn a_macro_is_evaluated_for_itself() {
    let renderer = renderer(
        "{% macro generate_schema_name(name, node) %}{{ target.schema }}_{{ name }}_{{ node.name }}{% endmacro %}",
    );
    let at = Location::whole_file("kiln.yml");
    let args = ["bi".into(), serde_json::json!({"name": "m"})];
    let text =
        renderer.evaluate("generate_schema_name", &args, &at).expect("the macro is there").expect("renders");
    assert_eq!(text, "main_bi_m");
    assert!(renderer.evaluate("generate_alias_name", &[], &at).is_none());
}

#[test]
fn modules_are_there() {
    let text = "{% set m = modules.re.search('(\\d+)-(\\d+)', 'a 12-34') %}{{ m.group(2) }} {{ modules.re.sub('[aeiou]', '_', 'banana') }} {{ modules.re.findall('n.', 'banana') }} {{ modules.re.match('b', 'ab') is none }} {{ modules.datetime.datetime.strptime('2026-02-03', '%Y-%m-%d').strftime('%d.%m.%Y') }}";
    assert_eq!(sql("", text), "34 b_n_n_ ['na', 'na'] True 03.02.2026");
}

#[test]
fn an_if_without_else_writes_nothing() {
    assert_eq!(
        sql(
            "",
            "{% for c in ['a', 'b'] %}{{ c }}{{ ',' if not loop.last }}{% endfor %}{{ nope | default('d') }}"
        ),
        "a,bd"
    );
}

#[test]
fn a_renderer_is_shared_by_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let renderer = renderer("{% macro one() %}1{% endmacro %}");
    shared(&renderer);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let rendered = renderer.render(
                        &template("{{ one() }} {{ ref('x') }}"),
                        None,
                        &Object::new(),
                        &Answers::default(),
                    );
                    assert_eq!(rendered.expect("renders").sql, "1 \"curated\".\"x\"");
                }
            });
        }
    });
}

#[test]
fn the_projects_own_macro_wins_over_kilns() {
    let macros = "{% macro type_string() %}text{% endmacro %}{% test unique(model) %}mine{% endtest %}";
    assert_eq!(
        sql(macros, "{{ type_string() }} {{ dbt.type_string() }} {{ shop.type_string() }}"),
        "text varchar text"
    );
}

#[test]
fn a_hand_written_package_wins_over_the_embedded_one() {
    let file = MacroFile {
        package: "dbt_utils".into(),
        file: SourceFile::new(
            "packages/dbt_utils/macros/g.sql",
            "{% macro group_by(n) %}{{ helper(n) }}{% endmacro %}{% macro helper(n) %}by {{ n }}{% endmacro %}",
        ),
    };
    let (renderer, diagnostics) = Renderer::new(context(), vec![file], Vec::new(), Vec::new());
    assert!(diagnostics.is_empty());
    let rendered =
        renderer.render(&template("{{ dbt_utils.group_by(2) }}"), None, &Object::new(), &Answers::default());
    assert_eq!(rendered.expect("renders").sql, "by 2");
}

#[test]
fn blanks_are_stripped_as_dbt_projects_expect() {
    let macros = "{%- macro a(x) -%}\n  {%- if x is none -%}\n    n\n  {%- else -%}\n    {{ return(x ~ '!') }}\n  {%- endif -%}\n{%- endmacro -%}";
    assert_eq!(sql(macros, "[{{ a(none) }}] [{{- a(1) -}}] {{ a(x=2) }}\n\n"), "[n] [1!] 2!\n");
}

#[test]
fn a_macro_of_the_template_itself_works() {
    let text = "{% macro twice(n) -%}{{ return(n * 2) }}{%- endmacro -%} {{ twice(4) }} {% macro t(a, b=3) %}{{ a }}{{ b }}{% endmacro %}{{ t(1) }}";
    assert_eq!(sql("", text), "8 13");
}

#[test]
fn namespaces_and_loops_keep_state() {
    let text = "{% set ns = namespace(total=0, seen=[]) %}{% for n in range(3) %}{% set ns.total = ns.total + n %}{% do ns.seen.append(n) %}{% endfor %}{{ ns.total }} {{ ns.seen }} {% for k, v in {'a': 1, 'b': 2}.items() %}{{ loop.index }}{{ k }}{{ v }}{{ ', ' if not loop.last }}{% endfor %} {{ {'a': 1}.get('z', 'd') }} {{ ['b', 'a'] | sort | join('-') }} {{ (['x'] + ['y']) | list }} {{ ('a', 'b') }} {{ 'x' in ['x'] }} {{ [] or 'none' }} {{ dict(a=1) }} {{ fromjson('[1]')[0] }} {{ zip([1], [2]) }} {{ 7 // 2 }} {{ 'a,b'.split(',')[0].upper() }}";
    assert_eq!(
        sql("", text),
        "3 [0, 1, 2] 1a1, 2b2 d a-b ['x', 'y'] ('a', 'b') True none {'a': 1} 1 [(1, 2)] 3 A"
    );
}

#[test]
fn the_tested_relation_of_a_model_is_this() {
    let template = template(
        "select max(d) from {{ this }} -- {{ this.identifier }} {{ model.name }} {{ config.get('x', 'd') }} {{ config.get('k') }}",
    );
    let mut config = Object::new();
    config.insert("k".into(), 1.into());
    let this = (NodeId::new("model", "shop", "m"), Relation::new("curated", "m"));
    let rendered = renderer("").render(&template, Some(this), &config, &Answers::default()).expect("renders");
    assert_eq!(rendered.sql, "select max(d) from \"curated\".\"m\" -- m m d 1");
    assert_eq!(rendered.slots.len(), 1);
}

#[test]
fn embedded_sql_macros_give_sql() {
    let text = "{{ dbt_utils.pivot('c', ['a', \"b's\"]) }}|{{ dbt_utils.get_column_values(ref('x'), 'c') }}|{{ dbt_utils.union_relations([ref('a'), ref('b')]) }}|{{ datediff('a', 'b', 'day') }}|{{ dbt.safe_cast('a', type_int()) }}|{{ dbt.concat(['a', 'b']) }}|{{ dbt.listagg('a', \"', '\", 'order by b') }}|{{ dbt_utils.safe_divide('a', 'b') }}";
    insta::assert_snapshot!(sql("", text));
}

#[test]
fn embedded_macros_follow_dbt_utils() {
    let text = [
        "{{ dbt_utils.surrogate_key('a', 'b') }}",
        "{{ dbt_utils.slugify('1 Odd-name!') }}{{ dbt_utils.slugify(none) }}",
        "{{ dbt_utils.pivot('c', [\"b's\"], quote_identifiers=false) }}",
        "{{ dbt_utils.star(ref('x'), rename={'NAME': 'n2'}) }}",
        "{{ dbt_utils.star(ref('x'), prefix='p_', unquote_aliases=true) }}",
        "{{ dbt_utils.star(ref('x'), except=['id', 'name']) }}",
        "{{ dbt_utils.union_relations([ref('x'), ref('y')], exclude=['Gone']) }}",
        "{{ dbt_utils.union_relations([ref('x')], include=['NAME'], column_override={'name': 'text'}, source_column_name=none) }}",
        "{{ dbt_utils.deduplicate(ref('x'), 'id', 'at desc') }}",
        "{{ dbt_utils.unpivot(ref('x'), exclude=['id']) }}",
        "{{ dbt_utils.nullcheck_table(ref('x')) }}",
        "{{ dbt_utils.width_bucket('a', 0, 10, 5) }}",
        "{{ dbt_utils.get_url_host('u') }} {{ dbt_utils.get_url_path('u') }} {{ dbt_utils.get_url_parameter('u', 'q') }}",
        "{{ dbt_date.get_base_dates(n_dateparts=3, datepart='day') }}",
        "{{ dbt_date.n_days_ago(2, 'd') }} {{ dbt_date.day_of_week('d', isoweek=false) }}",
    ];
    insta::assert_snapshot!(sql("", &text.join("\n--\n")));
}

#[test]
fn a_project_may_put_a_macro_in_the_place_of_ref() {
    let macros = "{% macro ref(name) %}{{ return(builtins.ref(name ~ '_v2')) }}{% endmacro %}";
    let renderer = renderer(macros);
    let template = template("select 1\nfrom {{ ref('x') }}");
    let parsed = renderer.parse(&template).expect("parses");
    assert_eq!(
        (parsed.refs[0].name.as_str(), parsed.refs[0].at.to_string().as_str()),
        ("x_v2", "models/m.sql:2:9")
    );
    let rendered = renderer.render(&template, None, &Object::new(), &Answers::default()).expect("renders");
    assert_eq!(rendered.sql, "select 1\nfrom \"curated\".\"x_v2\"");
}
