-- name: groupby 1
SELECT id1, sum(v1) AS v1 FROM g GROUP BY id1;
-- name: groupby 2
SELECT id1, id2, sum(v1) AS v1 FROM g GROUP BY id1, id2;
-- name: groupby 3
SELECT id3, sum(v1) AS v1, avg(v3) AS v3 FROM g GROUP BY id3;
-- name: groupby 4
SELECT id4, avg(v1) AS v1, avg(v2) AS v2, avg(v3) AS v3 FROM g GROUP BY id4;
-- name: groupby 5
SELECT id6, sum(v1) AS v1, sum(v2) AS v2, sum(v3) AS v3 FROM g GROUP BY id6;
-- name: groupby 6
SELECT id4, id5, percentile_cont(0.5) WITHIN GROUP (ORDER BY v3) AS median, stddev(v3) AS deviation FROM g GROUP BY id4, id5;
-- name: groupby 7
SELECT id3, max(v1) - min(v2) AS span FROM g GROUP BY id3;
-- name: groupby 8
SELECT id6, v3 FROM (SELECT id6, v3, row_number() OVER (PARTITION BY id6 ORDER BY v3 DESC) AS place FROM g) AS placed WHERE place <= 2;
-- name: groupby 9
SELECT id2, id4, power(corr(v1, v2), 2) AS r2 FROM g GROUP BY id2, id4;
-- name: groupby 10
SELECT id1, id2, id3, id4, id5, id6, sum(v3) AS v3, count(*) AS rows FROM g GROUP BY id1, id2, id3, id4, id5, id6;
-- name: join 1
SELECT x.id1, x.id4, small.v2, x.v1 FROM x JOIN small ON small.id1 = x.id1;
-- name: join 2
SELECT x.id2, x.id5, medium.v2, x.v1 FROM x JOIN medium ON medium.id2 = x.id2;
-- name: join 3
SELECT x.id2, x.id5, medium.v2, x.v1 FROM x LEFT JOIN medium ON medium.id2 = x.id2;
-- name: join 4
SELECT x.id2, x.id5, medium.v2, x.v1 FROM x JOIN medium ON medium.id5 = x.id5;
-- name: join 5
SELECT x.id3, x.id6, big.v2, x.v1 FROM x JOIN big ON big.id3 = x.id3;
