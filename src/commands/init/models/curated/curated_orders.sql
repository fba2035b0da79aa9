-- models/curated/curated_orders.sql
select order_id, customer_id, order_date, amount
from {{ ref('raw_orders') }}
where order_id is not null
qualify row_number() over (partition by order_id order by _loaded_at desc) = 1
