-- What every stored database has. Rows in segments, rows in a delta image, and (below the line that
-- the maker looks for) rows that only the log has. Answers: answers.sql.
CREATE SCHEMA shop;
CREATE TYPE mood AS ENUM ('low', 'fair', 'high');
CREATE DOMAIN percent AS integer CHECK (VALUE BETWEEN 0 AND 100);
CREATE SEQUENCE shop.numbers START 100 INCREMENT 7;

CREATE TABLE kinds (id integer PRIMARY KEY, b boolean, i2 smallint, i8 bigint, r real, d double precision,
    n numeric(20, 4), big numeric, t text, v varchar(12), c char(5), by bytea, u uuid, dt date, tm time, ts timestamp,
    tz timestamptz, iv interval, j jsonb, a integer[], ta text[], m mood, p percent);
INSERT INTO kinds SELECT i, i % 2 = 0, i % 300, i * 10000000000, i / 4.0, i * 0.125, i * 1.25,
    (i || '00000000000000000000000000000000000000000.5')::numeric, 'text ' || i, 'v' || i, 'c' || i % 10,
    ('\x' || lpad(to_hex(i), 8, '0'))::bytea, ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid,
    date '2020-02-28' + i, time '01:02:03' + i * interval '1 second',
    timestamp '2021-03-04 05:06:07.891' + i * interval '1 hour',
    timestamptz '2021-03-04 05:06:07+00' + i * interval '1 minute', i * interval '1 day 2 hours',
    ('{"id": ' || i || ', "tag": "t' || i % 7 || '", "deep": {"n": [' || i || ', null]}}')::jsonb,
    ARRAY[i, i + 1, NULL], ARRAY['x' || i, ''], (CASE i % 3 WHEN 0 THEN 'low' WHEN 1 THEN 'fair' ELSE 'high' END)::mood, i % 101
    FROM generate_series(1, 450) AS s(i);
INSERT INTO kinds (id) VALUES (0);
CREATE INDEX kinds_t ON kinds (t);
CREATE INDEX kinds_part ON kinds (i8) WHERE b;
CREATE INDEX kinds_lower ON kinds (upper(t));
CREATE INDEX kinds_j ON kinds USING gin (j);

CREATE TABLE shop.customer (id integer PRIMARY KEY, name text NOT NULL UNIQUE, balance numeric(12, 2) NOT NULL DEFAULT 0 CHECK (balance >= -100));
CREATE TABLE shop.sale (id bigint PRIMARY KEY, customer integer NOT NULL REFERENCES shop.customer (id) ON DELETE CASCADE,
    amount numeric(12, 2) NOT NULL, doubled numeric(12, 2) GENERATED ALWAYS AS (amount * 2) STORED);
INSERT INTO shop.customer SELECT i, 'customer ' || i, i FROM generate_series(1, 50) AS s(i);
INSERT INTO shop.sale SELECT i, 1 + i % 50, i * 0.5 FROM generate_series(1, 600) AS s(i);
CREATE VIEW shop.totals AS SELECT customer, sum(amount) AS total, count(*) AS n FROM shop.sale GROUP BY customer;

CREATE TABLE log (day date NOT NULL, no integer NOT NULL, note text, PRIMARY KEY (day, no)) PARTITION BY RANGE (day);
CREATE TABLE log_2020 PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE log_2021 PARTITION OF log FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE log_rest PARTITION OF log DEFAULT;
INSERT INTO log SELECT date '2020-06-01' + i, i, 'note ' || i % 13 FROM generate_series(1, 900) AS s(i);

CREATE TABLE altered (id integer PRIMARY KEY, gone text, kept text);
INSERT INTO altered SELECT i, 'gone', 'kept ' || i FROM generate_series(1, 500) AS s(i);
ALTER TABLE altered DROP COLUMN gone;
ALTER TABLE altered ADD COLUMN late integer NOT NULL DEFAULT 41;
ALTER TABLE altered ALTER COLUMN kept SET NOT NULL;
COMMENT ON TABLE altered IS 'a table that was changed';

SELECT nextval('shop.numbers'), nextval('shop.numbers');
VACUUM;
CHECKPOINT;
-- Deletions of stored rows, and rows of a delta image.
DELETE FROM kinds WHERE id BETWEEN 100 AND 199;
UPDATE shop.customer SET balance = balance + 1000 WHERE id % 5 = 0;
INSERT INTO shop.sale SELECT i, 1 + i % 50, 7 FROM generate_series(3001, 3100) AS s(i);
CHECKPOINT;
