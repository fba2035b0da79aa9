{# One row if the number of distinct values is another. #}
{% test expect_column_distinct_count_to_equal(model, column_name, value, row_condition=none) %}
select count(distinct {{ column_name }}) as distinct_values
from {{ model }}
{%- if row_condition %}
where {{ row_condition }}
{%- endif %}
having count(distinct {{ column_name }}) != {{ value }}
{% endtest %}
