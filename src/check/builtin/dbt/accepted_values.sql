{# One row for each value outside the list; NULL passes, as `not in` says nothing of it.
   A quote in a value is doubled, unless its writer has done so already. #}
{% test accepted_values(model, column_name, values, quote=true) %}
select *
from (
    select {{ column_name }} as value_field, count(*) as n_records
    from {{ model }}
    group by all
)
where value_field not in (
        {%- for value in values %}
        {%- if quote -%}'{{ value | string | replace("''", "'") | replace("'", "''") }}'{%- else -%}{{ value }}{%- endif -%}{{ ',' if not loop.last }}
        {%- endfor %}
)
{% endtest %}
