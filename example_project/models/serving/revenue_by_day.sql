-- Days are the days of the order, not of the file: a late order moves the figure of a day gone by.
select
    order_date,
    count(*) as orders,
    count(*) filter (where is_late) as late_orders,
    coalesce(sum(amount) filter (where status in ('paid', 'shipped')), 0) as revenue
from {{ ref('curated_orders') }}
group by order_date
