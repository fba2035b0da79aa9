{# One row for each group (or one for the table) with too few or too many rows. An empty table has no groups. #}
{% test expect_table_row_count_to_be_between(model, min_value=none, max_value=none, group_by=none, row_condition=none, strictly=false) %}
{%- if min_value is none and max_value is none %}
    {{- exceptions.raise_compiler_error('expect_table_row_count_to_be_between needs `min_value`, `max_value` or both') }}
{%- endif %}
select
    {%- if group_by %}
    {{ group_by | join(', ') }},
    {%- endif %}
    count(*) as row_count
from {{ model }}
{%- if row_condition %}
where {{ row_condition }}
{%- endif %}
{%- if group_by %}
group by {{ group_by | join(', ') }}
{%- endif %}
having not (
    true
    {%- if min_value is not none %}
    and count(*) {{ '>' if strictly else '>=' }} {{ min_value }}
    {%- endif %}
    {%- if max_value is not none %}
    and count(*) {{ '<' if strictly else '<=' }} {{ max_value }}
    {%- endif %}
)
{% endtest %}
