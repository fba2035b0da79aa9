{# One row for each group (or one for the table) whose newest value is too old; no rows, no verdict.
   `make_timestamp(epoch_us(now()))` is the UTC time: casting `now()` would need the icu extension. #}
{% test recency(model, field, datepart, interval, ignore_time_component=false, group_by_columns=[]) %}
{%- set type = 'date' if ignore_time_component else 'timestamp' %}
select *
from (
    select
        {%- for column in group_by_columns %}
        {{ column }},
        {%- endfor %}
        max({{ field }})::{{ type }} as most_recent,
        (make_timestamp(epoch_us(now()))::{{ type }} - {{ interval }} * interval 1 {{ datepart }})::{{ type }} as threshold
    from {{ model }}
    {%- if group_by_columns %}
    group by {{ group_by_columns | join(', ') }}
    {%- endif %}
)
where most_recent < threshold
{% endtest %}
