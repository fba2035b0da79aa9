{{ config(materialized='ephemeral') }}
-- How far a visit came. Ephemeral: it has no table of its own and is pasted into the models that read it.
select
    session_id,
    min(event_date) as session_date,
    min(device) as device,
    bool_or(event = 'product_view') as saw_product,
    bool_or(event = 'add_to_cart') as filled_cart,
    bool_or(event = 'checkout') as went_to_checkout,
    bool_or(event = 'purchase') as bought
from {{ ref('curated_events') }}
group by session_id
