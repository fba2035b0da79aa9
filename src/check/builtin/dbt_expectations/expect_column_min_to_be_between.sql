{# One row for each group (or one for the table) whose smallest value is too small or too large; nothing to measure passes. #}
{% test expect_column_min_to_be_between(model, column_name, min_value=none, max_value=none, group_by=none, row_condition=none, strictly=false) %}
{%- if min_value is none and max_value is none %}
    {{- exceptions.raise_compiler_error('expect_column_min_to_be_between needs `min_value`, `max_value` or both') }}
{%- endif %}
{{- measured_between(model, 'min(' ~ column_name ~ ')', min_value, max_value, group_by, row_condition, strictly) -}}
{% endtest %}
