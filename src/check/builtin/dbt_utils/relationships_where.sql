{% test relationships_where(model, column_name, to, field, from_condition='1=1', to_condition='1=1') %}
select child.id, parent.id as right_id
from (
    select {{ column_name }} as id
    from {{ model }}
    where {{ column_name }} is not null and ({{ from_condition }})
) as child
left join (
    select {{ field }} as id
    from {{ to }}
    where {{ field }} is not null and ({{ to_condition }})
) as parent on child.id = parent.id
where parent.id is null
{% endtest %}
