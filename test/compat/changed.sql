-- Answers after change.sql; changed.txt has them.
SELECT count(*), sum(id), sum(n), max(t), count(*) FILTER (WHERE t LIKE 'again%') FROM kinds;
SELECT id FROM kinds WHERE t = 'again 300' OR t = 'new 9400' OR t = 'changed 315' ORDER BY id;
SELECT count(*), sum(id) FROM kinds WHERE j @> '{"tag": "new"}';
SELECT count(*), sum(id) FROM kinds WHERE j @> '{"tag": "t3"}';
SELECT count(*) FROM kinds WHERE i2 = 250;
SELECT count(*), sum(balance) FROM shop.customer;
SELECT count(*), sum(amount), sum(doubled) FROM shop.sale;
SELECT customer, n FROM shop.totals WHERE customer IN (1, 4, 7) ORDER BY customer;
SELECT tableoid::regclass::text, count(*), sum(no) FROM log GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM log WHERE note = 'upgraded';
SELECT count(*), sum(late), min(later) FROM altered;
SELECT id, late, later FROM altered WHERE kept = 'kept 77';
SELECT * FROM made_late ORDER BY id;
SELECT count(*) FROM kinds k LEFT JOIN kinds l ON l.id = k.id WHERE l.id IS NULL;
