{# Keeps one row per key: the first in that order. On a first run all files can have one load time, so the data's
   own clock comes first and the file's name second. #}
{% macro latest(key, order_by='updated_at desc, _source_object desc') %}
qualify row_number() over (partition by {{ key }} order by {{ order_by }}) = 1
{% endmacro %}
