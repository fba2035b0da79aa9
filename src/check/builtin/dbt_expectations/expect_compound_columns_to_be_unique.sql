{# One row for each combination that occurs more than once among the rows that are not ignored. #}
{% test expect_compound_columns_to_be_unique(model, column_list, quote_columns=false, ignore_row_if='all_values_are_missing', row_condition=none) %}
{%- if ignore_row_if not in ['all_values_are_missing', 'any_value_is_missing', 'never'] %}
    {{- exceptions.raise_compiler_error('`ignore_row_if` must be `all_values_are_missing`, `any_value_is_missing` or `never`, not `' ~ ignore_row_if ~ '`') }}
{%- endif %}
select
    {%- for column in column_list %}
    {% if quote_columns %}"{{ column | replace('"', '""') }}"{% else %}{{ column }}{% endif %},
    {%- endfor %}
    count(*) as n_records
from {{ model }}
where true
{%- if ignore_row_if != 'never' %}
and not (
    {%- for column in column_list %}
    {% if quote_columns %}"{{ column | replace('"', '""') }}"{% else %}{{ column }}{% endif %} is null
    {%- if not loop.last %} {{ 'and' if ignore_row_if == 'all_values_are_missing' else 'or' }}{% endif %}
    {%- endfor %}
)
{%- endif %}
{%- if row_condition %}
and ({{ row_condition }})
{%- endif %}
group by all
having count(*) > 1
{% endtest %}
