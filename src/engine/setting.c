/*
 * The table of settings, and reading and writing values by it.
 */
#include "engine/setting.h"

#include "engine/setting_internal.h"
#include "types/number_text.h"
#include "types/value.h"
#include "types/zone.h"

#include <assert.h>
#include <stddef.h>

typedef enum setting_kind {
    SETTING_BOOL,
    SETTING_INTEGER,
    SETTING_ENUM,
    SETTING_TEXT
} setting_kind;

typedef struct setting {
    const char *name;
    setting_kind kind;
    size_t offset; /* Of an int64_t, or of a kd_slice for texts. */
    const char *default_text;
    const char *const *labels; /* ENUM: by value, NULL-terminated. */
    int64_t min, max;
    const char *unit;
    int64_t plain_factor; /* Of a number without a unit; 0: 1. */
    const char *description;
    kd_setting_context context;
    /* Runs after a text was stored; may refuse it. */
    kd_status (*apply)(kd_ctx *ctx, kd_arena *arena, kd_settings *settings, kd_slice value);
} setting;

static kd_status apply_search_path(kd_ctx *ctx, kd_arena *arena, kd_settings *settings,
                                   kd_slice value);
static kd_status apply_time_zone(kd_ctx *ctx, kd_arena *arena, kd_settings *settings,
                                 kd_slice value);
static kd_status apply_date_style(kd_ctx *ctx, kd_arena *arena, kd_settings *settings,
                                  kd_slice value);
static kd_status apply_encoding(kd_ctx *ctx, kd_arena *arena, kd_settings *settings,
                                kd_slice value);
static kd_status apply_flush_mode(kd_ctx *ctx, kd_arena *arena, kd_settings *settings,
                                  kd_slice value);
static kd_status apply_file_name(kd_ctx *ctx, kd_arena *arena, kd_settings *settings,
                                 kd_slice value);

static const char *const isolation_labels[] = {"read committed", "repeatable read", "serializable",
                                               NULL};
static const char *const bytea_labels[] = {"hex", "escape", NULL};
/* In the order of kd_interval_style. */
static const char *const interval_labels[] = {"postgres", "postgres_verbose", "sql_standard",
                                              "iso_8601", NULL};
static const char *const log_labels[] = {"none", "ddl", "mod", "all", NULL}; /* kd_log_statement */
static const char *const client_labels[] = {"debug5", "debug4", "debug3",  "debug2", "debug1",
                                            "log",    "notice", "warning", "error",  NULL};
static const char *const message_labels[] = {"debug5", "debug4", "debug3",  "debug2", "debug1",
                                             "info",   "notice", "warning", "error",  "log",
                                             "fatal",  "panic",  NULL};
static const char *const plan_mode_labels[] = {"auto", "force_generic_plan", "force_custom_plan",
                                               NULL};                 /* kdi_plan_mode */
static const char *const tls_labels[] = {"TLSv1.2", "TLSv1.3", NULL}; /* kd_tls_version */
static const char *const commit_labels[] = {"on", "off", NULL};

#define AT(member) offsetof(kd_settings, member)
static const setting settings_table[] = {
    {.name = "application_name",
     .kind = SETTING_TEXT,
     .offset = AT(application_name),
     .default_text = "",
     .description = "The client program's name, for views and logs."},
    {.name = "authentication_timeout",
     .kind = SETTING_INTEGER,
     .offset = AT(authentication_timeout_ms),
     .default_text = "1min",
     .min = 1000,
     .max = 600000,
     .unit = "ms",
     .plain_factor = 1000,
     .context = KD_SETTING_DATABASE,
     .description = "kade serve: how long a client may take to log in."},
    {.name = "bytea_output",
     .kind = SETTING_ENUM,
     .offset = AT(bytea_escape),
     .default_text = "hex",
     .labels = bytea_labels,
     .description = "The text form of bytea."},
    {.name = "checkpoint_timeout",
     .kind = SETTING_INTEGER,
     .offset = AT(checkpoint_timeout_ms),
     .default_text = "5min",
     .min = 30000,
     .max = 86400000,
     .unit = "ms",
     .plain_factor = 1000,
     .context = KD_SETTING_DATABASE,
     .description = "Time between checkpoints while anything is written."},
    {.name = "client_encoding",
     .kind = SETTING_TEXT,
     .offset = AT(client_encoding),
     .default_text = "UTF8",
     .apply = apply_encoding,
     .description = "Always UTF8."},
    {.name = "client_min_messages",
     .kind = SETTING_ENUM,
     .offset = AT(message_level),
     .default_text = "notice",
     .labels = client_labels,
     .description = "The least severe message sent to the client."},
    {.name = "connection_timeout",
     .kind = SETTING_INTEGER,
     .offset = AT(connection_timeout_ms),
     .default_text = "0",
     .max = INT32_MAX,
     .unit = "ms",
     .context = KD_SETTING_DATABASE,
     .description = "How long a new session waits while there are max_connections."},
    {.name = "datestyle",
     .kind = SETTING_TEXT,
     .offset = AT(date_style_text),
     .default_text = "ISO, MDY",
     .apply = apply_date_style,
     .description = "The text form of dates; order of day, month and year in input."},
    {.name = "default_transaction_isolation",
     .kind = SETTING_ENUM,
     .offset = AT(isolation),
     .default_text = "repeatable read",
     .labels = isolation_labels,
     .description = "Isolation of new transactions; repeatable read is a snapshot."},
    {.name = "default_transaction_read_only",
     .kind = SETTING_BOOL,
     .offset = AT(read_only),
     .default_text = "off",
     .description = "New transactions refuse changes."},
    {.name = "enable_hashjoin",
     .kind = SETTING_BOOL,
     .offset = AT(enable_hash_join),
     .default_text = "on",
     .description = "Lets the planner use hash joins."},
    {.name = "enable_indexscan",
     .kind = SETTING_BOOL,
     .offset = AT(enable_index_scan),
     .default_text = "on",
     .description = "Lets the planner use index scans."},
    {.name = "enable_materialized_view_rewrite",
     .kind = SETTING_BOOL,
     .offset = AT(enable_view_rewrite),
     .default_text = "off",
     .description = "Lets the planner read aggregates from materialized views that are current."},
    {.name = "extra_float_digits",
     .kind = SETTING_INTEGER,
     .offset = AT(extra_float_digits),
     .default_text = "1",
     .min = -15,
     .max = 3,
     .description = "Digits of floating-point output; above 0: the shortest exact text."},
    {.name = "idle_in_transaction_session_timeout",
     .kind = SETTING_INTEGER,
     .offset = AT(idle_in_transaction_timeout_ms),
     .default_text = "0",
     .max = INT32_MAX,
     .unit = "ms",
     .description = "Idle time in a transaction after which the session is ended; 0: never."},
    {.name = "idle_session_timeout",
     .kind = SETTING_INTEGER,
     .offset = AT(idle_session_timeout_ms),
     .default_text = "0",
     .max = INT32_MAX,
     .unit = "ms",
     .description = "Idle time outside transactions after which the session is ended; 0: never."},
    {.name = "intervalstyle",
     .kind = SETTING_ENUM,
     .offset = AT(interval_style),
     .default_text = "postgres",
     .labels = interval_labels,
     .description = "The text form of intervals."},
    {.name = "join_collapse_limit",
     .kind = SETTING_INTEGER,
     .offset = AT(join_collapse_limit),
     .default_text = "12",
     .min = 1,
     .max = INT32_MAX,
     .description = "1: joins are made in the order in which they are written."},
    {.name = "kade.dialect",
     .kind = SETTING_TEXT,
     .offset = AT(dialect),
     .default_text = "kade",
     .description = "Without effect: there is one dialect."},
    {.name = "kade.flush_mode",
     .kind = SETTING_TEXT,
     .offset = AT(flush_mode),
     .default_text = "off",
     .apply = apply_flush_mode,
     .description = "off, always, mixed: flush tables after statements, for tests."},
    {.name = "listen_addresses",
     .kind = SETTING_TEXT,
     .offset = AT(listen_addresses),
     .default_text = "localhost",
     .context = KD_SETTING_OPENING,
     .description = "kade serve: addresses to listen on; * is all, empty none."},
    {.name = "lock_timeout",
     .kind = SETTING_INTEGER,
     .offset = AT(lock_timeout_ms),
     .default_text = "0",
     .max = INT32_MAX,
     .unit = "ms",
     .description = "The longest wait for a lock; 0: no limit."},
    {.name = "log_directory",
     .kind = SETTING_TEXT,
     .offset = AT(log_directory),
     .default_text = "log",
     .context = KD_SETTING_DATABASE,
     .description = "Where the statement log is; a relative path is below the database."},
    {.name = "log_duration",
     .kind = SETTING_BOOL,
     .offset = AT(log_duration),
     .default_text = "off",
     .description = "Logs every statement's duration, without its text."},
    {.name = "log_filename",
     .kind = SETTING_TEXT,
     .offset = AT(log_filename),
     .default_text = "statements.log",
     .context = KD_SETTING_DATABASE,
     .apply = apply_file_name,
     .description = "The statement log's file; older ones have .1, .2, ... behind it."},
    {.name = "log_min_duration_statement",
     .kind = SETTING_INTEGER,
     .offset = AT(log_min_duration_ms),
     .default_text = "-1",
     .min = -1,
     .max = INT32_MAX,
     .unit = "ms",
     .description = "Logs statements that took at least so long; 0: all, -1: none."},
    {.name = "log_min_error_statement",
     .kind = SETTING_ENUM,
     .offset = AT(log_min_error),
     .default_text = "panic",
     .labels = message_labels,
     .description = "error or less severe: logs statements that fail."},
    {.name = "log_rotation_size",
     .kind = SETTING_INTEGER,
     .offset = AT(log_rotation_bytes),
     .default_text = "10MB",
     .max = INT64_C(1) << 41,
     .unit = "bytes",
     .plain_factor = 1024,
     .context = KD_SETTING_DATABASE,
     .description = "Size at which the statement log begins a new file; 0: never."},
    {.name = "log_statement",
     .kind = SETTING_ENUM,
     .offset = AT(log_statement),
     .default_text = "none",
     .labels = log_labels,
     .description = "Which statements are logged: none, ddl, mod (ddl and changes), all."},
    {.name = "maintenance_work_mem",
     .kind = SETTING_INTEGER,
     .offset = AT(maintenance_limit_bytes),
     .default_text = "0",
     .max = INT64_MAX,
     .unit = "bytes",
     .plain_factor = 1024,
     .description = "Memory of the checks that definitions make over rows; 0: as memory_limit."},
    {.name = "max_connections",
     .kind = SETTING_INTEGER,
     .offset = AT(max_connections),
     .default_text = "1000",
     .min = 1,
     .max = 262143,
     .context = KD_SETTING_DATABASE,
     .description = "Sessions that may be open at the same time."},
    {.name = "memory_limit",
     .kind = SETTING_INTEGER,
     .offset = AT(memory_limit_bytes),
     .default_text = "0",
     .max = INT64_MAX,
     .unit = "bytes",
     .description = "Memory of one statement before it spills; 0: the database's budget."},
    {.name = "password_encryption",
     .kind = SETTING_TEXT,
     .offset = AT(password_encryption),
     .default_text = "scram-sha-256",
     .context = KD_SETTING_FIXED,
     .description = "How passwords are stored."},
    {.name = "plan_cache_bytes",
     .kind = SETTING_INTEGER,
     .offset = AT(plan_cache_bytes),
     .default_text = "1MB",
     .max = INT64_C(1) << 40,
     .unit = "bytes",
     .description = "Room for the plans that a session keeps by their statements' texts; 0: none."},
    {.name = "plan_cache_mode",
     .kind = SETTING_ENUM,
     .offset = AT(plan_cache_mode),
     .default_text = "auto",
     .labels = plan_mode_labels,
     .description = "Plans of statements with parameters: for any values, or for those given."},
    {.name = "port",
     .kind = SETTING_INTEGER,
     .offset = AT(port),
     .default_text = "5432",
     .min = 0,
     .max = 65535,
     .context = KD_SETTING_OPENING,
     .description = "kade serve: the port, and the name of the local socket; 0: a free one."},
    {.name = "result_cache",
     .kind = SETTING_BOOL,
     .offset = AT(result_cache),
     .default_text = "on",
     .description =
         "Queries may be answered from kept rows, of which result_cache_bytes are kept."},
    {.name = "result_cache_bytes",
     .kind = SETTING_INTEGER,
     .offset = AT(result_cache_bytes),
     .default_text = "0",
     .max = INT64_C(1) << 40,
     .unit = "bytes",
     .context = KD_SETTING_DATABASE,
     .description = "Room for rows of queries that come again while nothing has changed; 0: none."},
    {.name = "scrub_interval",
     .kind = SETTING_INTEGER,
     .offset = AT(scrub_interval_ms),
     .default_text = "1d",
     .max = INT64_C(1) << 40,
     .unit = "ms",
     .context = KD_SETTING_DATABASE,
     .description = "Time from the beginning of one scrubbing pass to that of the next."},
    {.name = "scrub_rate",
     .kind = SETTING_INTEGER,
     .offset = AT(scrub_bytes_per_second),
     .default_text = "0",
     .max = INT64_C(1) << 40,
     .unit = "bytes",
     .plain_factor = 1024,
     .context = KD_SETTING_DATABASE,
     .description = "Stored bytes read again and checked in a second, in the background; 0: none."},
    {.name = "search_path",
     .kind = SETTING_TEXT,
     .offset = AT(search_path_text),
     .default_text = "\"$user\", public",
     .apply = apply_search_path,
     .description = "Schemas in which unqualified names are looked up."},
    {.name = "shared_buffers",
     .kind = SETTING_INTEGER,
     .offset = AT(shared_buffer_bytes),
     .default_text = "0",
     .max = INT64_MAX,
     .unit = "bytes",
     .plain_factor = 8192,
     .context = KD_SETTING_DATABASE,
     .description = "The block cache; 0: a quarter of the memory budget."},
    {.name = "shutdown_timeout",
     .kind = SETTING_INTEGER,
     .offset = AT(shutdown_timeout_ms),
     .default_text = "30s",
     .max = 86400000,
     .unit = "ms",
     .plain_factor = 1000,
     .context = KD_SETTING_DATABASE,
     .description = "kade serve: how long open transactions may go on when it stops."},
    {.name = "skip_damaged_rows",
     .kind = SETTING_BOOL,
     .offset = AT(skip_damaged_rows),
     .default_text = "off",
     .description = "Queries leave out rows that cannot be read, with a warning."},
    {.name = "ssl",
     .kind = SETTING_BOOL,
     .offset = AT(ssl),
     .default_text = "off",
     .context = KD_SETTING_OPENING,
     .description = "kade serve: offers encrypted connections."},
    {.name = "ssl_ca_file",
     .kind = SETTING_TEXT,
     .offset = AT(ssl_ca_file),
     .default_text = "",
     .context = KD_SETTING_OPENING,
     .description = "kade serve: who signs clients' certificates; empty: none are asked for."},
    {.name = "ssl_cert_file",
     .kind = SETTING_TEXT,
     .offset = AT(ssl_cert_file),
     .default_text = "server.crt",
     .context = KD_SETTING_OPENING,
     .description = "kade serve: the certificate; a relative path is below the database."},
    {.name = "ssl_key_file",
     .kind = SETTING_TEXT,
     .offset = AT(ssl_key_file),
     .default_text = "server.key",
     .context = KD_SETTING_OPENING,
     .description = "kade serve: its key, which nobody else may read."},
    {.name = "ssl_min_protocol_version",
     .kind = SETTING_ENUM,
     .offset = AT(ssl_min_version),
     .default_text = "TLSv1.2",
     .labels = tls_labels,
     .context = KD_SETTING_OPENING,
     .description = "kade serve: the oldest version of TLS."},
    {.name = "standard_conforming_strings",
     .kind = SETTING_BOOL,
     .offset = AT(standard_strings),
     .default_text = "on",
     .context = KD_SETTING_FIXED,
     .description = "Backslashes in '...' are ordinary."},
    {.name = "statement_timeout",
     .kind = SETTING_INTEGER,
     .offset = AT(statement_timeout_ms),
     .default_text = "0",
     .max = INT32_MAX,
     .unit = "ms",
     .description = "The longest time of a statement; 0: no limit."},
    {.name = "synchronous_commit",
     .kind = SETTING_ENUM,
     .offset = AT(durability),
     .default_text = "on",
     .labels = commit_labels,
     .description = "off: commits are acknowledged before they are on disk."},
    {.name = "temp_directory",
     .kind = SETTING_TEXT,
     .offset = AT(temp_directory),
     .default_text = "",
     .description = "Where statements spill; empty: inside the database."},
    {.name = "temp_file_limit",
     .kind = SETTING_INTEGER,
     .offset = AT(temp_file_limit_bytes),
     .default_text = "-1",
     .min = -1,
     .max = INT64_MAX,
     .unit = "bytes",
     .plain_factor = 1024,
     .description = "What one statement may spill to disk; -1: no limit."},
    {.name = "threads",
     .kind = SETTING_INTEGER,
     .offset = AT(threads),
     .default_text = "0",
     .max = 1024,
     .description = "Threads of one statement; 0: one per core."},
    {.name = "timezone",
     .kind = SETTING_TEXT,
     .offset = AT(time_zone_name),
     .default_text = "UTC",
     .apply = apply_time_zone,
     .description = "The zone in which timestamptz is shown and read."},
    {.name = "unix_socket_directories",
     .kind = SETTING_TEXT,
     .offset = AT(unix_socket_directories),
     .default_text = "/tmp",
     .context = KD_SETTING_OPENING,
     .description = "kade serve: where the local socket is, by commas; empty: there is none."},
    {.name = "wal_buffers",
     .kind = SETTING_INTEGER,
     .offset = AT(wal_buffer_bytes),
     .default_text = "16MB",
     .min = 1 << 20,
     .max = 1 << 30,
     .unit = "bytes",
     .plain_factor = 8192,
     .context = KD_SETTING_OPENING,
     .description = "Room of the log for records being written; a power of two, or the next."},
    {.name = "work_mem",
     .kind = SETTING_INTEGER,
     .offset = AT(memory_limit_bytes),
     .default_text = "0",
     .max = INT64_MAX,
     .unit = "bytes",
     .plain_factor = 1024,
     .description = "PostgreSQL's name of memory_limit; a plain number is in kB."},
};
enum { SETTING_COUNT = sizeof settings_table / sizeof *settings_table };

/* What some settings are called elsewhere. */
static const struct {
    const char *name, *means;
} other_names[] = {{"time zone", "timezone"},
                   {"idle_timeout", "idle_session_timeout"},
                   {"query_timeout", "statement_timeout"},
                   {"log_slow_queries", "log_min_duration_statement"}};

static const setting *find(kd_slice name)
{
    for (size_t i = 0; i < sizeof other_names / sizeof *other_names; i++)
        if (kd_slice_equal_ignoring_case(name, kd_slice_of(other_names[i].name)))
            name = kd_slice_of(other_names[i].means);
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (kd_slice_equal_ignoring_case(kd_slice_of(settings_table[i].name), name))
            return &settings_table[i];
    return NULL;
}

bool kd_setting_at(uint32_t index, kd_setting_info *out_info)
{
    static const char *const kinds[] = {"bool", "integer", "enum", "string"};
    if (index >= SETTING_COUNT) {
        const kdi_accepted_setting *other = kdi_accepted_at(index - SETTING_COUNT);
        if (other == NULL)
            return false;
        bool is_size = strcmp(other->kind, "size") == 0;
        *out_info = (kd_setting_info){.name = other->name,
                                      .unit = is_size ? "bytes" : NULL,
                                      .kind = is_size ? "integer" : other->kind,
                                      .default_text = other->default_text,
                                      .description = "PostgreSQL's; without effect."};
        return true;
    }
    const setting *it = &settings_table[index];
    *out_info = (kd_setting_info){.name = it->name,
                                  .unit = it->unit,
                                  .kind = kinds[it->kind],
                                  .default_text = it->default_text,
                                  .min = it->min,
                                  .max = it->max,
                                  .description = it->description,
                                  .context = it->context};
    return true;
}

bool kd_setting_find(kd_slice name, kd_setting_info *out_info)
{
    const setting *it = find(name);
    const kdi_accepted_setting *other = it == NULL ? kdi_accepted_find(name) : NULL;
    if (it != NULL)
        return kd_setting_at((uint32_t)(it - settings_table), out_info);
    return other != NULL && kd_setting_at(SETTING_COUNT + kdi_accepted_index(other), out_info);
}

/* --- Texts with a meaning ------------------------------------------------------------------------
 */

static kd_status copy_slice(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice *out_copy)
{
    char *copy = kd_copy_text(ctx, arena, text.data, text.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    *out_copy = (kd_slice){copy, text.size_bytes};
    return KD_OK;
}

/* The next name of a comma list: unquoted or in double quotes. False at the end. */
static bool next_name(kd_slice *rest, kd_slice *out_name)
{
    const char *at = rest->data, *end = rest->data + rest->size_bytes;
    while (at < end && (*at == ' ' || *at == ','))
        at++;
    if (at == end)
        return false;
    char quote = *at == '"' || *at == '\'' ? *at++ : '\0';
    const char *start = at;
    while (at < end && (quote != '\0' ? *at != quote : *at != ',' && *at != ' '))
        at++;
    *out_name = (kd_slice){start, (size_t)(at - start)};
    if (quote != '\0' && at < end)
        at++;
    *rest = (kd_slice){at, (size_t)(end - at)};
    return true;
}

static kd_status apply_search_path(kd_ctx *ctx, kd_arena *arena, kd_settings *settings,
                                   kd_slice value)
{
    (void)arena;
    settings->search_path_count = 0;
    kd_slice name;
    while (next_name(&value, &name)) {
        if (settings->search_path_count == KD_SEARCH_PATH_MAX)
            return KD_FAIL(ctx, KD_LIMIT, "54000", "search_path has more than %d schemas",
                           KD_SEARCH_PATH_MAX);
        settings->search_path[settings->search_path_count++] = name;
    }
    return KD_OK;
}

static kd_status apply_time_zone(kd_ctx *ctx, kd_arena *arena, kd_settings *settings,
                                 kd_slice value)
{
    double hours; /* A number counts hours east; a text with ':' is a rule, which counts west. */
    if (kd_parse_double_fast(value, &hours) && hours > -168 && hours < 168) {
        KD_TRY(kd_zone_open_fixed(ctx, arena, (int32_t)(hours * 3600), &settings->time_zone));
        settings->time_zone_name = kd_slice_of(kd_zone_name(settings->time_zone));
        return KD_OK;
    }
    return kd_zone_open(ctx, arena, value, &settings->time_zone);
}

/* What one word of DateStyle says: a style, an order, or both; -1 for none. False if unknown. */
static bool date_style_word(kd_slice word, int *out_style, int *out_order)
{
    static const struct {
        const char *name;
        bool is_prefix; /* "europ", "noneuropean": what begins so. */
        int style, order;
    } words[] = {{"iso", false, KD_DATE_STYLE_ISO, -1},
                 {"sql", false, KD_DATE_STYLE_SQL, -1},
                 {"postgres", true, KD_DATE_STYLE_POSTGRES, -1},
                 {"german", false, KD_DATE_STYLE_GERMAN, -1},
                 {"mdy", false, -1, 0},
                 {"us", false, -1, 0},
                 {"noneuro", true, -1, 0},
                 {"dmy", false, -1, 1},
                 {"euro", true, -1, 1},
                 {"ymd", false, -1, 2}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        kd_slice name = kd_slice_of(words[i].name), start = word;
        if (words[i].is_prefix && start.size_bytes > name.size_bytes)
            start.size_bytes = name.size_bytes;
        *out_style = words[i].style;
        *out_order = words[i].order;
        if (kd_slice_equal_ignoring_case(start, name))
            return true;
    }
    return false;
}

static kd_status apply_date_style(kd_ctx *ctx, kd_arena *arena, kd_settings *settings,
                                  kd_slice value)
{
    static const char *const styles[] = {"ISO", "SQL", "Postgres", "German"};
    static const char *const orders[] = {"MDY", "DMY", "YMD"};
    kd_slice rest = value, name;
    int style = -1, order = -1;
    bool is_right = true, is_german = false, is_default = false;
    while (is_right && next_name(&rest, &name)) {
        int its_style = -1, its_order = -1;
        if (kd_slice_equal_ignoring_case(name, KD_SLICE("default"))) {
            is_default = true;
            continue;
        }
        is_right = date_style_word(name, &its_style, &its_order) &&
                   (its_style < 0 || style < 0 || style == its_style) &&
                   (its_order < 0 || order < 0 || order == its_order);
        style = its_style < 0 ? style : its_style;
        order = its_order < 0 ? order : its_order;
        is_german |= its_style == KD_DATE_STYLE_GERMAN;
    }
    if (!is_right)
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "invalid value for parameter \"DateStyle\": \"%.*s\"", (int)value.size_bytes,
                       value.data);
    if (is_german && order < 0)
        order = 1;
    settings->date_style = style >= 0 ? style : is_default ? 0 : settings->date_style;
    settings->date_order = order >= 0 ? order : is_default ? 0 : settings->date_order;
    char *shown = kd_format_text(ctx, arena, "%s, %s", styles[settings->date_style],
                                 orders[settings->date_order]);
    if (shown == NULL)
        return KD_NOMEM;
    settings->date_style_text = kd_slice_of(shown);
    return KD_OK;
}

static kd_status apply_encoding(kd_ctx *ctx, kd_arena *arena, kd_settings *settings, kd_slice value)
{
    char plain[16]; /* Letters and digits alone, as PostgreSQL reads names of encodings. */
    size_t size = 0;
    (void)arena;
    for (size_t i = 0; i < value.size_bytes && size < sizeof plain; i++) {
        char c = value.data[i];
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
            plain[size++] = c;
    }
    kd_slice name = {plain, size};
    if (!kd_slice_equal_ignoring_case(name, KD_SLICE("utf8")) &&
        !kd_slice_equal_ignoring_case(name, KD_SLICE("unicode")))
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "invalid value for parameter \"client_encoding\": \"%.*s\"",
                       (int)value.size_bytes, value.data);
    settings->client_encoding = KD_SLICE("UTF8");
    return KD_OK;
}

static kd_status apply_flush_mode(kd_ctx *ctx, kd_arena *arena, kd_settings *settings,
                                  kd_slice value)
{
    (void)arena;
    (void)settings;
    if (!kd_slice_equal(value, KD_SLICE("off")) && !kd_slice_equal(value, KD_SLICE("always")) &&
        !kd_slice_equal(value, KD_SLICE("mixed")))
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "invalid value for parameter \"kade.flush_mode\": \"%.*s\"",
                       (int)value.size_bytes, value.data);
    return KD_OK;
}

static kd_status apply_file_name(kd_ctx *ctx, kd_arena *arena, kd_settings *settings,
                                 kd_slice value)
{
    (void)arena;
    (void)settings;
    if (value.size_bytes == 0 || memchr(value.data, '/', value.size_bytes) != NULL)
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "invalid value for parameter \"log_filename\": \"%.*s\"",
                       (int)value.size_bytes, value.data);
    return KD_OK;
}

/* --- Reading values ------------------------------------------------------------------------------
 */

static kd_status bad_value(kd_ctx *ctx, const setting *it, kd_slice value)
{
    return KD_FAIL(ctx, KD_INVALID, "22023", "invalid value for parameter \"%s\": \"%.*s\"",
                   it->name, (int)value.size_bytes, value.data);
}

bool kdi_setting_parse_bool(kd_slice value, int64_t *out)
{
    static const char *const on[] = {"on", "true", "yes", "1", "t", "y"};
    static const char *const off[] = {"off", "false", "no", "0", "f", "n"};
    for (size_t i = 0; i < sizeof on / sizeof *on; i++) {
        if (kd_slice_equal_ignoring_case(value, kd_slice_of(on[i]))) {
            *out = 1;
            return true;
        }
        if (kd_slice_equal_ignoring_case(value, kd_slice_of(off[i]))) {
            *out = 0;
            return true;
        }
    }
    return false;
}

/* A number with an optional unit: "5s", "64MB", "250". */
static bool parse_integer(const setting *it, kd_slice value, int64_t *out)
{
    static const struct {
        const char *suffix, *unit;
        int64_t factor;
    } units[] = {{"us", "ms", 0},
                 {"ms", "ms", 1},
                 {"s", "ms", 1000},
                 {"min", "ms", 60000},
                 {"h", "ms", 3600000},
                 {"d", "ms", 86400000},
                 {"b", "bytes", 1},
                 {"kb", "bytes", 1 << 10},
                 {"mb", "bytes", 1 << 20},
                 {"gb", "bytes", 1 << 30},
                 {"tb", "bytes", INT64_C(1) << 40}};
    size_t digits = 0;
    while (digits < value.size_bytes &&
           (value.data[digits] == '-' || (value.data[digits] >= '0' && value.data[digits] <= '9')))
        digits++;
    int64_t number;
    if (!kd_parse_int64((kd_slice){value.data, digits}, &number))
        return false;
    kd_slice suffix = {value.data + digits, value.size_bytes - digits};
    while (suffix.size_bytes > 0 && suffix.data[0] == ' ')
        suffix = (kd_slice){suffix.data + 1, suffix.size_bytes - 1};
    if (suffix.size_bytes == 0) {
        int64_t factor = it->plain_factor == 0 || number < 0 ? 1 : it->plain_factor;
        return !__builtin_mul_overflow(number, factor, out);
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (it->unit == NULL || strcmp(units[i].unit, it->unit) != 0 ||
            !kd_slice_equal_ignoring_case(suffix, kd_slice_of(units[i].suffix)))
            continue;
        return !__builtin_mul_overflow(number, units[i].factor, out);
    }
    return false;
}

static kd_status set_number(kd_ctx *ctx, const setting *it, kd_slice value, int64_t *target)
{
    int64_t number = 0;
    if (it->kind == SETTING_BOOL) {
        if (!kdi_setting_parse_bool(value, &number))
            return KD_FAIL(ctx, KD_INVALID, "22023", "parameter \"%s\" requires a Boolean value",
                           it->name);
    } else if (it->kind == SETTING_ENUM) {
        while (it->labels[number] != NULL &&
               !kd_slice_equal_ignoring_case(value, kd_slice_of(it->labels[number])))
            number++;
        if (it->labels[number] == NULL)
            return bad_value(ctx, it, value);
    } else {
        if (!parse_integer(it, value, &number))
            return bad_value(ctx, it, value);
        if (number < it->min || number > it->max)
            return KD_FAIL(ctx, KD_INVALID, "22023",
                           "%lld is outside the valid range for parameter \"%s\" (%lld .. %lld)",
                           (long long)number, it->name, (long long)it->min, (long long)it->max);
    }
    if (it->context == KD_SETTING_FIXED && number != *target)
        return KD_FAIL(ctx, KD_INVALID, "55P02", "parameter \"%s\" cannot be changed", it->name);
    *target = number;
    return KD_OK;
}

static kd_status set_text(kd_ctx *ctx, kd_arena *arena, kd_settings *settings, const setting *it,
                          kd_slice value)
{
    kd_slice *target = (kd_slice *)(void *)((char *)settings + it->offset);
    kd_slice copy;
    if (it->context == KD_SETTING_FIXED && !kd_slice_equal_ignoring_case(value, *target))
        return KD_FAIL(ctx, KD_INVALID, "55P02", "parameter \"%s\" cannot be changed", it->name);
    KD_TRY(copy_slice(ctx, arena, value, &copy));
    kd_slice before = *target;
    *target = copy;
    kd_status status = it->apply == NULL ? KD_OK : it->apply(ctx, arena, settings, copy);
    if (status != KD_OK)
        *target = before;
    return status;
}

static kd_status set_one(kd_ctx *ctx, kd_arena *arena, kd_settings *settings, const setting *it,
                         kd_slice value)
{
    if (it->kind == SETTING_TEXT)
        return set_text(ctx, arena, settings, it, value);
    return set_number(ctx, it, value, (int64_t *)(void *)((char *)settings + it->offset));
}

kd_status kd_settings_init(kd_ctx *ctx, kd_arena *arena, kd_isolation isolation,
                           kd_durability durability, kd_settings *out_settings)
{
    memset(out_settings, 0, sizeof *out_settings);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const setting *it = &settings_table[i];
        if (it->kind == SETTING_TEXT) {
            kd_slice *target = (kd_slice *)(void *)((char *)out_settings + it->offset);
            *target = kd_slice_of(it->default_text);
        } else {
            int64_t *target = (int64_t *)(void *)((char *)out_settings + it->offset);
            *target = strcmp(it->default_text, "on") == 0; /* So that fixed ones may be "set". */
        }
        KD_TRY(set_one(ctx, arena, out_settings, it, kd_slice_of(it->default_text)));
    }
    out_settings->isolation = isolation;
    out_settings->durability = durability;
    return KD_OK;
}

/* --- Custom settings: a.b
 * ------------------------------------------------------------------------- */

static struct kd_custom_setting *find_custom(const kd_settings *settings, kd_slice name)
{
    for (uint32_t i = 0; i < settings->custom_count; i++)
        if (kd_slice_equal_ignoring_case(settings->custom[i].name, name))
            return (struct kd_custom_setting *)(uintptr_t)&settings->custom[i];
    return NULL;
}

static kd_status unknown_name(kd_ctx *ctx, kd_slice name)
{
    return KD_FAIL(ctx, KD_INVALID, "42704", "unrecognized configuration parameter \"%.*s\"",
                   (int)name.size_bytes, name.data);
}

static kd_status set_custom(kd_ctx *ctx, kd_arena *arena, kd_settings *settings, kd_slice name,
                            kd_slice value)
{
    struct kd_custom_setting *custom = find_custom(settings, name);
    const kdi_accepted_setting *other = kdi_accepted_find(name);
    if (other != NULL)
        KD_TRY(kdi_accepted_check(ctx, other, value, &value));
    if (custom == NULL) {
        if (other == NULL && memchr(name.data, '.', name.size_bytes) == NULL)
            return unknown_name(ctx, name);
        if (settings->custom_count == KD_CUSTOM_SETTINGS_MAX)
            return KD_FAIL(ctx, KD_LIMIT, "54000", "more than %d custom settings",
                           KD_CUSTOM_SETTINGS_MAX);
        kd_slice copy;
        KD_TRY(copy_slice(ctx, arena, name, &copy));
        custom = &settings->custom[settings->custom_count++];
        custom->name = copy;
    }
    return copy_slice(ctx, arena, value, &custom->value);
}

static bool is_plain_name(kd_slice name)
{
    for (size_t i = 0; i < name.size_bytes; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || c == '_' || (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return name.size_bytes > 0;
}

kd_status kd_settings_configure(kd_ctx *ctx, kd_arena *arena, kd_settings *settings, kd_slice name,
                                const kd_slice *values, uint32_t value_count)
{
    assert(value_count > 0);
    const setting *it = find(name);
    if (it == NULL)
        return set_custom(ctx, arena, settings, name, values[0]);
    if (value_count == 1)
        return set_one(ctx, arena, settings, it, values[0]);
    if (it->kind != SETTING_TEXT)
        return KD_FAIL(ctx, KD_INVALID, "22023", "SET %s takes only one argument", it->name);
    kd_buffer list = kd_buffer_in(arena);
    for (uint32_t i = 0; i < value_count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, &list, ", "));
        const char *quote = is_plain_name(values[i]) ? "" : "\"";
        KD_TRY(kd_buffer_append_format(ctx, &list, "%s%.*s%s", quote, (int)values[i].size_bytes,
                                       values[i].data, quote));
    }
    return set_one(ctx, arena, settings, it, kd_buffer_slice(&list));
}

/* 55P02 for what is not a session's to change. */
static kd_status check_context(kd_ctx *ctx, kd_slice name)
{
    const setting *it = find(name);
    if (it == NULL || it->context == KD_SETTING_SESSION || it->context == KD_SETTING_FIXED)
        return KD_OK;
    const char *when =
        it->context == KD_SETTING_DATABASE ? "now" : "without reopening the database";
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, "55P02", "parameter \"%s\" cannot be changed %s", it->name, when);
    kd_error_set_hint(ctx, "Use ALTER SYSTEM SET %s.", it->name);
    return status;
}

kd_status kd_settings_set(kd_ctx *ctx, kd_arena *arena, kd_settings *settings, kd_slice name,
                          const kd_slice *values, uint32_t value_count)
{
    KD_TRY(check_context(ctx, name));
    return kd_settings_configure(ctx, arena, settings, name, values, value_count);
}

kd_status kd_settings_reset(kd_ctx *ctx, kd_arena *arena, kd_settings *settings,
                            const kd_settings *defaults, kd_slice name)
{
    KD_TRY(check_context(ctx, name));
    const setting *it = find(name);
    if (it == NULL) {
        const kdi_accepted_setting *other = kdi_accepted_find(name);
        struct kd_custom_setting *custom = find_custom(settings, name);
        const struct kd_custom_setting *given = find_custom(defaults, name);
        if (custom == NULL && other == NULL && memchr(name.data, '.', name.size_bytes) == NULL)
            return unknown_name(ctx, name);
        if (custom != NULL)
            custom->value = given != NULL   ? given->value
                            : other != NULL ? kd_slice_of(other->default_text)
                                            : KD_SLICE("");
        return KD_OK;
    }
    const char *from = (const char *)defaults + it->offset;
    char *to = (char *)settings + it->offset;
    if (it->kind == SETTING_TEXT)
        return set_text(ctx, arena, settings, it, *(const kd_slice *)(const void *)from);
    memcpy(to, from, sizeof(int64_t));
    return KD_OK;
}

/* The largest unit in which the number is whole. */
static const char *shown_unit(const setting *it, int64_t *number)
{
    static const struct {
        const char *name;
        int64_t of_last;
    } sizes[] = {{"B", 1}, {"kB", 1024}, {"MB", 1024}, {"GB", 1024}, {"TB", 1024}, {NULL, 0}},
      times[] = {{"ms", 1}, {"s", 1000}, {"min", 60}, {"h", 60}, {"d", 24}, {NULL, 0}};
    if (it->unit == NULL || *number <= 0)
        return "";
    bool is_time = strcmp(it->unit, "ms") == 0;
    size_t at = 0;
    for (;; at++) {
        int64_t factor = is_time ? times[at + 1].of_last : sizes[at + 1].of_last;
        if (factor == 0 || *number % factor != 0)
            return is_time ? times[at].name : sizes[at].name;
        *number /= factor;
    }
}

kd_status kd_settings_show(kd_ctx *ctx, kd_arena *arena, const kd_settings *settings, kd_slice name,
                           kd_slice *out_value)
{
    *out_value = (kd_slice){"", 0};
    const setting *it = find(name);
    if (it == NULL) {
        const struct kd_custom_setting *custom = find_custom(settings, name);
        const kdi_accepted_setting *other = kdi_accepted_find(name);
        if (custom == NULL && other == NULL)
            return unknown_name(ctx, name);
        *out_value = custom == NULL ? kd_slice_of(other->default_text) : custom->value;
        return KD_OK;
    }
    const char *at = (const char *)settings + it->offset;
    if (it->kind == SETTING_TEXT) {
        memcpy(out_value, at, sizeof *out_value);
        return KD_OK;
    }
    int64_t number;
    memcpy(&number, at, sizeof number);
    if (it->kind == SETTING_BOOL)
        *out_value = kd_slice_of(number != 0 ? "on" : "off");
    else if (it->kind == SETTING_ENUM)
        *out_value = kd_slice_of(it->labels[number]);
    else {
        const char *unit = shown_unit(it, &number);
        char *text = kd_format_text(ctx, arena, "%lld%s", (long long)number, unit);
        if (text == NULL)
            return KD_NOMEM;
        *out_value = kd_slice_of(text);
    }
    return KD_OK;
}
