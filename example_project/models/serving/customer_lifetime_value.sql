-- Every customer has a row, also those who never ordered.
select
    c.customer_id,
    c.country_code,
    c.country_name,
    min(o.order_date) as first_order_date,
    max(o.order_date) as last_order_date,
    count(o.order_id) as orders,
    coalesce(sum(o.amount) filter (where o.status in ('paid', 'shipped')), 0) as revenue
from {{ ref('curated_customers') }} as c
left join {{ ref('curated_orders') }} as o on o.customer_id = c.customer_id
group by c.customer_id, c.country_code, c.country_name
