{# One row if the column has none of the types. Types are compared as DuckDB names them: `text` is VARCHAR. #}
{% test expect_column_values_to_be_in_type_list(model, column_name, column_type_list) %}
select column_type
from (describe select {{ column_name }} from {{ model }})
where column_type not in (
    {%- for type in column_type_list %}
    typeof(cast(null as {{ type }})){{ ',' if not loop.last }}
    {%- endfor %}
)
{% endtest %}
