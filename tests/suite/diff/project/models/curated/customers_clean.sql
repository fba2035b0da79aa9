select
    customer_id,
    trim(name) as name,
    upper(country) as country,
    score
from {{ ref('raw_customers') }}
