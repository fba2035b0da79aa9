with wanted as (
    select *
    from {{ ref('raw_orders') }}
    where order_id is not null
),
priced as (
    select
        order_id,
        customer_id,
        placed_at,
        lower(status) as status,
        amount,
        email,
        address,
        tags,
        attributes,
        channel
    from wanted
    where amount >= 0
)
select * from priced
