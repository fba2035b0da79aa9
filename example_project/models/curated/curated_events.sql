-- One row per event. Apps send an event again when they got no answer, so an event_id can come twice.
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
    campaign
from {{ ref('raw_events') }}
{{ latest('event_id', order_by='_source_object') }}
