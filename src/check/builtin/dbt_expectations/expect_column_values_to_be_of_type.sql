{# One row if the column has another type. Types are compared as DuckDB names them: `text` is VARCHAR. #}
{% test expect_column_values_to_be_of_type(model, column_name, column_type) %}
select column_type
from (describe select {{ column_name }} from {{ model }})
where column_type != typeof(cast(null as {{ column_type }}))
{% endtest %}
