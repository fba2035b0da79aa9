{# An own generic test: a SELECT whose rows are failures. Properties name it like a built-in one. #}
{% test no_missing_day(model, column_name, step=1) %}
select day, next_day
from (
    select {{ column_name }} as day, lead({{ column_name }}) over (order by {{ column_name }}) as next_day
    from (select distinct {{ column_name }} from {{ model }})
)
where next_day - day > {{ step }}
{% endtest %}
