{{ config(
    materialized='incremental',
    incremental_strategy='interval',
    event_time='event_date',
    batch_size='day',
    begin=var('first_day'),
    lookback=3
) }}
-- Visits and page views of a day. Built day by day: a ledger knows which days are done, a run builds those that are
-- missing, and the last three again, because phones without network send their events days later.
--   kiln run --from 2026-11-02 --to 2026-11-04      builds two days again; --explain says first what would be built
with visits as (
    -- ref() gives the events of the day that is built, by the event_time of curated_events.
    select
        event_date,
        session_id,
        coalesce(max(campaign), 'none') as campaign,
        count(*) filter (where event = 'page_view') as page_views,
        bool_or(user_id is not null) as is_signed_in
    from {{ ref('curated_events') }}
    group by event_date, session_id
)

select
    event_date,
    campaign,
    count(*) as visits,
    count(*) filter (where is_signed_in) as signed_in,
    cast(sum(page_views) as bigint) as page_views
from visits
group by event_date, campaign
