-- One row per customer with the newest name, address and country.
select
    c.customer_id,
    trim(c.name) as name,
    lower(c.email) as email,
    c.country as country_code,
    k.country_name,
    c.signed_up_on
from {{ ref('raw_customers') }} as c
left join {{ ref('country_codes') }} as k on k.country_code = c.country
{{ latest('c.customer_id', order_by='c._source_object desc') }}
