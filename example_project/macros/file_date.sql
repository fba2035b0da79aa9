{# The day in a landing file's name: landing/orders/2026-11-04.csv was written on 2026-11-04. #}
{% macro file_date(column='_source_object') %}
try_cast(regexp_extract({{ column }}, '([0-9]{4}-[0-9]{2}-[0-9]{2})[.][a-z0-9.]+$', 1) as date)
{% endmacro %}
