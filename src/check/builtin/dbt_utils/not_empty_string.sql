{# DuckDB's `trim` takes spaces only, so other white space is named. #}
{% test not_empty_string(model, column_name, trim_whitespace=true) %}
select *
from {{ model }}
where {% if trim_whitespace -%}
    trim({{ column_name }}, ' ' || chr(9) || chr(10) || chr(13)) = ''
{%- else -%}
    {{ column_name }} = ''
{%- endif %}
{% endtest %}
