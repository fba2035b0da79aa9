{# One row for each group (or one for the table) whose measure is too small or too large; nothing to measure passes. #}
{% macro measured_between(model, measure, min_value, max_value, group_by, row_condition, strictly) %}
select *
from (
    select
        {%- if group_by %}
        {{ group_by | join(', ') }},
        {%- endif %}
        {{ measure }} as measured
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
{% endmacro %}
