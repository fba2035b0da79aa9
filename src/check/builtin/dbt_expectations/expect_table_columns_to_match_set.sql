{# One row for each column that only the table or only the set has, without regard to case. #}
{% test expect_table_columns_to_match_set(model, column_list, transform='upper') %}
select found.column_name as found, wanted.column_name as wanted
from (describe select * from {{ model }}) found
full join (
    values
    {%- for column in column_list %}
    ('{{ column | string | replace("'", "''") }}'){{ ',' if not loop.last }}
    {%- endfor %}
) wanted(column_name) on lower(found.column_name) = lower(wanted.column_name)
where found.column_name is null or wanted.column_name is null
{% endtest %}
