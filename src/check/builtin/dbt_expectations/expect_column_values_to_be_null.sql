{# One row for each value that is there. #}
{% test expect_column_values_to_be_null(model, column_name, row_condition=none) %}
select *
from {{ model }}
where {{ column_name }} is not null
{%- if row_condition %}
and ({{ row_condition }})
{%- endif %}
{% endtest %}
