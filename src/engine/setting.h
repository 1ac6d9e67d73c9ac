/*
 * Session settings: SET, SHOW, RESET.
 *
 * A setting has a name, a kind, a default and a range; all of them are listed in
 * one table in setting.c, from which SHOW ALL and pg_settings are made. Values
 * follow transactions: SET is undone by a rollback, SET LOCAL ends with the
 * transaction. Names with a dot that are not in the table are kept as text, and so are those of
 * PostgreSQL's settings that change nothing here (setting_accepted.c).
 */
#ifndef KD_ENGINE_SETTING_H
#define KD_ENGINE_SETTING_H

#include "txn/txn.h"
#include "types/zone.h"

enum { KD_SEARCH_PATH_MAX = 16, KD_CUSTOM_SETTINGS_MAX = 64 };

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
    int64_t idle_timeout_ms;
    int64_t isolation; /* kd_isolation of new transactions. */
    int64_t read_only;
    int64_t durability;            /* kd_durability of new transactions. */
    int64_t threads;               /* Of one statement; 0: all workers. */
    int64_t memory_limit_bytes;    /* Of one statement's blocking operators; 0: the budget. */
    int64_t temp_file_limit_bytes; /* Of one statement's spill file; -1: none. */
    int64_t enable_index_scan;
    int64_t enable_hash_join;
    int64_t join_collapse_limit;
    int64_t standard_strings; /* Always on. */
    kd_slice application_name;
    kd_slice date_style_text;
    kd_slice client_encoding;
    kd_slice message_level;
    kd_slice dialect;
    kd_slice temp_directory;
    kd_slice password_encryption;
    kd_slice checkpoint_timeout;
    kd_slice wal_buffers;
    kd_slice flush_mode; /* "off", "always", "mixed": flush after statements, for tests. */
    uint32_t custom_count;
    struct kd_custom_setting {
        kd_slice name, value;
    } custom[KD_CUSTOM_SETTINGS_MAX];
} kd_settings;

kd_status kd_settings_init(kd_ctx *ctx, kd_arena *arena, kd_isolation isolation,
                           kd_durability durability, kd_settings *out_settings) KD_MUST_CHECK;
/* `values` as SET has them; none: the default. 42704 for an unknown name, 22023 for a bad value,
 * 55P02 for one that cannot be changed. */
kd_status kd_settings_set(kd_ctx *ctx, kd_arena *arena, kd_settings *settings, kd_slice name,
                          const kd_slice *values, uint32_t value_count) KD_MUST_CHECK;
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
} kd_setting_info;
/* By position, from 0; false past the last. */
bool kd_setting_at(uint32_t index, kd_setting_info *out_info);

#endif
