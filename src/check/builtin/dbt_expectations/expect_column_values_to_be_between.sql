{# The bounds are SQL: a number, a quoted date, another column. NULL passes. #}
{% test expect_column_values_to_be_between(model, column_name, min_value=none, max_value=none, row_condition=none, strictly=false) %}
{%- if min_value is none and max_value is none %}
    {{- exceptions.raise_compiler_error('expect_column_values_to_be_between needs `min_value`, `max_value` or both') }}
{%- endif %}
select *
from {{ model }}
where not (
    true
    {%- if min_value is not none %}
    and {{ column_name }} {{ '>' if strictly else '>=' }} {{ min_value }}
    {%- endif %}
    {%- if max_value is not none %}
    and {{ column_name }} {{ '<' if strictly else '<=' }} {{ max_value }}
    {%- endif %}
)
{%- if row_condition %}
and ({{ row_condition }})
{%- endif %}
{% endtest %}
