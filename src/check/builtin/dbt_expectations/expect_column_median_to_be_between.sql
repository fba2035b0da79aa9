{# One row for each group (or one for the table) whose median is too small or too large; nothing to measure passes. #}
{% test expect_column_median_to_be_between(model, column_name, min_value=none, max_value=none, group_by=none, row_condition=none, strictly=false) %}
{%- if min_value is none and max_value is none %}
    {{- exceptions.raise_compiler_error('expect_column_median_to_be_between needs `min_value`, `max_value` or both') }}
{%- endif %}
select *
from (
    select
        {%- if group_by %}
        {{ group_by | join(', ') }},
        {%- endif %}
        median({{ column_name }}) as measured
    from {{ model }}
    {%- if row_condition %}
    where {{ row_condition }}
    {%- endif %}
    {%- if group_by %}
    group by {{ group_by | join(', ') }}
    {%- endif %}
)
where not (
    true
    {%- if min_value is not none %}
    and measured {{ '>' if strictly else '>=' }} {{ min_value }}
    {%- endif %}
    {%- if max_value is not none %}
    and measured {{ '<' if strictly else '<=' }} {{ max_value }}
    {%- endif %}
)
{% endtest %}
