{{ config(materialized='view') }}
-- Nothing to repair here, so a view will do.
select payment_id, order_id, method, status, amount, paid_at
from {{ ref('raw_payments') }}
