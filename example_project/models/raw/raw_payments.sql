select * from {{ source('shop_api', 'payments') }}
