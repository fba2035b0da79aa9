{# return() hands back a value rather than text, so models can loop over it. #}
{% macro order_statuses(only_final=false) %}
  {% if only_final %}
    {{ return(['shipped', 'cancelled', 'returned']) }}
  {% endif %}
  {{ return(['placed', 'paid', 'shipped', 'cancelled', 'returned']) }}
{% endmacro %}
