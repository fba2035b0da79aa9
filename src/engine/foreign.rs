//! Functions of other databases, and what DuckDB has in their place: what a model that comes from there fails at first.

/// What to write in place of a function that DuckDB has not.
pub(super) fn instead(function: &str) -> Option<&'static str> {
    let name = function.to_lowercase();
    OTHERS.iter().find(|(other, _)| *other == name).map(|(_, instead)| *instead)
}

const OTHERS: [(&str, &str); 32] = [
    ("add_months", "x + n * interval 1 month"),
    ("approx_percentile", "approx_quantile(x, 0.5)"),
    ("array_size", "len(x)"),
    ("bitand_agg", "bit_and(x)"),
    ("charindex", "position(part in text)"),
    ("convert_timezone", "timezone('Europe/Paris', x)"),
    ("date_from_parts", "make_date(year, month, day)"),
    ("dateadd", "x + interval 1 month` or `{{ dbt.dateadd('month', 1, 'x') }}"),
    ("datefromparts", "make_date(year, month, day)"),
    ("div0", "coalesce(a / nullif(b, 0), 0)"),
    ("format_date", "strftime(x, '%Y-%m-%d')"),
    ("format_timestamp", "strftime(x, '%Y-%m-%d %H:%M:%S')"),
    ("generate_date_array", "generate_series(a, b, interval 1 day)"),
    ("get_json_object", "x ->> '$.key'"),
    ("getdate", "make_timestamp(epoch_us(now()))"),
    ("iff", "if(a, b, c)"),
    ("initcap", "upper(x[1]) || lower(x[2:])"),
    ("lateral_flatten", "unnest(x)"),
    ("nvl", "coalesce(a, b)"),
    ("nvl2", "if(a is not null, b, c)"),
    ("object_construct", "json_object('key', x)"),
    ("parse_date", "strptime(x, '%Y-%m-%d')::date"),
    ("parse_json", "x::json"),
    ("parse_timestamp", "strptime(x, '%Y-%m-%d %H:%M:%S')"),
    ("regexp_substr", "regexp_extract(x, 'pattern')"),
    ("safe_cast", "try_cast(x as type)"),
    ("safe_divide", "a / nullif(b, 0)"),
    ("timestamp_trunc", "date_trunc('day', x)"),
    ("to_char", "strftime(x, '%Y-%m-%d')"),
    ("to_date", "strptime(x, '%Y-%m-%d')::date` or `x::date"),
    ("to_varchar", "x::varchar"),
    ("zeroifnull", "coalesce(x, 0)"),
];
