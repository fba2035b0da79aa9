{# One row for each group (or one for the table) whose share of filled rows is out of bounds. No rows, no verdict. #}
{% test not_null_proportion(model, column_name, at_least, at_most=1.0, group_by_columns=[]) %}
select *
from (
    select
        {%- for column in group_by_columns %}
        {{ column }},
        {%- endfor %}
        count({{ column_name }}) / nullif(count(*), 0)::double as not_null_proportion
    from {{ model }}
    {%- if group_by_columns %}
    group by {{ group_by_columns | join(', ') }}
    {%- endif %}
)
where not_null_proportion < {{ at_least }} or not_null_proportion > {{ at_most }}
{% endtest %}
