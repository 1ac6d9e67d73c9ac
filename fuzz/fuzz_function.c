/*
 * Patterns, formats and texts of every kind as arguments of the functions that read them: a result
 * or a clean error. The first byte chooses the call, the second where the bytes become two texts.
 */
#include "fuzz_engine.h"

#include "types/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static const char *const calls[] = {
    "SELECT $2::text ~ $1::text",
    "SELECT $2::text ~* $1::text",
    "SELECT $2::text LIKE $1::text",
    "SELECT $2::text ILIKE $1::text",
    "SELECT $2::text LIKE $1::text ESCAPE '!'",
    "SELECT $2::text SIMILAR TO $1::text",
    "SELECT regexp_replace($2::text, $1::text, '<\\1&>', 'g')",
    "SELECT regexp_matches($2::text, $1::text, 'g')",
    "SELECT regexp_split_to_array($2::text, $1::text)",
    "SELECT regexp_replace('abc', 'b', $1::text, $2::text)",
    "SELECT substring($2::text from $1::text)",
    "SELECT to_char(timestamp '2001-02-03 04:05:06.789', $1::text)",
    "SELECT to_char(timestamptz '1999-12-31 23:59:59+00', $1::text)",
    "SELECT to_char(interval '1 year 2 days 3 hours', $1::text)",
    "SELECT to_char(1234.5678::numeric, $1::text), to_char(-12, $1::text)",
    "SELECT to_char(1e10::float8, $1::text), to_char('NaN'::numeric, $1::text)",
    "SELECT to_char($2::numeric, $1::text), to_char(-($2::numeric), $1::text)",
    "SELECT to_char($2::float8, $1::text), to_char($2::float4, $1::text)",
    "SELECT to_char($2::int, $1::text), to_char($2::bigint, $1::text)",
    "SELECT to_char($2::interval, $1::text), to_char(-($2::interval), $1::text)",
    "SELECT to_char($2::timestamp, $1::text), to_char($2::timestamptz, $1::text)",
    "SELECT to_date($2::text, $1::text)",
    "SELECT to_timestamp($2::text, $1::text)",
    "SELECT to_number($2::text, $1::text)",
    "SELECT format($1::text, $2::text, 5, NULL)",
    "SELECT $1::interval * 3, $1::interval + interval '1 day'",
    "SELECT $1::timestamptz AT TIME ZONE $2::text",
    "SELECT $1::int[], $1::text[]",
    "SELECT $1::jsonb -> $2::text, $1::jsonb #>> $2::text[]",
    "SELECT jsonb_set($1::jsonb, $2::text[], '1')",
    "SELECT $1::json, jsonb_pretty($1::jsonb)",
    "SELECT string_to_array($1::text, $2::text), split_part($1::text, $2::text, 2)",
    "SELECT translate($1::text, $2::text, 'xy'), replace($1::text, $2::text, 'long')",
    "SELECT encode($1::bytea, 'base64'), decode($2::text, 'escape')",
    "SELECT decode($1::text, 'hex'), decode($2::text, 'base64')",
    "SELECT $1::numeric * $2::numeric, $1::numeric / nullif($2::numeric, 0)",
    "SELECT $1::float8::text, $1::numeric::text, $1::bigint",
    "SELECT $1::uuid, $2::boolean",
    "SELECT quote_ident($1::text), quote_literal($2::text)",
    "SELECT lpad($1::text, 50, $2::text), overlay($1::text placing $2::text from 2)",
    "SELECT initcap($1::text), upper($1::text), lower($1::text), reverse($1::text)",
    "SELECT date_trunc($1::text, timestamp '2001-02-03'), date_part($1::text, interval '1 day')",
    "SELECT normalize($1::text), ascii($1::text), length($1::text), octet_length($1::text)",
    "SELECT md5($1::text), sha256($1::bytea), strpos($1::text, $2::text)",
};
enum { CALLS = sizeof calls / sizeof *calls, TEXT_BYTES_MAX = 2000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static fuzz_engine engine;
    static uint64_t count;
    if (size_bytes < 2 || size_bytes > TEXT_BYTES_MAX)
        return 0;
    size_t left = size_bytes - 2, cut = data[1] * left / 255;
    const char *text = (const char *)data + 2;
    kd_slice one = {text, cut}, two = {text + cut, left - cut};
    if (!kd_utf8_is_valid(one, NULL) || !kd_utf8_is_valid(two, NULL))
        return 0; /* No door lets it in. */
    static const char *const styles[] = {"SET DateStyle = 'ISO'", "SET DateStyle = 'SQL, DMY'",
                                         "SET DateStyle = 'Postgres'", "SET DateStyle = 'German'"};
    if (engine.database == NULL) {
        fuzz_engine_open(&engine, (uint64_t)64 << 20);
        (void)!fuzz_run(&engine, KD_SLICE("SET statement_timeout = 3000"), NULL, 0);
    }
    if (count % 500 == 0)
        (void)!fuzz_run(&engine, kd_slice_of(styles[count / 500 % 4]), NULL, 0);
    kd_value values[2] = {kd_value_text(one), kd_value_text(two)};
    (void)!fuzz_run(&engine, kd_slice_of(calls[data[0] % CALLS]), values, 2);
    if (++count % 20000 == 0) {
        fuzz_engine_close(&engine);
        engine.database = NULL;
    }
    return 0;
}
