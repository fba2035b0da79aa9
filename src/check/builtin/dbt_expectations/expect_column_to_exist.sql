{# One row if the table has no such column, or has it at another place. DuckDB's names of columns know no case. #}
{% test expect_column_to_exist(model, column_name, column_index=none, transform='upper') %}
select wanted.column_name
from (values ('{{ column_name | string | replace("'", "''") }}')) wanted(column_name)
where not exists (
    select 1
    from (select column_name, row_number() over () - 1 as position from (describe select * from {{ model }})) found
    where lower(found.column_name) = lower(wanted.column_name)
    {%- if column_index is not none %}
    and found.position = {{ column_index }}
    {%- endif %}
)
{% endtest %}
