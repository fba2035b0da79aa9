{# One row for each forbidden value that occurs. #}
{% test not_accepted_values(model, column_name, values, quote=true) %}
select *
from (
    select {{ column_name }} as value_field, count(*) as n_records
    from {{ model }}
    group by all
)
where value_field in (
        {%- for value in values %}
        {%- if quote -%}'{{ value | string | replace("''", "'") | replace("'", "''") }}'{%- else -%}{{ value }}{%- endif -%}{{ ',' if not loop.last }}
        {%- endfor %}
)
{% endtest %}
