select
    cast(placed_at as date) as day,
    count(*) as orders,
    sum(amount) as revenue
from {{ ref('orders') }}
group by 1
