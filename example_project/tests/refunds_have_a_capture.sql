-- A singular test: it may read what it likes, and each row that it returns is a failure.
select refund.payment_id, refund.order_id
from {{ ref('curated_payments') }} as refund
where refund.status = 'refunded'
  and not exists (
      select 1
      from {{ ref('curated_payments') }} as capture
      where capture.order_id = refund.order_id and capture.status = 'captured'
  )
