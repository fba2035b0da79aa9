select country, count(*) as customers, avg(score) as mean_score
from {{ ref('customers_clean') }}
group by country
