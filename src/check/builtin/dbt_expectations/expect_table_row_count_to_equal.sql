{# One row for each group (or one for the table) with another number of rows. #}
{% test expect_table_row_count_to_equal(model, value, group_by=none, row_condition=none) %}
select
    {%- if group_by %}
    {{ group_by | join(', ') }},
    {%- endif %}
    count(*) as row_count
from {{ model }}
{%- if row_condition %}
where {{ row_condition }}
{%- endif %}
{%- if group_by %}
group by {{ group_by | join(', ') }}
{%- endif %}
having count(*) != {{ value }}
{% endtest %}
