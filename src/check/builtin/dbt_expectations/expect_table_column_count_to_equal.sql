{# One row if the number of columns is another. #}
{% test expect_table_column_count_to_equal(model, value) %}
select count(*) as columns
from (describe select * from {{ model }})
having count(*) != {{ value }}
{% endtest %}
