{# Rows that only one of the two has, as sets. Columns are matched by name: `union all by name` puts the other's into
   this one's order, and a column that only one has stops the query, because the counts of columns differ. A column to leave out may be in one alone. `columns(*)`
   goes through the types, so that `precision` rounds what is not a whole number and leaves the rest. #}
{% test equality(model, compare_model, compare_columns=none, exclude_columns=none, precision=none) %}
{{ config(fail_calc="count(*) + coalesce(abs(sum(case when which_diff = 'a_minus_b' then 1 else 0 end) - sum(case when which_diff = 'b_minus_a' then 1 else 0 end)), 0)") }}
{%- if compare_columns and exclude_columns %}
    {{- exceptions.raise_compiler_error('equality takes `compare_columns` or `exclude_columns`, not both') }}
{%- endif %}
{%- set picked %}
    {%- if compare_columns %}{{ compare_columns | join(', ') }}
    {%- elif exclude_columns %}columns(lambda c: lower(c) not in (
        {%- for column in exclude_columns %}'{{ column | string | lower | replace('"', '') | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor -%}
        ))
    {%- else %}*
    {%- endif %}
{%- endset %}
{%- set compared %}
    {%- if precision is none %}*
    {%- else %}case
        when typeof(columns(*)) in ('DOUBLE', 'FLOAT') or typeof(columns(*)) like 'DECIMAL%'
        then round(try_cast(columns(*) as double), {{ precision }})::varchar
        else columns(*)::varchar
    end
    {%- endif %}
{%- endset %}
with a as (
    select {{ picked }} from {{ model }}
),
b as (
    select {{ picked }} from {{ compare_model }}
),
a_minus_b as (
    select {{ compared }} from a
    except
    select {{ compared }} from (select * from a where false union all by name select * from b)
),
b_minus_a as (
    select {{ compared }} from b
    except
    select {{ compared }} from (select * from b where false union all by name select * from a)
)
select 'a_minus_b' as which_diff, * from a_minus_b
union all by name
select 'b_minus_a' as which_diff, * from b_minus_a
{% endtest %}
