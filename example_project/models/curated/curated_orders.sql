-- One row per order, as it stands now.
--   Duplicates: the export of day 2 ran twice over part of its rows; latest() keeps one.
--   Changes: a later file repeats an order with a new status; latest() keeps the newest.
--   A missing column: the file of day 5 has no channel. max_by() takes the newest that is known for the order.
--   Late rows: four orders of days 1 and 2 landed on day 4. They count on the day they were placed, and are marked.
-- raw.raw_orders has a coupon_code since day 3. To use it, declare it in sources.yml and select it here.
select
    order_id,
    customer_id,
    ordered_at,
    cast(ordered_at as date) as order_date,
    updated_at,
    status,
    coalesce(channel, max_by(channel, updated_at) over (partition by order_id), 'unknown') as channel,
    amount,
    {{ file_date() }} as landed_on,
    min({{ file_date() }}) over (partition by order_id)
        - cast(ordered_at as date) > {{ var('late_after_days') }} as is_late
from {{ ref('raw_orders') }}
where order_id is not null
  and ordered_at >= timestamp '{{ var("first_day") }}'
{{ latest('order_id') }}
