{# The expression may match anywhere; anchor it with ^ and $. DuckDB's expressions are RE2. NULL passes. #}
{% test expect_column_values_to_not_match_regex(model, column_name, regex, row_condition=none, is_raw=false, flags='') %}
select *
from {{ model }}
where regexp_matches({{ column_name }}, '{{ regex | string | replace("'", "''") }}'{% if flags %}, '{{ flags | string | replace("'", "''") }}'{% endif %})
{%- if row_condition %}
and ({{ row_condition }})
{%- endif %}
{% endtest %}
