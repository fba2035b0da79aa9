{# Counts the rows that one has more than the other. A group that only one has counts whole; NULL groups never meet. #}
{% test equal_rowcount(model, compare_model, group_by_columns=[]) %}
{{ config(fail_calc='sum(coalesce(diff_count, 0))') }}
select
    {%- for column in group_by_columns %}
    a.group_{{ loop.index }} as group_{{ loop.index }}_a,
    b.group_{{ loop.index }} as group_{{ loop.index }}_b,
    {%- endfor %}
    coalesce(count_a, 0) as count_a,
    coalesce(count_b, 0) as count_b,
    abs(coalesce(count_a, 0) - coalesce(count_b, 0)) as diff_count
from (
    select
        {%- for column in group_by_columns %}
        {{ column }} as group_{{ loop.index }},
        {%- endfor %}
        count(*) as count_a
    from {{ model }}
    {%- if group_by_columns %}
    group by {{ group_by_columns | join(', ') }}
    {%- endif %}
) as a
full join (
    select
        {%- for column in group_by_columns %}
        {{ column }} as group_{{ loop.index }},
        {%- endfor %}
        count(*) as count_b
    from {{ compare_model }}
    {%- if group_by_columns %}
    group by {{ group_by_columns | join(', ') }}
    {%- endif %}
) as b on true
    {%- for column in group_by_columns %}
    and a.group_{{ loop.index }} = b.group_{{ loop.index }}
    {%- endfor %}
{% endtest %}
