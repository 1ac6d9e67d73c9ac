-- What every stored database must bear after its upgrade.
INSERT INTO kinds (id, t, j, m, p) SELECT i, 'new ' || i, ('{"id": ' || i || ', "tag": "new"}')::jsonb, 'high', 5
    FROM generate_series(9001, 9500) AS s(i);
UPDATE kinds SET t = 'again ' || id, n = n + 1 WHERE id BETWEEN 290 AND 310;
DELETE FROM kinds WHERE id BETWEEN 50 AND 59;
UPDATE shop.customer SET balance = balance - 1 WHERE id > 40;
DELETE FROM shop.customer WHERE id = 4;
INSERT INTO shop.sale SELECT i, 7, 1 FROM generate_series(7001, 7010) AS s(i);
INSERT INTO log SELECT date '2020-12-25' + i, 5000 + i, 'upgraded' FROM generate_series(1, 20) AS s(i);
CREATE TABLE log_2030 PARTITION OF log FOR VALUES FROM ('2031-01-01') TO ('2032-01-01');
INSERT INTO log VALUES ('2031-05-05', 1, 'upgraded');
ALTER TABLE altered ADD COLUMN later text DEFAULT 'later';
UPDATE altered SET late = 42 WHERE id % 2 = 0;
ALTER TABLE made_late ADD CONSTRAINT positive CHECK (n > 0);
CREATE INDEX altered_kept ON altered (kept);
DROP INDEX kinds_part;
CREATE INDEX kinds_i2 ON kinds (i2);
