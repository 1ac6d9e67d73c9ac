// node-postgres against kade serve: node clients.js HOST PORT [PASSWORD]. Says what it saw, a line each.
'use strict';
const { Client, Pool } = require('pg');

async function main() {
  const [host, port, password] = process.argv.slice(2);
  const options = { host, port: Number(port), user: 'kade', password };
  const client = new Client(options);
  const notices = [];
  client.on('notice', (notice) => notices.push(notice.code));
  await client.connect();
  const say = (name, value) => console.log(`${name} ${JSON.stringify(value)}`);

  const typed = await client.query(
    "SELECT $1::int + 1 AS i, $2::text AS t, ARRAY[1, NULL, 3] AS a, '{\"k\": [1]}'::jsonb AS j, true AS b, " +
    '1.50::numeric AS n, 9007199254740993::bigint AS big, NULL AS nothing', [41, 'é']);
  say('typed', typed.rows[0]);
  say('fields', typed.fields.map((field) => field.dataTypeID));
  say('script', (await client.query('SELECT 1 AS a; SELECT 2 AS b')).map((result) => result.rows));
  try {
    await client.query('SELECT 1/0');
  } catch (error) {
    say('error', [error.code, error.severity]);
  }
  const named = { name: 'numbers', text: 'SELECT generate_series(1, $1::int) AS g' };
  await client.query({ ...named, values: [2] });
  say('named', (await client.query({ ...named, values: [3] })).rowCount);
  await client.query('CREATE TABLE node_rows (id int PRIMARY KEY, at timestamptz, bytes bytea)');
  await client.query('INSERT INTO node_rows VALUES ($1, $2, $3)',
    [1, new Date('2026-01-02T03:04:05Z'), Buffer.from([0, 255])]);
  const [row] = (await client.query('SELECT * FROM node_rows')).rows;
  say('row', [row.at.toISOString(), [...row.bytes]]);
  await client.query('COMMIT');
  say('notices', notices);
  await client.end();

  const pool = new Pool({ ...options, max: 4 });
  const sums = await Promise.all([...Array(20).keys()].map((i) => pool.query('SELECT $1::int * 2 AS twice', [i])));
  say('pool', sums.reduce((sum, result) => sum + result.rows[0].twice, 0));
  await pool.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
