{# One row for each value that occurs more than once. NULL is not a value. #}
{% test unique(model, column_name) %}
select {{ column_name }} as unique_field, count(*) as n_records
from {{ model }}
where {{ column_name }} is not null
group by all
having count(*) > 1
{% endtest %}
