-- In raw, source() is what is new: files that no run has loaded. The table keeps everything ever loaded
-- and gains _loaded_at, _batch_id and _source_object.
select * from {{ source('shop_api', 'orders') }}
