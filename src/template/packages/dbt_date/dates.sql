{# The macros of dbt_date that projects use most, for DuckDB. Days are those of UTC: DuckDB needs an extension for other
   time zones, and even for casting `now()`. #}
{% macro now(tz=none) %}make_timestamp(epoch_us(now())){% endmacro %}
{% macro today(tz=none) %}cast(make_timestamp(epoch_us(now())) as date){% endmacro %}
{% macro yesterday(date=none, tz=none) %}{{ return(dbt_date.n_days_ago(1, date, tz)) }}{% endmacro %}
{% macro tomorrow(date=none, tz=none) %}{{ return(dbt_date.n_days_away(1, date, tz)) }}{% endmacro %}
{% macro n_days_ago(n, date=none, tz=none) %}cast({{ date or dbt_date.today(tz) }} as date) - {{ n }}{% endmacro %}
{% macro n_days_away(n, date=none, tz=none) %}cast({{ date or dbt_date.today(tz) }} as date) + {{ n }}{% endmacro %}
{% macro n_weeks_ago(n, tz=none) %}cast(date_trunc('week', {{ dbt_date.today(tz) }} - interval {{ n }} week) as date){% endmacro %}
{% macro n_months_ago(n, tz=none) %}cast(date_trunc('month', {{ dbt_date.today(tz) }} - interval {{ n }} month) as date){% endmacro %}

{% macro date_part(datepart, date) %}date_part('{{ datepart }}', {{ date }}){% endmacro %}
{% macro day_of_month(date) %}date_part('day', {{ date }}){% endmacro %}
{% macro day_of_year(date) %}date_part('doy', {{ date }}){% endmacro %}
{# Monday is 1 where weeks are ISO's, else Sunday is 1. #}
{% macro day_of_week(date, isoweek=true) %}{% if isoweek %}date_part('isodow', {{ date }}){% else %}(date_part('dow', {{ date }}) + 1){% endif %}{% endmacro %}
{% macro day_name(date, short=true) %}strftime({{ date }}, '{{ '%a' if short else '%A' }}'){% endmacro %}
{% macro month_name(date, short=true) %}strftime({{ date }}, '{{ '%b' if short else '%B' }}'){% endmacro %}
{# Weeks begin on Sunday, those of ISO on Monday. #}
{% macro week_start(date) %}cast(date_trunc('week', {{ date }} + interval 1 day) - interval 1 day as date){% endmacro %}
{% macro week_end(date) %}cast(date_trunc('week', {{ date }} + interval 1 day) + interval 5 day as date){% endmacro %}
{% macro iso_week_start(date) %}cast(date_trunc('week', {{ date }}) as date){% endmacro %}
{% macro iso_week_end(date) %}cast(date_trunc('week', {{ date }}) + interval 6 day as date){% endmacro %}
{% macro iso_week_of_year(date) %}date_part('week', {{ date }}){% endmacro %}

{% macro get_base_dates(start_date=none, end_date=none, n_dateparts=none, datepart='day') -%}
{%- if n_dateparts -%}
{%- set end_date = "date_trunc('" ~ datepart ~ "', " ~ dbt_date.today() ~ ")" -%}
{%- set start_date = end_date ~ " - interval '1 " ~ datepart ~ "' * (" ~ n_dateparts ~ ")" -%}
{%- elif not (start_date and end_date) -%}
{{ exceptions.raise_compiler_error('`get_base_dates` needs `start_date` and `end_date`, or `n_dateparts`') }}
{%- else -%}
{%- set start_date = "cast('" ~ start_date ~ "' as timestamp)" -%}
{%- set end_date = "cast('" ~ end_date ~ "' as timestamp)" -%}
{%- endif -%}
{{ dbt_utils.date_spine(datepart, start_date, end_date) }}
{%- endmacro %}
