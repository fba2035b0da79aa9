{# The macros of dbt_utils that make one value: distances, buckets, parts of URLs. #}
{% macro haversine_distance(lat1, lon1, lat2, lon2, unit='mi') -%}
{%- if unit not in ['mi', 'km'] -%}{{ exceptions.raise_compiler_error('`unit` of `haversine_distance` must be `mi` or `km`, not `' ~ unit ~ '`') }}{%- endif -%}
(2 * 3961 * asin(sqrt(power(sin(radians((({{ lat2 }}) - ({{ lat1 }})) / 2)), 2) + cos(radians({{ lat1 }})) * cos(radians({{ lat2 }})) * power(sin(radians((({{ lon2 }}) - ({{ lon1 }})) / 2)), 2))) * {{ 1 if unit == 'mi' else 1.60934 }})
{%- endmacro %}

{% macro degrees_to_radians(degrees) %}radians({{ degrees }}){% endmacro %}

{# Buckets from 1; what is below the first is 0, what is not below the last is one more than there are. #}
{% macro width_bucket(expr, min_value, max_value, num_buckets) -%}
cast(case when {{ expr }} < {{ min_value }} then 0 when {{ expr }} >= {{ max_value }} then {{ num_buckets }} + 1 else floor((({{ expr }}) - ({{ min_value }})) * {{ num_buckets }} / (({{ max_value }}) - ({{ min_value }}))) + 1 end as bigint)
{%- endmacro %}

{% macro get_url_parameter(field, url_parameter) -%}
nullif(split_part(split_part({{ field }}, '{{ dbt.escape_single_quotes(url_parameter) }}=', 2), '&', 1), '')
{%- endmacro %}

{% macro get_url_host(field) -%}
regexp_extract({{ field }}, '^(?:android-app://|https?://)?([^/?]*)', 1)
{%- endmacro %}

{% macro get_url_path(field) -%}
regexp_extract({{ field }}, '^(?:https?://)?[^/?]*/?([^?]*)', 1)
{%- endmacro %}
