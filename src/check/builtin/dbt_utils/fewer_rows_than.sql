{# Equal counts fail by one. A group that only one of them has passes, as a comparison with NULL says nothing. #}
{% test fewer_rows_than(model, compare_model, group_by_columns=[]) %}
{{ config(fail_calc='sum(coalesce(row_count_delta, 0))') }}
select
    {%- for column in group_by_columns %}
    a.group_{{ loop.index }} as group_{{ loop.index }}_a,
    b.group_{{ loop.index }} as group_{{ loop.index }}_b,
    {%- endfor %}
    count_a as count_our_model,
    count_b as count_comparison_model,
    case
        when count_a > count_b then count_a - count_b
        when count_a = count_b then 1
        else 0
    end as row_count_delta
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
