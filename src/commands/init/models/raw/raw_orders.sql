-- models/raw/raw_orders.sql                  (materialized: append, because it is in raw)
select * from {{ source('shop_api', 'orders') }}
