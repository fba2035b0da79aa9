{# One row for each group (or one for the table) in which the column has exactly one value. #}
{% test not_constant(model, column_name, group_by_columns=[]) %}
select
    {%- for column in group_by_columns %}
    {{ column }},
    {%- endfor %}
    count(distinct {{ column_name }}) as distinct_values
from {{ model }}
{%- if group_by_columns %}
group by {{ group_by_columns | join(', ') }}
{%- endif %}
having count(distinct {{ column_name }}) = 1
{% endtest %}
