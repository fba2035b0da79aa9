{# One row for each value that occurs more than once. #}
{% test expect_column_values_to_be_unique(model, column_name, row_condition=none) %}
select {{ column_name }} as value_field, count(*) as n_records
from {{ model }}
where {{ column_name }} is not null
{%- if row_condition %}
and ({{ row_condition }})
{%- endif %}
group by all
having count(*) > 1
{% endtest %}
