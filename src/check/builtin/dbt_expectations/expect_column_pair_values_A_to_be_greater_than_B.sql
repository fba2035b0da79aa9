{# One row for each pair whose first is not greater, or of which a part is missing. #}
{% test expect_column_pair_values_A_to_be_greater_than_B(model, column_A, column_B, or_equal=false, row_condition=none) %}
select *
from {{ model }}
where not coalesce({{ column_A }} {{ '>=' if or_equal else '>' }} {{ column_B }}, false)
{%- if row_condition %}
and ({{ row_condition }})
{%- endif %}
{% endtest %}
