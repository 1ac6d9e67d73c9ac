-- name: count by origin
SELECT origin, count(*) AS flights FROM flights GROUP BY origin ORDER BY flights DESC, origin;
-- name: average delay by hour
SELECT extract(hour FROM departed)::int AS hour, round(avg(delay), 4) AS delay FROM flights GROUP BY 1 ORDER BY 1;
-- name: top routes
SELECT origin, destination, count(*) AS flights FROM flights GROUP BY origin, destination ORDER BY flights DESC, origin, destination LIMIT 20;
-- name: p90 of delay by month and origin
SELECT extract(month FROM departed)::int AS month, origin, percentile_disc(0.9) WITHIN GROUP (ORDER BY delay) AS p90 FROM flights GROUP BY 1, 2 ORDER BY 1, 2;
-- name: long delays by day
SELECT departed::date AS day, count(*) AS late FROM flights WHERE delay > 60 GROUP BY 1 ORDER BY 1;
-- name: flights by state of the airport
SELECT a.state, count(*) AS flights, round(avg(f.delay), 4) AS delay FROM flights f JOIN airports a ON a.iata = f.origin GROUP BY a.state ORDER BY a.state;
-- name: distinct routes
SELECT count(*) FROM (SELECT DISTINCT origin, destination FROM flights) AS routes;
-- name: rolling seven days
SELECT day, round(avg(flights) OVER (ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW), 4) AS rolling FROM (SELECT departed::date AS day, count(*) AS flights FROM flights GROUP BY 1) AS days ORDER BY day;
-- name: two per cent of the time
SELECT count(*) AS flights, round(avg(delay), 4) AS delay, max(distance) AS distance FROM flights WHERE departed >= timestamp '2001-03-01 00:00:00' AND departed < timestamp '2001-03-04 15:00:00';
-- name: top 100 by delay
SELECT departed, delay, distance, origin, destination FROM flights ORDER BY delay DESC, departed, origin, destination LIMIT 100;
