{# One row for each pair that is not equal, or of which a part is missing. #}
{% test expect_column_pair_values_to_be_equal(model, column_A, column_B, row_condition=none) %}
select *
from {{ model }}
where not coalesce({{ column_A }} = {{ column_B }}, false)
{%- if row_condition %}
and ({{ row_condition }})
{%- endif %}
{% endtest %}
