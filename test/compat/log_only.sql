-- What only the log has when the process is killed.
INSERT INTO kinds (id, t, j) SELECT i, 'late ' || i, ('{"late": ' || i || '}')::jsonb FROM generate_series(5001, 5040) AS s(i);
UPDATE kinds SET t = 'changed ' || id WHERE id BETWEEN 300 AND 320;
DELETE FROM shop.customer WHERE id = 3;
BEGIN;
INSERT INTO altered VALUES (900, 'in one transaction', 1);
SAVEPOINT s;
INSERT INTO altered VALUES (901, 'undone', 1);
ROLLBACK TO s;
INSERT INTO log VALUES ('2030-01-01', 1, 'far');
COMMIT;
CREATE TABLE made_late (id integer PRIMARY KEY, t text UNIQUE);
INSERT INTO made_late VALUES (1, 'one'), (2, 'two');
ALTER TABLE made_late ADD COLUMN n integer DEFAULT 5;
CREATE INDEX log_note ON log (note);
SELECT nextval('shop.numbers');
