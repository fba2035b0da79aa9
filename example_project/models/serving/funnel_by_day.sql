-- How many visits of a day reached each step.
select
    session_date,
    device,
    count(*) as sessions,
    count(*) filter (where saw_product) as saw_product,
    count(*) filter (where filled_cart) as filled_cart,
    count(*) filter (where went_to_checkout) as went_to_checkout,
    count(*) filter (where bought) as bought,
    cast(count(*) filter (where bought) / count(*) as decimal(5, 4)) as conversion
from {{ ref('curated_sessions') }}
group by session_date, device
