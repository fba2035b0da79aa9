{# One row for each value that matches the pattern of LIKE. NULL passes. #}
{% test expect_column_values_to_not_match_like_pattern(model, column_name, like_pattern, row_condition=none) %}
select *
from {{ model }}
where {{ column_name }} like '{{ like_pattern | string | replace("'", "''") }}'
{%- if row_condition %}
and ({{ row_condition }})
{%- endif %}
{% endtest %}
