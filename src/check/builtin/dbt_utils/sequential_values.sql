{# One row for each value that does not follow the one before it by exactly one step. #}
{% test sequential_values(model, column_name, interval=1, datepart=none, group_by_columns=[]) %}
select *
from (
    select
        {%- for column in group_by_columns %}
        {{ column }},
        {%- endfor %}
        {{ column_name }} as this_value,
        lag({{ column_name }}) over (
            {%- if group_by_columns %}
            partition by {{ group_by_columns | join(', ') }}
            {%- endif %}
            order by {{ column_name }}
        ) as previous_value
    from {{ model }}
)
where not (
    {%- if datepart %}
    this_value::timestamp = (previous_value + {{ interval }} * interval 1 {{ datepart }})::timestamp
    {%- else %}
    this_value = previous_value + {{ interval }}
    {%- endif %}
)
{% endtest %}
