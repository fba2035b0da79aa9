{# One row for each combination that occurs more than once; NULLs are equal to each other here, as in `group by`. #}
{% test unique_combination_of_columns(model, combination_of_columns, quote_columns=false) %}
select
    {%- for column in combination_of_columns %}
    {% if quote_columns %}"{{ column | replace('"', '""') }}"{% else %}{{ column }}{% endif %},
    {%- endfor %}
    count(*) as n_records
from {{ model }}
group by all
having count(*) > 1
{% endtest %}
