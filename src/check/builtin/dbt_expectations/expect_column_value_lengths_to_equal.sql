{# Length in characters. NULL passes. #}
{% test expect_column_value_lengths_to_equal(model, column_name, value, row_condition=none) %}
select *
from {{ model }}
where not (length({{ column_name }}) = {{ value }})
{%- if row_condition %}
and ({{ row_condition }})
{%- endif %}
{% endtest %}
