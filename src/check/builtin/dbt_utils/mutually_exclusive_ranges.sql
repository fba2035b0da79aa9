{# A bound that is NULL fails. `gaps` says what may lie between a range and the next. #}
{% test mutually_exclusive_ranges(model, lower_bound_column, upper_bound_column, partition_by=none, gaps='allowed', zero_length_range_allowed=false) %}
{%- if gaps not in ['allowed', 'not_allowed', 'required'] %}
    {{- exceptions.raise_compiler_error('`gaps` of mutually_exclusive_ranges must be `allowed`, `not_allowed` or `required`, not `' ~ gaps ~ '`') }}
{%- endif %}
{%- set between = {'allowed': '<=', 'not_allowed': '=', 'required': '<'}[gaps] %}
{%- set inside = '<=' if zero_length_range_allowed else '<' %}
{%- set partition = 'partition by ' ~ partition_by if partition_by else '' %}
select *
from (
    select
        {%- if partition_by %}
        {{ partition_by }} as partition_by_col,
        {%- endif %}
        {{ lower_bound_column }} as lower_bound,
        {{ upper_bound_column }} as upper_bound,
        lead({{ lower_bound_column }}) over (
            {{ partition }} order by {{ lower_bound_column }}, {{ upper_bound_column }}
        ) as next_lower_bound,
        row_number() over (
            {{ partition }} order by {{ lower_bound_column }} desc, {{ upper_bound_column }} desc
        ) = 1 as is_last_record
    from {{ model }}
)
where not (
    coalesce(lower_bound {{ inside }} upper_bound, false)
    and coalesce(upper_bound {{ between }} next_lower_bound, is_last_record, false)
)
{% endtest %}
