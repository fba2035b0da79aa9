{# One row for each child row whose value no parent has. NULL needs no parent. #}
{% test relationships(model, column_name, to, field) %}
select from_field
from (
    select {{ column_name }} as from_field
    from {{ model }}
    where {{ column_name }} is not null
) as child
anti join (
    select {{ field }} as to_field
    from {{ to }}
) as parent on child.from_field = parent.to_field
{% endtest %}
