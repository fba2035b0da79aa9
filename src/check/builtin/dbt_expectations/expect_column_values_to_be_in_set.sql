{# One row for each row outside the set. Unlike accepted_values, NULL is outside. #}
{% test expect_column_values_to_be_in_set(model, column_name, value_set, quote_values=true, row_condition=none) %}
select value_field
from (
    select {{ column_name }} as value_field
    from {{ model }}
    {%- if row_condition %}
    where {{ row_condition }}
    {%- endif %}
)
where coalesce(value_field not in (
        {%- for value in value_set %}
        {% if quote_values -%}'{{ value | string | replace("''", "'") | replace("'", "''") }}'{%- else -%}{{ value }}{%- endif -%}{{ ',' if not loop.last }}
        {%- endfor %}
), true)
{% endtest %}
