{{ config(tags=['finance']) }}
-- One column per status, written by a loop over the macro's list: a new status is added in one place.
select
    m.channel_group,
    count(*) as orders,
{%- for status in order_statuses() %}
    count(*) filter (where o.status = '{{ status }}') as orders_{{ status }},
{%- endfor %}
    coalesce(sum(o.amount) filter (where o.status in ('paid', 'shipped')), 0) as revenue,
    cast(
        coalesce(sum(o.amount * m.commission_percent * 0.01) filter (where o.status in ('paid', 'shipped')), 0)
        as decimal(18, 2)
    ) as commission
from {{ ref('curated_orders') }} as o
inner join {{ ref('channel_mapping') }} as m on m.channel = o.channel
group by m.channel_group
