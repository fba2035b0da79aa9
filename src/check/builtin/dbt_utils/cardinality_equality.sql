{# One row for each value whose number of rows differs, from each side that has it. NULL is a value here. #}
{% test cardinality_equality(model, column_name, to, field) %}
with a as (
    select {{ column_name }} as value_field, count(*) as num_rows from {{ model }} group by all
),
b as (
    select {{ field }} as value_field, count(*) as num_rows from {{ to }} group by all
)
(select * from a except select * from b)
union all
(select * from b except select * from a)
{% endtest %}
