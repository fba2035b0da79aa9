{# One row if the newest value that is not in the future is too old, or if there is none.
   `make_timestamp(epoch_us(now()))` is the UTC time: casting `now()` would need the icu extension. #}
{% test expect_row_values_to_have_recent_data(model, column_name, datepart, interval, row_condition=none) %}
select *
from (
    select max({{ column_name }}::timestamp) as max_timestamp
    from {{ model }}
    where {{ column_name }}::timestamp <= make_timestamp(epoch_us(now()))
    {%- if row_condition %}
    and ({{ row_condition }})
    {%- endif %}
)
where coalesce(max_timestamp, timestamp '1970-01-01')
    < make_timestamp(epoch_us(now())) - {{ interval }} * interval 1 {{ datepart }}
{% endtest %}
