/*
 * Goal: every form of the grammar is read. Method: a list of statements, one per form; all but the
 * last part (KadeQL's own forms) are accepted by PostgreSQL 15's grammar as well.
 */
#include "sql/parser.h"
#include "test.h"

static const char *const accepted[] = {
    "select 1",
    "select a, b as c, t.* from t",
    "select * from t where a = 1 and b <> 2 or not c",
    "select a from s.t as x (p, q) where x.p in (1,2,3) and q not in (select 1)",
    "select distinct on (a, b) a, b from t order by a desc nulls last, b using <",
    "select count(*), count(distinct x), sum(y) filter (where y > 0) over w from t "
    "window w as (partition by a order by b rows between unbounded preceding and current "
    "row)",
    "select sum(x) over (order by y groups between 2 preceding and 3 following exclude "
    "ties) from t",
    "select percentile_cont(0.5) within group (order by x desc) from t",
    "select string_agg(x, ',' order by y) from t",
    "select f(a => 1, b := 2), g(variadic array[1,2])",
    "select case when a then 1 when b then 2 else 3 end, case x when 1 then 'a' end",
    "select cast(a as numeric(10,2)), a::int[], a::varchar(10)[][], '1'::timestamp(3) "
    "with time zone",
    "select date '2020-01-01', interval '1' day, interval '1-2' year to month, "
    "interval(3) '1 second', time with time zone '12:00', timestamp without time zone "
    "'x', double precision '1.0', bit varying(3) '101', char(3) 'abc', pg_catalog.int4 "
    "'1'",
    "select array[1,2,3][1], array[[1,2],[3,4]], array(select 1), (array[1,2,3])[1:2], "
    "a[1][2:3], a[:], b[1:], c[:2]",
    "select (row(1,2)).*, (t).a.b, row(), row(1), (1,2)",
    "select a between 1 and 2 and b between symmetric 3 and 4, c not between 1 + 1 and 2 "
    "* 3",
    "select a like 'x' escape '!', b ilike 'y', c not like 'z', d similar to 'q', e not "
    "similar to 'r' escape 's'",
    "select a is null, b is not null, c isnull, d notnull, e is true, f is not unknown, "
    "g is distinct from 1, h is not distinct from null",
    "select x = any (array[1,2]), y > all (select 1), z <> some ('{1}'), a like any "
    "(array['x'])",
    "select exists (select 1), (select 1), (select 1) + 1, ((select 1)), ((select 1) "
    "union (select 2))",
    "select -1, - 1, +1, - a, @ a, a || b, a + b * c ^ d, -a ^ 2, a <-> b, a -> 'x' ->> "
    "'y', a @> b",
    "select a operator(pg_catalog.+) b, operator(-) c",
    "select coalesce(a, b, c), nullif(a, b), greatest(1,2), least(3,4)",
    "select extract(year from d), extract('epoch' from d), position('a' in 'abc'), "
    "substring('abc' from 2 for 1), substring('abc' for 2), substring('abc', 1, 2), "
    "substring('abc' similar 'x' escape '#'), trim(both 'x' from 'xax'), trim(leading "
    "from 'x'), trim(trailing 'x' from 'y'), trim('x'), overlay('abc' placing 'x' from 1 "
    "for 2), normalize('x', NFC)",
    "select current_date, current_time(3), current_timestamp, localtime, "
    "localtimestamp(0), current_user, session_user, user, current_catalog, "
    "current_schema, current_role",
    "select a at time zone 'UTC', b collate \"C\", c collate pg_catalog.\"C\" < d",
    "select (a, b) overlaps (c, d), (a,b) = (c,d), (a, b) in (select 1, 2)",
    "select a.b.c.d, \"Quoted Name\", U&\"d\\0061t\\+000061\", U&'\\0041' uescape '!'",
    "select E'a\\nb\\'c\\x41\\u0041', 'it''s', $$dollar$$, $tag$ a $$ b $tag$, B'101', "
    "X'1F', N'nat'",
    "select 'a'\n 'b'",
    "select 1e10, .5, 1., 1.5e-3, 100000000000000000000",
    "select 1 /* comment /* nested */ */ + 2 -- tail",
    "with a as (select 1), b (x, y) as materialized (select 2, 3) select * from a, b",
    "with recursive r(n) as (select 1 union all select n + 1 from r where n < 10) select "
    "* from r",
    "with recursive t as (select 1) search depth first by a set s cycle a set c using p "
    "select * from t",
    "with recursive t as (select 1) cycle a, b set c to true default false using p "
    "select 1",
    "with x as (insert into t values (1) returning *) select * from x",
    "with x as (delete from t returning a), y as (update t set a = 1 returning *) insert "
    "into z select * from x",
    "select * from a join b on a.x = b.x left outer join c using (y) cross join d "
    "natural full join e",
    "select * from a join b join c on b.x = c.x on a.x = b.x",
    "select * from (a join b on true) as j, (select 1) s, lateral (select a.x) l, "
    "lateral f(a.x) with ordinality as g (n, o)",
    "select * from ((select 1) union (select 2)) as u (x)",
    "select * from ((a join b using (x) as m) cross join c)",
    "select * from f(1), g(2) as h (a int, b text), k(3) as (a int, b text collate \"C\"), "
    "rows from (f(1), g(2) as (a int)) with ordinality",
    "select * from only t, only (t), t *, s.t tablesample bernoulli (10) repeatable (3)",
    "select a from t group by a, (b, c), rollup (a, (b, c)), cube (a, b), grouping sets "
    "((a), (), rollup (b)) having count(*) > 1",
    "select a from t group by ()",
    "select grouping(a, b) from t group by distinct a",
    "select 1 union select 2 intersect select 3 except all select 4 order by 1 limit 3 "
    "offset 2",
    "(select 1) union all (select 2 order by 1 limit 1) order by 1",
    "((select 1))",
    "(select 1 order by 1) limit 1",
    "select 1 order by 1 offset 1 rows fetch first 3 rows only",
    "select 1 order by 1 fetch next row with ties",
    "select 1 limit all",
    "select 1 for update of a, b nowait for share skip locked",
    "select 1 for no key update for key share",
    "select 1 into temp t",
    "select a into table b from c",
    "values (1, 2), (3, default)",
    "table t",
    "table only s.t order by 1",
    "select",
    "select from t",
    "select all a from t",
    "insert into t values (1, default), (2, 'x')",
    "insert into s.t as x (a, b[1], c.d) overriding system value select 1, 2, 3 "
    "returning *, a as b",
    "insert into t default values",
    "insert into t (a) (select 1)",
    "insert into t ((select 1) union select 2)",
    "insert into t (values (1))",
    "insert into t values (1) on conflict do nothing",
    "insert into t values (1) on conflict (a, lower(b) collate \"C\" text_ops) where c do "
    "update set a = excluded.a, (b, c) = (1, 2), (d, e) = (select 1, 2) where t.a > 1 "
    "returning a",
    "insert into t values (1) on conflict on constraint pk do update set a = default",
    "update t set a = 1, b[2] = 3, c.d = default where x",
    "update only t as z set (a, b) = row(1, 2) from u, v where z.a = u.a returning z.*",
    "update t set a = 1 where current of c",
    "delete from t using a, b where t.x = a.x returning *",
    "delete from t as x where true",
    "merge into t as a using s as b on a.id = b.id when matched and b.x then update set "
    "y = b.y when matched then delete when not matched then insert (id, y) values (b.id, "
    "default) when not matched and true then do nothing",
    "merge into t using (select 1) s on true when not matched then insert default values",
    "truncate a, only b restart identity cascade",
    "truncate table t continue identity restrict",
    "create schema s",
    "create schema if not exists s authorization joe",
    "create schema authorization joe create table t (a int) create view v as select 1",
    "create table t ()",
    "create table t (a int primary key, b text not null default 'x' || 'y', c "
    "numeric(10,2) check (c > 0), d int references o (id) on delete cascade on update "
    "set null deferrable initially deferred, e int generated always as identity (start "
    "with 1 increment by 2), f int generated always as (a + 1) stored, g text collate "
    "\"C\" unique, h int constraint foo null)",
    "create temp table if not exists t (a int, b int, primary key (a, b), unique (b) "
    "include (a) with (fillfactor=70), foreign key (a) references o match full on delete "
    "set null (a), check (a > b) no inherit, constraint n foreign key (b) references s.o "
    "(x) not valid)",
    "create unlogged table t (like o including all excluding defaults, x int) with "
    "(fillfactor=70, autovacuum_enabled=false) tablespace ts",
    "create table t (a int) partition by range (a, (b + 1), lower(c) collate \"C\" "
    "text_ops)",
    "create table p partition of t for values from (1, minvalue) to (10, maxvalue)",
    "create table p partition of t for values in (1, 2, null)",
    "create table p partition of t (a primary key, constraint c check (a > 1)) for "
    "values with (modulus 4, remainder 1) partition by list (b)",
    "create table p partition of t default",
    "create table t as select 1",
    "create table if not exists t (a, b) with (fillfactor=1) on commit drop tablespace x "
    "as select 1, 2 with no data",
    "create table t as execute foo(1)",
    "create table t (a int, unique nulls not distinct (a))",
    "create local temporary table t (a int) on commit delete rows",
    "create table t (m) as values (1)",
    "create index on t (a)",
    "create unique index concurrently if not exists i on only s.t using btree (a desc "
    "nulls first, lower(b), (c + 1) text_ops asc, d collate \"C\" s.ops (x=1)) include (e) "
    "nulls not distinct with (fillfactor=1) tablespace ts where a > 1",
    "create view v as select 1",
    "create or replace temp view s.v (a, b) with (security_barrier=true) as select 1, 2 "
    "with cascaded check option",
    "create recursive view v (n) as select 1",
    "create materialized view if not exists m (a) using heap with (x=1) tablespace y as "
    "select 1 with no data",
    "create unlogged materialized view m as select 1",
    "create sequence if not exists s as bigint increment by -1 minvalue 1 no maxvalue "
    "start with 5 cache 3 no cycle owned by t.c",
    "create temp sequence s owned by none",
    "create type e as enum ('a', 'b')",
    "create type e as enum ()",
    "create type s.c as (a int, b text collate \"C\", c other[])",
    "create type c as ()",
    "alter type c add attribute d int cascade, drop attribute if exists b, alter attribute a type "
    "bigint, alter attribute a set data type numeric(5,1) restrict",
    "alter type c rename attribute a to b cascade",
    "update t set c.f = 1, c.g[2].h = 3, a[1:2][:] = '{}', (c.x, d[1]) = (1, 2)",
    "insert into t (c.f, a[1], b) values (1, 2, 3)",
    "create function f(a int, in b double precision = 1, out c text, inout d int, variadic e "
    "int[]) "
    "returns record language sql immutable strict leakproof cost 5 as 'select 1'",
    "create or replace function s.f(int, s.t, setof int) returns setof t stable as $$select 1$$ "
    "language 'sql' parallel safe called on null input security definer",
    "create function f() returns table (a int, b text) language sql rows 10 returns null on null "
    "input external security invoker as 'select 1, 2'",
    "create function f(a int default 1) returns int return a + 1",
    "create function f() returns int begin atomic select 1; insert into t values (1); end",
    "create procedure p(a int) language sql as ''",
    "create macro m(a, b := 1) as a + b",
    "create or replace macro m(a) as table select a",
    "alter function f(int, out text) immutable strict",
    "alter procedure p rename to q",
    "alter routine f() set schema s",
    "drop function if exists f(int), g cascade",
    "drop macro m",
    "call p(1, b => 2)",
    "create domain d as int default 1 not null check (value > 0) collate \"C\"",
    "create domain d int constraint x check (value > 1)",
    "create extension if not exists e with schema s version '1' cascade",
    "create role r with superuser login nocreatedb password 'x' connection limit 3 valid "
    "until 'y' in role a, b",
    "create user u password null",
    "alter role r rename to q",
    "alter user u with nologin inherit",
    "alter table t add column a int, add b text default 'x' not null, drop column if "
    "exists c cascade, alter d type bigint using d::bigint, alter column e set default "
    "1, alter e drop default, alter f set not null, alter f drop not null",
    "alter table if exists only t add constraint c check (a > 0) not valid, validate "
    "constraint c, drop constraint if exists d restrict, alter constraint x deferrable "
    "initially deferred",
    "alter table t alter a add generated by default as identity, alter b set generated "
    "always set start with 3 restart with 5, alter c drop identity if exists, alter d "
    "drop expression",
    "alter table t rename to u",
    "alter table t rename column a to b",
    "alter table t rename a to b",
    "alter table t rename constraint a to b",
    "alter table t set schema s",
    "alter table t owner to current_user, set (fillfactor=1), reset (fillfactor), set "
    "logged, set unlogged, set tablespace x, cluster on i, set without cluster, replica "
    "identity full",
    "alter table t attach partition p for values from (1) to (2)",
    "alter table t attach partition p default",
    "alter table t detach partition p concurrently",
    "alter table t detach partition p finalize",
    "alter table t enable row level security, force row level security, no force row "
    "level security, disable trigger all",
    "alter table t alter a set statistics 100, alter b set storage external, alter c set "
    "(n_distinct=1), alter c set data type int",
    "alter table t add if not exists x int, add column if not exists y int",
    "alter table t add primary key using index i",
    "alter index i rename to j",
    "alter index if exists i set (fillfactor=3)",
    "alter index i attach partition j",
    "alter view v rename to w",
    "alter view v alter column a set default 1",
    "alter view v owner to joe",
    "alter materialized view m set schema s",
    "alter sequence if exists s restart with 10 no cycle",
    "alter sequence s owned by none",
    "alter sequence s rename to q",
    "alter type e add value if not exists 'x' before 'y'",
    "alter type e add value 'z' after 'y'",
    "alter type e rename value 'a' to 'b'",
    "alter type e rename to f",
    "alter type e owner to joe",
    "alter type e set schema s",
    "alter domain d set default 1",
    "alter domain d drop not null",
    "alter domain d add constraint c check (value > 1) not valid",
    "alter domain d drop constraint if exists c cascade",
    "alter domain d rename constraint a to b",
    "alter domain d validate constraint c",
    "alter schema s rename to t",
    "alter schema s owner to joe",
    "alter default privileges in schema s grant select on tables to joe",
    "alter default privileges for role r revoke all on sequences from public",
    "drop table if exists a, s.b cascade",
    "drop index concurrently if exists i",
    "drop view v restrict",
    "drop materialized view m",
    "drop sequence s",
    "drop schema if exists a, b cascade",
    "drop type e",
    "drop domain d",
    "drop role if exists r, q",
    "drop user u",
    "drop function f(int, text), g",
    "drop extension e",
    "comment on table t is 'x'",
    "comment on column s.t.c is null",
    "comment on constraint c on t is 'y'",
    "comment on constraint c on domain d is 'y'",
    "comment on materialized view m is 'x'",
    "begin",
    "begin isolation level serializable, read only deferrable",
    "begin work",
    "start transaction isolation level repeatable read, read write",
    "commit and chain",
    "commit work and no chain",
    "end",
    "abort",
    "rollback to savepoint s",
    "rollback transaction to s",
    "savepoint s",
    "release s",
    "release savepoint s",
    "prepare transaction 'x'",
    "commit prepared 'x'",
    "rollback prepared 'x'",
    "set x = 1",
    "set x to default",
    "set local search_path to a, \"B\", 'c'",
    "set session x.y = on, -1",
    "set time zone 'UTC'",
    "set time zone interval '1' hour to minute",
    "set time zone local",
    "set transaction isolation level read committed",
    "set transaction snapshot 'x'",
    "set session characteristics as transaction read only",
    "set session authorization joe",
    "set session authorization default",
    "set role none",
    "set role joe",
    "set names 'utf8'",
    "set names",
    "set schema 'x'",
    "set x from current",
    "set constraints all deferred",
    "set constraints a, s.b immediate",
    "reset x",
    "reset all",
    "reset time zone",
    "reset session authorization",
    "reset transaction isolation level",
    "show x",
    "show all",
    "show time zone",
    "show transaction isolation level",
    "prepare p (int, text) as select $1, $2",
    "prepare p as insert into t values ($1)",
    "execute p (1, 'x')",
    "execute p",
    "deallocate p",
    "deallocate prepare all",
    "deallocate all",
    "declare c cursor for select 1",
    "declare c binary insensitive no scroll cursor with hold for select 1",
    "fetch c",
    "fetch next from c",
    "fetch all in c",
    "fetch 5 from c",
    "fetch -5 c",
    "fetch absolute -1 from c",
    "fetch relative 3 c",
    "fetch backward all from c",
    "fetch forward 3 c",
    "fetch prior c",
    "fetch first from c",
    "move last in c",
    "close c",
    "close all",
    "copy t from stdin",
    "copy s.t (a, b) to '/tmp/x' with (format csv, header true, delimiter ',', "
    "force_quote (a, b), null '')",
    "copy t to stdout csv header quote '\"' escape '\\' force quote *",
    "copy (select 1) to program 'cat' with csv",
    "copy t from 'x' with delimiter as '|' null as 'y' where a > 1",
    "copy binary t from stdin",
    "copy t from stdin (format csv, force_not_null *)",
    "explain select 1",
    "explain analyze verbose insert into t values (1)",
    "explain (analyze, verbose off, buffers true, format json, costs 0) select 1",
    "explain (select 1)",
    "explain create table t as select 1",
    "explain declare c cursor for select 1",
    "explain execute p",
    "analyze",
    "analyze verbose t (a, b), u",
    "analyze (verbose, skip_locked true) t",
    "vacuum",
    "vacuum full freeze verbose analyze t",
    "vacuum (full, analyze false) t (a), s.u",
    "checkpoint",
    "lock t",
    "lock table only a, b in share row exclusive mode nowait",
    "lock table t in access share mode",
    "discard all",
    "discard temp",
    "call p(1, a => 2)",
    "call s.p()",
    "do $$ begin end $$",
    "do language plpgsql 'x'",
    "grant select, insert (a, b) on t, s.u to joe, public with grant option",
    "grant all privileges on all tables in schema s to joe granted by current_user",
    "grant a, b to c with admin option",
    "grant usage on schema s to joe",
    "grant execute on function f(int) to joe",
    "revoke grant option for select on table t from joe cascade",
    "revoke all on sequence s from joe",
    "revoke admin option for a from b",
    "listen c",
    "notify c, 'x'",
    "notify c",
    "unlisten *",
    "unlisten c",
    "reindex table t",
    "reindex (verbose) index concurrently i",
    "reindex schema s",
    "cluster",
    "cluster verbose t using i",
    "cluster i on t",
    "refresh materialized view concurrently m with no data",
    "select a.* from a as b",
    "select a from b c",
    "select int, timestamp, values, row from t",
    "select left('x', 1), right(a, 2)",
    "select name, value, type, year, month from t",
    "select a as select, b as from from t",
    "select 1 x, 2 \"y\", 3 value, 4 name",
    "select * from date, time",
    "select x.day from x",
    "select interval from t",
    "select not a = b, not a in (1), not exists (select 1)",
    "select a = b is null, a is null = b, a < b is true",
    "select a + b is null and c",
    "select collation for (a)",
    "select count(*) filter (where true) over (partition by a), rank() over w2 from t "
    "window w1 as (), w2 as (w1 order by a)",
    "select sum(x) over (rows 3 preceding), sum(x) over (range between current row and "
    "unbounded following)",
    "select f(all x), f(distinct x, y order by z desc), f()",
    "select a from t where (a, b) > (1, 2) and row(a) = row(b)",
    "select (((1)))",
    "select ((1, 2), 3)",
    "select 1 + (select 2) * 3, (select 1) in (select 2), ((select 1) + 1)",
    "select * from t where a = $1 and b = $2::int and $3[1] = 2",
    "select 'a' collate \"de_DE\" || 'b'",
    "select a from t order by 1, b + 1 asc, c collate \"C\" desc",
    "select - - 1, not not true, ~ 5, 5 !~ 'x'",
    "select a::text::int::numeric(3), cast(cast(1 as text) as int)",
    "select 1 where true group by 1 having true window w as () order by 1 limit 1",
    "select * from generate_series(1, 10) g, unnest(array[1,2]) with ordinality u(x, y)",
    "select * from coalesce(1, 2) as x, current_date d",
    "select treat(a as int)",
    "select a is normalized, b is not nfc normalized, c is document",
    "from t",
    "from t select a where b > 1 limit 3",
    "select * exclude (a, b) replace (c + 1 as c) from t",
    "select t.* exclude a from t",
    "select a, sum(b) from t group by all order by all desc nulls last",
    "select a, rank() over (order by b) r from t qualify r = 1",
    "select * from t qualify row_number() over (partition by a) = 1",
    "from 'file.csv'",
    "select * from 'dir/*.parquet' as f where x",
    "summarize t",
    "summarize select 1",
    "describe t",
    "describe",
    "describe select 1",
    "select 1 limit 10%",
    "select 1 limit 10 % 3",
    "select * from a asof join b on a.k = b.k and a.t >= b.t",
    "select * from a asof left join b using (k, t)",
    "select * from a semi join b using (k)",
    "select * from a anti join b on a.x = b.x",
    "select * from a positional join b",
    "create table t (a int, b text, index i (a), unique index j using btree (b desc), "
    "index (lower(b)) where a > 1)",
    "create table m (ts timestamptz not null) with (tsdb.hypertable, "
    "tsdb.partition_column='ts', tsdb.chunk_interval='1 day')",
    "alter table t add index i (a), add unique index j using btree (b)",
    "create or replace table t (a int)",
    "create or replace table t as select 1",
    "select try_cast(a as int)",
    "select 1_000, 0x1F, 0b101, 0o17, -9223372036854775808",
    "select first_value(x) ignore nulls over (order by y)",
    "select 1 union all by name select 2",
    "insert into t by name select 1 as a",
    "merge into t using s on true when not matched by source then delete when not "
    "matched by target then insert values (1) returning *",
    "select f(x)[1], array[1,2][1]",
    "copy t from 'x.csv' (format csv, on_error ignore, log_verbosity verbose)",
    "begin;",
    "select * from t, json_table(t.doc format json, 'strict $.a[*]' as root passing 1 as x columns "
    "(n for ordinality, a int path '$.a' default 5 on empty error on error, b text format json "
    "encoding utf8 path '$.b' with conditional array wrapper keep quotes, c bool exists path '$.c' "
    "unknown on error, nested path '$.k[*]' as k columns (d jsonb empty object on empty))) as j",
    "select json_objectagg(k value v absent on null with unique keys returning jsonb) filter ("
    "where v > 1), json_arrayagg(v format json order by v desc null on null) over (partition by k)",
    "select json_array(select 1 format json returning bytea), json('{}' without unique keys)",
    "create index on t using hnsw (e vector_cosine_ops) with (m=16, ef_construction=64)",
};

TEST(parser_reads_every_form)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        kd_arena *arena = kd_arena_create(&ctx, NULL, "test", KD_ARENA_UNLIMITED);
        kd_statement statement;
        test_note("%s: %s", accepted[i], ctx.error.message);
        kd_status status = kd_parse_statement(&ctx, arena, kd_slice_of(accepted[i]), &statement);
        test_note("%s: %s", accepted[i], ctx.error.message);
        CHECK(status == KD_OK);
        CHECK(statement.node != NULL);
        CHECK(statement.node->position == statement.position);
        CHECK(statement.node->end <= statement.end);
        CHECK(statement.node->end > statement.node->position);
        kd_arena_destroy(arena);
    }
}

/* A statement cut anywhere fails cleanly or is a shorter statement. */
TEST(parser_survives_every_cut)
{
    kd_ctx ctx = {.world = kd_world_posix()};
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        size_t size = strlen(accepted[i]);
        for (size_t cut = 0; cut < size; cut += 3) {
            kd_arena *arena = kd_arena_create(&ctx, NULL, "test", KD_ARENA_UNLIMITED);
            kd_statement statement;
            kd_slice text = {accepted[i], cut};
            if (kd_parse_statement(&ctx, arena, text, &statement) != KD_OK) {
                CHECK(statement.node == NULL);
                CHECK(ctx.error.position >= 0);
                CHECK(ctx.error.position <= (int)cut);
                kd_error_clear(&ctx);
            }
            kd_arena_destroy(arena);
        }
    }
}
