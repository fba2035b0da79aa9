{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='event_id',
    event_time='occurred_at'
) }}
-- One row per event. Apps send an event again when they got no answer, so an event_id can come twice.
--   The table that grows most, so it is incremental: a run reads the batches that came since, and merges them in by their
--   key, in the publish. `kiln run --full-refresh` builds it anew and must come to the same rows: that is why the newest
--   batch wins here too, as it does in a merge.
--   event_time says when a thing happened: traffic_by_day reads the days that it builds, and no others.
select
    event_id,
    try_cast(ltrim(user_id, 'u-') as bigint) as user_id,
    session_id,
    event,
    occurred_at,
    cast(occurred_at as date) as event_date,
    page,
    context ->> '$.device' as device,
    context ->> '$.app_version' as app_version,
    campaign,
    _batch_id as batch_id
from {{ ref('raw_events') }}
{% if is_incremental() %}
where _batch_id > (select max(batch_id) from {{ this }})
{% endif %}
{{ latest('event_id', order_by='_batch_id desc') }}
