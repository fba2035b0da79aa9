select * from {{ source('shop_api', 'customers') }}
