{# One row if the two tables have different numbers of rows. #}
{% test expect_table_row_count_to_equal_other_table(model, compare_model, factor=1, row_condition=none, compare_row_condition=none) %}
select a.row_count, b.row_count as compare_row_count
from (
    select count(*) as row_count
    from {{ model }}
    {%- if row_condition %}
    where {{ row_condition }}
    {%- endif %}
) a, (
    select count(*) as row_count
    from {{ compare_model }}
    {%- if compare_row_condition %}
    where {{ compare_row_condition }}
    {%- endif %}
) b
where a.row_count != b.row_count * {{ factor }}
{% endtest %}
