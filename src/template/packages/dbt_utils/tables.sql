{# The macros of dbt_utils that reshape a table or ask the database, for DuckDB. #}
{% macro deduplicate(relation, partition_by, order_by) -%}
select * from {{ relation }}
qualify row_number() over (partition by {{ partition_by }} order by {{ order_by }}) = 1
{%- endmacro %}

{% macro unpivot(relation=none, cast_to='varchar', exclude=none, remove=none, field_name='field_name', value_name='value', quote_identifiers=false) -%}
{%- if not relation -%}{{ exceptions.raise_compiler_error('`unpivot` needs its argument `relation`') }}{%- endif -%}
{%- set kept = exclude or [] -%}
{%- for column in dbt_utils.get_filtered_columns_in_relation(relation, kept + (remove or [])) %}
select
{%- for name in kept %}
    {{ adapter.quote(name) if quote_identifiers else name }},
{%- endfor %}
    cast('{{ dbt.escape_single_quotes(column) }}' as varchar) as {{ adapter.quote(field_name) if quote_identifiers else field_name }},
    cast({{ adapter.quote(column) if quote_identifiers else column }} as {{ cast_to }}) as {{ adapter.quote(value_name) if quote_identifiers else value_name }}
from {{ relation }}
{%- if not loop.last %}
union all
{%- endif %}
{%- else %}
select * from {{ relation }}
{%- endfor %}
{%- endmacro %}

{% macro nullcheck(cols) -%}
{%- for column in cols -%}
{%- if column.is_string() -%}nullif({{ column.quoted }}, '') as {{ column.quoted }}{%- else -%}{{ column.quoted }}{%- endif -%}
{%- if not loop.last %}, {% endif -%}
{%- else -%}*{%- endfor -%}
{%- endmacro %}

{% macro nullcheck_table(relation) -%}
select {{ dbt_utils.nullcheck(adapter.get_columns_in_relation(relation)) }} from {{ relation }}
{%- endmacro %}

{% macro get_single_value(query, default=none) -%}
{%- if not execute -%}{{ return(default) }}{%- endif -%}
{%- set values = run_query(query).columns[0].values() -%}
{{ return(values[0] if values | length > 0 else default) }}
{%- endmacro %}

{% macro get_query_results_as_dict(query) -%}
{%- set columns = {} -%}
{%- if execute -%}
{%- set results = run_query(query) -%}
{%- for name in results.column_names -%}{%- do columns.update({name: results.columns[loop.index0].values()}) -%}{%- endfor -%}
{%- endif -%}
{{ return(columns) }}
{%- endmacro %}

{% macro get_relations_by_pattern(schema_pattern, table_pattern, exclude='', database=target.database) -%}
{%- set relations = [] -%}
{%- if execute -%}
{%- set query -%}
select distinct table_schema, table_name, case table_type when 'VIEW' then 'view' else 'table' end as table_type
from information_schema.tables
where table_schema ilike '{{ dbt.escape_single_quotes(schema_pattern) }}'
and table_name ilike '{{ dbt.escape_single_quotes(table_pattern) }}'
and table_name not ilike '{{ dbt.escape_single_quotes(exclude) }}'
order by all
{%- endset -%}
{%- for row in run_query(query) -%}
{%- do relations.append(api.Relation.create(database=database, schema=row[0], identifier=row[1], type=row[2])) -%}
{%- endfor -%}
{%- endif -%}
{{ return(relations) }}
{%- endmacro %}

{% macro get_relations_by_prefix(schema, prefix, exclude='', database=target.database) %}{{ return(dbt_utils.get_relations_by_pattern(schema, prefix ~ '%', exclude, database)) }}{% endmacro %}
