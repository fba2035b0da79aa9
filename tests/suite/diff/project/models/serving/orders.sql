select
    o.order_id,
    o.customer_id,
    o.placed_at,
    o.status,
    o.amount,
    o.email,
    o.address,
    o.tags,
    o.attributes,
    o.channel,
    c.country,
    case when o.amount > 100 then 'large' else 'small' end as size
from {{ ref('orders_clean') }} o
left join {{ ref('customers_clean') }} c on c.customer_id = o.customer_id
