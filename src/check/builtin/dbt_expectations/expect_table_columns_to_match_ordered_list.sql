{# One row for each place where the table has another column than the list, without regard to case. #}
{% test expect_table_columns_to_match_ordered_list(model, column_list, transform='upper') %}
select found.column_name as found, wanted.column_name as wanted
from (select column_name, row_number() over () as place from (describe select * from {{ model }})) found
full join (
    values
    {%- for column in column_list %}
    ('{{ column | string | replace("'", "''") }}', {{ loop.index }}){{ ',' if not loop.last }}
    {%- endfor %}
) wanted(column_name, place) on found.place = wanted.place
where lower(found.column_name) is distinct from lower(wanted.column_name)
{% endtest %}
