{# One row (or one for each group) for which the expression is not true; what is NULL is not true. #}
{% test expression_is_true(model, expression, test_condition='= true', group_by_columns=none, row_condition=none) %}
select *
from (
    select
        {%- if group_by_columns %}
        {{ group_by_columns | join(', ') }},
        {%- endif %}
        {{ expression }} as expression
    from {{ model }}
    {%- if row_condition %}
    where {{ row_condition }}
    {%- endif %}
    {%- if group_by_columns %}
    group by {{ group_by_columns | join(', ') }}
    {%- endif %}
)
where not coalesce(expression {{ test_condition }}, false)
{% endtest %}
