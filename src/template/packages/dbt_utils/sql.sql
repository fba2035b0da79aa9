{# The macros of dbt_utils that projects use most, for DuckDB. #}
{% macro generate_surrogate_key(field_list) -%}
{%- set missing = '' if var('surrogate_key_treat_nulls_as_empty_strings', false) else '_dbt_utils_surrogate_key_null_' -%}
{%- set fields = [] -%}
{%- for field in field_list -%}
{%- do fields.append("coalesce(cast(" ~ field ~ " as varchar), '" ~ missing ~ "')") -%}
{%- endfor -%}
md5(cast({{ fields | join(" || '-' || ") }} as varchar))
{%- endmacro %}

{# What was there before `generate_surrogate_key`: fields as a list or one by one, and NULL counts as ''. #}
{% macro surrogate_key(field_list) -%}
{%- set fields = [] -%}
{%- for field in ([field_list] + varargs | list if field_list is string else field_list) -%}
{%- do fields.append("coalesce(cast(" ~ field ~ " as varchar), '')") -%}
{%- endfor -%}
md5(cast({{ fields | join(" || '-' || ") }} as varchar))
{%- endmacro %}

{% macro group_by(n) -%}
group by {% for i in range(1, n + 1) %}{{ i }}{% if not loop.last %},{% endif %}{% endfor %}
{%- endmacro %}

{% macro get_filtered_columns_in_relation(from, except=[]) -%}
{%- set kept = [] -%}
{%- set dropped = except | map('lower') | list -%}
{%- for column in adapter.get_columns_in_relation(from) -%}
{%- if column.column | lower not in dropped -%}{%- do kept.append(column.column) -%}{%- endif -%}
{%- endfor -%}
{{ return(kept) }}
{%- endmacro %}

{% macro star(from, relation_alias=false, except=[], prefix='', suffix='', quote_identifiers=true, unquote_aliases=false, rename={}) -%}
{%- set columns = dbt_utils.get_filtered_columns_in_relation(from, except) -%}
{%- set names = {} -%}
{%- for old, new in rename.items() -%}{%- do names.update({old | lower: new}) -%}{%- endfor -%}
{%- if columns | length == 0 -%}
{{ '/* no columns are left */' if execute and adapter.get_columns_in_relation(from) | length > 0 else '*' }}
{%- else -%}
{%- for column in columns -%}
{%- set alias = prefix ~ column ~ suffix -%}
{%- if relation_alias -%}{{ relation_alias }}.{%- endif -%}
{%- if quote_identifiers -%}{{ adapter.quote(column) }}{%- else -%}{{ column }}{%- endif -%}
{%- if column | lower in names %} as {{ names[column | lower] }}
{%- elif unquote_aliases %} as {{ alias }}
{%- elif alias != column %} as {{ adapter.quote(alias) if quote_identifiers else alias }}{%- endif -%}
{%- if not loop.last %},
  {% endif -%}
{%- endfor -%}{%- endif -%}
{%- endmacro %}

{% macro get_column_values(table, column, order_by='count(*) desc', max_records=none, default=none, where=none) -%}
{%- if not execute -%}{{ return(default if default is not none else []) }}{%- endif -%}
{%- set query -%}
select {{ column }} as value from {{ table }}{% if where is not none %} where {{ where }}{% endif %} group by {{ column }} order by {{ order_by }}{% if max_records is not none %} limit {{ max_records }}{% endif %}
{%- endset -%}
{{ return(run_query(query).columns[0].values()) }}
{%- endmacro %}

{% macro pivot(column, values, alias=true, agg='sum', cmp='=', prefix='', suffix='', then_value=1, else_value=0, quote_identifiers=true, distinct=false) -%}
{%- for value in values %}
{{ agg }}({% if distinct %}distinct {% endif %}case when {{ column }} {{ cmp }} '{{ dbt.escape_single_quotes(value) }}' then {{ then_value }} else {{ else_value }} end)
{%- if alias %} as {{ adapter.quote(prefix ~ value ~ suffix) if quote_identifiers else dbt_utils.slugify(prefix ~ value ~ suffix) }}{% endif -%}
{%- if not loop.last %},{% endif -%}
{%- endfor %}
{%- endmacro %}

{% macro safe_divide(numerator, denominator) %}({{ numerator }}) / nullif(({{ denominator }}), 0){% endmacro %}
{% macro safe_add(field_list) %}{% set parts = [] %}{% for field in field_list %}{% do parts.append("coalesce(" ~ field ~ ", 0)") %}{% endfor %}{{ parts | join(' + ') }}{% endmacro %}
{% macro safe_subtract(field_list) %}{% set parts = [] %}{% for field in field_list %}{% do parts.append("coalesce(" ~ field ~ ", 0)") %}{% endfor %}{{ parts | join(' - ') }}{% endmacro %}
{% macro slugify(string) %}
{%- if string is none -%}{{ return('') }}{%- endif -%}
{%- set words = modules.re.sub('[ -]+', '_', string | lower) -%}
{%- set kept = modules.re.sub('[^a-z0-9_]+', '', words) -%}
{{ return(modules.re.sub('^([0-9])', '_' ~ kept[:1], kept)) }}
{% endmacro %}
{% macro pretty_time(format='%H:%M:%S') %}{{ return(run_started_at.strftime(format)) }}{% endmacro %}
{% macro pretty_log_format(message='') %}{{ return(dbt_utils.pretty_time() ~ ' + ' ~ message) }}{% endmacro %}
{% macro log_info(message) %}{{ log(dbt_utils.pretty_log_format(message), info=true) }}{% endmacro %}

{% macro date_spine(datepart, start_date, end_date) -%}
select cast(date_{{ datepart }} as timestamp) as date_{{ datepart }}
from (select unnest(generate_series(cast({{ start_date }} as timestamp), cast({{ end_date }} as timestamp), interval '1 {{ datepart }}')) as date_{{ datepart }})
where date_{{ datepart }} < cast({{ end_date }} as timestamp)
{%- endmacro %}

{% macro generate_series(upper_bound) %}select unnest(generate_series(1, {{ upper_bound }})) as generated_number{% endmacro %}

{# DuckDB matches columns by name and finds the types that they share; columns are asked for only to pick or cast some. #}
{% macro union_relations(relations, column_override=none, include=[], exclude=[], source_column_name='_dbt_source_relation', where=none) -%}
{%- if include and exclude -%}{{ exceptions.raise_compiler_error('`union_relations` takes `include` or `exclude`, not both') }}{%- endif -%}
{%- set wanted = include | map('lower') | list -%}
{%- set types = {} -%}
{%- for name, type in (column_override or {}).items() -%}{%- do types.update({name | lower: type}) -%}{%- endfor -%}
{%- for relation in relations %}
{%- set columns = ['*'] %}
{%- if exclude %}
{#- Unlike EXCLUDE, this takes names that a table has not. #}
{%- set columns = ["columns(lambda c: lower(c) not in ('" ~ exclude | map('lower') | map('replace', "'", "''") | join("', '") ~ "'))"] %}
{%- endif %}
{%- if execute and (include or types) %}
{%- set columns = [] %}
{%- for column in dbt_utils.get_filtered_columns_in_relation(relation, exclude) if not include or column | lower in wanted %}
{%- set name = adapter.quote(column) %}
{%- do columns.append('cast(' ~ name ~ ' as ' ~ types[column | lower] ~ ') as ' ~ name if column | lower in types else name) %}
{%- endfor %}
{%- endif %}
select {% if source_column_name is not none %}'{{ relation.schema }}.{{ relation.identifier }}' as {{ source_column_name }}, {% endif %}{{ columns | join(', ') }} from {{ relation }}{% if where %} where {{ where }}{% endif %}
{%- if not loop.last %}
union all by name
{%- endif %}
{%- endfor %}
{%- endmacro %}
