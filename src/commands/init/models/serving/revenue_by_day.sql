-- models/serving/revenue_by_day.sql
{{ config(materialized='table') }}
select order_date, count(*) as orders, sum(amount) as revenue
from {{ ref('curated_orders') }}
group by order_date
