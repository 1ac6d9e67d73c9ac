/*
 * Settings: SET, SHOW, RESET.
 *
 * A setting has a name, a kind, a default, a range and a context, which says when it may change;
 * all of them are listed in one table in setting.c, from which SHOW ALL and pg_settings are made.
 * The database has a set of values (configuration.h), every session has one of its own, of which
 * only those of the session's context count. A session's values
 * follow transactions: SET is undone by a rollback, SET LOCAL ends with the
 * transaction. Names with a dot that are not in the table are kept as text, and so are those of
 * PostgreSQL's settings that change nothing here (setting_accepted.c).
 */
#ifndef KD_ENGINE_SETTING_H
#define KD_ENGINE_SETTING_H

#include "txn/txn.h"
#include "types/zone.h"

enum { KD_SEARCH_PATH_MAX = 16, KD_CUSTOM_SETTINGS_MAX = 64 };

/* Which statements go to the statement log as they are, by what they do. */
typedef enum kd_log_statement {
    KD_LOG_STATEMENT_NONE = 0,
    KD_LOG_STATEMENT_DDL,
    KD_LOG_STATEMENT_MOD,
    KD_LOG_STATEMENT_ALL,
} kd_log_statement;

/* client_min_messages, as far as somebody asks: the least severe that is sent. */
enum { KD_MESSAGE_NOTICE = 6, KD_MESSAGE_WARNING = 7 };

/* log_min_error up to here: statements that fail go there. */
enum { KD_LOG_ERRORS_UP_TO = 8 };

/* ssl_min_protocol_version, by label. */
typedef enum kd_tls_version { KD_TLS_1_2 = 0, KD_TLS_1_3 } kd_tls_version;

/* When a setting may be changed. */
typedef enum kd_setting_context {
    KD_SETTING_SESSION = 0, /* By SET, for the session. */
    KD_SETTING_DATABASE,    /* By ALTER SYSTEM, at once, for the database. */
    KD_SETTING_OPENING,     /* By ALTER SYSTEM, from the next opening on. */
    KD_SETTING_FIXED,       /* May be read only, or set to what it is. */
} kd_setting_context;

/* Plain data: copied whole at the borders of transactions. Texts live in the session's arena. */
typedef struct kd_settings {
    kd_slice search_path_text;
    uint32_t search_path_count;
    kd_slice search_path[KD_SEARCH_PATH_MAX];
    kd_slice time_zone_name;
    const kd_zone *time_zone;
    int64_t date_order; /* As kd_text_settings, as are the next two. */
    int64_t date_style;
    int64_t interval_style;
    int64_t extra_float_digits;
    int64_t bytea_escape;
    int64_t statement_timeout_ms; /* 0: none */
    int64_t lock_timeout_ms;
    int64_t idle_in_transaction_timeout_ms;
    int64_t idle_session_timeout_ms;
    int64_t isolation; /* kd_isolation of new transactions. */
    int64_t read_only;
    int64_t durability;              /* kd_durability of new transactions. */
    int64_t threads;                 /* Of one statement; 0: all workers. */
    int64_t memory_limit_bytes;      /* Of one statement's blocking operators; 0: the budget. */
    int64_t maintenance_limit_bytes; /* As memory_limit_bytes, of checks that definitions make. */
    int64_t temp_file_limit_bytes;   /* Of one statement's spill file; -1: none. */
    int64_t log_statement;           /* kd_log_statement */
    int64_t log_duration;
    int64_t message_level;       /* By label, from debug5; see KD_MESSAGE_NOTICE. */
    int64_t log_min_duration_ms; /* -1: none. */
    int64_t log_min_error;       /* By label, from debug5; see KD_LOG_ERRORS_UP_TO. */
    int64_t max_connections;     /* From here on of the database. */
    int64_t connection_timeout_ms;
    int64_t shared_buffer_bytes; /* 0: a quarter of the memory budget. */
    int64_t wal_buffer_bytes;
    int64_t checkpoint_timeout_ms;
    int64_t log_rotation_bytes; /* 0: never. */
    int64_t port;
    int64_t authentication_timeout_ms;
    int64_t shutdown_timeout_ms;
    int64_t ssl;
    int64_t ssl_min_version; /* kd_tls_version */
    kd_slice listen_addresses, unix_socket_directories;
    kd_slice ssl_cert_file, ssl_key_file, ssl_ca_file;
    kd_slice log_directory;
    kd_slice log_filename;
    int64_t enable_index_scan;
    int64_t enable_hash_join;
    int64_t skip_damaged_rows;
    int64_t scrub_bytes_per_second;
    int64_t scrub_interval_ms;
    int64_t join_collapse_limit;
    int64_t enable_view_rewrite;
    int64_t plan_cache_bytes; /* Of plans that the session keeps by their texts; 0: none. */
    int64_t plan_cache_mode;  /* kdi_plan_mode */
    int64_t result_cache;
    int64_t result_cache_bytes; /* Of the database; 0: no rows are kept. */
    int64_t standard_strings;   /* Always on. */
    kd_slice application_name;
    kd_slice date_style_text;
    kd_slice client_encoding;
    kd_slice dialect;
    kd_slice temp_directory;
    kd_slice password_encryption;
    kd_slice flush_mode;      /* "off", "always", "mixed": flush after statements, for tests. */
    uint32_t role_no;         /* SET ROLE; 0: none, the next one counts. */
    uint32_t session_role_no; /* SET SESSION AUTHORIZATION. */
    uint32_t custom_count;
    struct kd_custom_setting {
        kd_slice name, value;
    } custom[KD_CUSTOM_SETTINGS_MAX];
} kd_settings;

kd_status kd_settings_init(kd_ctx *ctx, kd_arena *arena, kd_isolation isolation,
                           kd_durability durability, kd_settings *out_settings) KD_MUST_CHECK;
/* `values` as SET has them, at least one. 42704 for an unknown name, 22023 for a bad value,
 * 55P02 for one that a session cannot change. */
kd_status kd_settings_set(kd_ctx *ctx, kd_arena *arena, kd_settings *settings, kd_slice name,
                          const kd_slice *values, uint32_t value_count) KD_MUST_CHECK;
/* The same of a database's values, in any context but FIXED. */
kd_status kd_settings_configure(kd_ctx *ctx, kd_arena *arena, kd_settings *settings, kd_slice name,
                                const kd_slice *values, uint32_t value_count) KD_MUST_CHECK;
/* Back to what `defaults` says, whose texts live as long as `settings`. 42704, 55P02. */
kd_status kd_settings_reset(kd_ctx *ctx, kd_arena *arena, kd_settings *settings,
                            const kd_settings *defaults, kd_slice name) KD_MUST_CHECK;
/* The value as SHOW prints it, in `arena`. */
kd_status kd_settings_show(kd_ctx *ctx, kd_arena *arena, const kd_settings *settings, kd_slice name,
                           kd_slice *out_value) KD_MUST_CHECK;

typedef struct kd_setting_info {
    const char *name;
    const char *unit; /* "ms", "bytes", or NULL. */
    const char *kind; /* "bool", "integer", "enum", "string" */
    const char *default_text;
    int64_t min, max;
    const char *description;
    kd_setting_context context;
} kd_setting_info;
/* By position, from 0; false past the last. */
bool kd_setting_at(uint32_t index, kd_setting_info *out_info);
/* By name, in any case, or by another name that it goes by. */
bool kd_setting_find(kd_slice name, kd_setting_info *out_info);

#endif
