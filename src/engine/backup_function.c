/*
 * Backups and archives as table functions: kade_backup, kade_backups, kade_backup_verify,
 * kade_backup_restore, kade_backup_prune; kade_restore, kade_restore_to; kade_archive_start,
 * kade_archive_stop, kade_archive_status, kade_archive. Each does its work when it is opened and
 * gives what was done as rows.
 *
 * They are statements like any other, so that a second process reaches the database that another
 * one has open.
 */
#include "engine/session_function_internal.h"

#include "backup/archive.h"
#include "backup/backup.h"

static const int64_t year_2000_us = INT64_C(946684800000000);
static const int64_t day_us = INT64_C(86400000000);

typedef struct backup_call {
    kd_arena *arena;
    kd_database *database;
    const kd_value *args;
    uint32_t arg_count;
    const char *target;
    kdi_row_set *rows;
} backup_call;

typedef struct backup_kind {
    kd_status (*run)(kd_ctx *ctx, const backup_call *call);
    uint32_t column_count;
    const char *const *names;
    const kd_type *types;
} backup_kind;

/* --- Arguments and rows ---------------------------------------------------------------------- */

static kd_status text_of(kd_ctx *ctx, const backup_call *call, uint32_t at, const char *what,
                         const char **out_text)
{
    *out_text = NULL;
    if (at >= call->arg_count || call->args[at].is_null)
        return KD_FAIL(ctx, KD_INVALID, "22004", "%s must not be NULL", what);
    kd_slice text = kd_str_slice(&call->args[at].as.str);
    if (text.size_bytes == 0)
        return KD_FAIL(ctx, KD_INVALID, "22023", "%s must not be empty", what);
    *out_text = kd_copy_text(ctx, call->arena, text.data, text.size_bytes);
    return *out_text == NULL ? KD_NOMEM : KD_OK;
}

/* Which backup; NULL, and no argument, stand for the newest. */
static kd_status id_of(kd_ctx *ctx, const backup_call *call, uint32_t at, const char **out_id)
{
    *out_id = NULL;
    if (at >= call->arg_count || call->args[at].is_null)
        return KD_OK;
    return text_of(ctx, call, at, "the backup", out_id);
}

static kd_status number_of(kd_ctx *ctx, const backup_call *call, uint32_t at, const char *what,
                           int64_t *out_number)
{
    *out_number = 0;
    if (at >= call->arg_count || call->args[at].is_null)
        return KD_OK;
    *out_number = call->args[at].as.i64;
    if (*out_number >= 0)
        return KD_OK;
    return KD_FAIL(ctx, KD_INVALID, "22023", "%s must not be negative", what);
}

static kd_status info_add(kd_ctx *ctx, const backup_call *call, const kd_backup_info *info)
{
    kd_value taken = kd_value_i64(info->taken_us - year_2000_us);
    taken.type = kd_type_of(KD_TYPE_TIMESTAMPTZ);
    kd_value values[] = {
        kd_value_text(kd_slice_of(info->id)),      taken,
        kd_value_i64((int64_t)info->file_count),   kd_value_i64((int64_t)info->file_bytes),
        kd_value_i64((int64_t)info->copied_count), kd_value_i64((int64_t)info->copied_bytes),
        kd_value_i64((int64_t)info->kept_bytes),   kd_value_i64((int64_t)info->position)};
    return kdi_row_set_add(ctx, call->rows, values);
}

/* --- What they do ---------------------------------------------------------------------------- */

static kd_status run_backup(kd_ctx *ctx, const backup_call *call)
{
    int64_t bytes_per_second;
    kd_backup_info info;
    if (call->database->is_memory)
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "a database in memory has no files to copy");
    KD_TRY(number_of(ctx, call, 1, "the bytes per second", &bytes_per_second));
    KD_TRY(kd_backup_take(ctx, call->database->storage, call->target, (uint64_t)bytes_per_second,
                          &info));
    return info_add(ctx, call, &info);
}

static kd_status run_list(kd_ctx *ctx, const backup_call *call)
{
    kd_backup_info *infos;
    size_t count;
    KD_TRY(kd_backup_list(ctx, call->arena, call->target, &infos, &count));
    for (size_t i = 0; i < count; i++)
        KD_TRY(info_add(ctx, call, &infos[i]));
    return KD_OK;
}

static kd_status run_verify(kd_ctx *ctx, const backup_call *call)
{
    const char *id;
    kd_backup_info info;
    KD_TRY(id_of(ctx, call, 1, &id));
    KD_TRY(kd_backup_verify(ctx, call->target, id, &info));
    return info_add(ctx, call, &info);
}

static kd_status run_restore(kd_ctx *ctx, const backup_call *call)
{
    const char *id, *directory;
    kd_backup_info info;
    KD_TRY(text_of(ctx, call, 1, "the directory", &directory));
    KD_TRY(id_of(ctx, call, 2, &id));
    KD_TRY(kd_backup_restore(ctx, call->target, id, directory, &info));
    return info_add(ctx, call, &info);
}

static kd_status run_prune(kd_ctx *ctx, const backup_call *call)
{
    int64_t count, days, daily, monthly;
    kd_backup_pruned pruned;
    KD_TRY(number_of(ctx, call, 1, "the number of backups", &count));
    KD_TRY(number_of(ctx, call, 2, "the number of days", &days));
    KD_TRY(number_of(ctx, call, 3, "the number of daily backups", &daily));
    KD_TRY(number_of(ctx, call, 4, "the number of monthly backups", &monthly));
    if (days > INT64_MAX / day_us)
        days = INT64_MAX / day_us;
    kd_backup_keep keep = {.count = (uint64_t)count,
                           .age_us = days * day_us,
                           .daily = (uint64_t)daily,
                           .monthly = (uint64_t)monthly};
    KD_TRY(kd_backup_prune(ctx, call->target, &keep, &pruned));
    kd_value values[] = {kd_value_i64((int64_t)pruned.backups),
                         kd_value_i64((int64_t)pruned.objects),
                         kd_value_i64((int64_t)pruned.log_files)};
    return kdi_row_set_add(ctx, call->rows, values);
}

/* --- Restoring from the archive too ---------------------------------------------------------- */

static kd_value moment_value(int64_t moment_us)
{
    kd_value value = kd_value_i64(moment_us - year_2000_us);
    value.type = kd_type_of(KD_TYPE_TIMESTAMPTZ);
    return moment_us == 0 ? kd_value_null(value.type) : value;
}

static kd_status run_restore_to(kd_ctx *ctx, const backup_call *call)
{
    const char *directory;
    kd_restored restored;
    kd_restore_wish wish = {0};
    KD_TRY(text_of(ctx, call, 1, "the directory", &directory));
    bool is_latest = call->arg_count < 3;
    if (!is_latest && call->args[2].is_null)
        return KD_FAIL(ctx, KD_INVALID, "22004", "where the restore ends must not be NULL");
    if (!is_latest &&
        call->args[2].as.i64 <= (call->args[2].type.id == KD_TYPE_INT8 ? 0 : -year_2000_us))
        return KD_FAIL(ctx, KD_INVALID, "22023", "the restore cannot end there");
    if (!is_latest && call->args[2].type.id == KD_TYPE_INT8)
        wish.to_position = (uint64_t)call->args[2].as.i64;
    else if (!is_latest)
        wish.moment_us = call->args[2].as.i64 + year_2000_us;
    KD_TRY(kd_backup_restore_to(ctx, call->target, &wish, directory, &restored));
    kd_value values[] = {kd_value_text(kd_slice_of(restored.backup.id)),
                         moment_value(restored.backup.taken_us), moment_value(restored.until_us),
                         kd_value_i64((int64_t)restored.position)};
    return kdi_row_set_add(ctx, call->rows, values);
}

/* --- The archive ----------------------------------------------------------------------------- */

static kd_status archive_row(kd_ctx *ctx, const backup_call *call)
{
    static const char *const states[] = {
        [KD_ARCHIVE_OFF] = "off",
        [KD_ARCHIVE_FOLLOWING] = "following",
        [KD_ARCHIVE_FAILING] = "failing",
        [KD_ARCHIVE_GAP] = "given up",
    };
    kd_archive_status now = {0};
    kd_archive *archive = call->database->archive;
    if (archive != NULL)
        KD_TRY(kd_archive_read_status(ctx, call->arena, archive, &now));
    if (now.state == KD_ARCHIVE_FOLLOWING && now.position == 0) {
        /* Right after the opening: how far it is shows with the first step. */
        if (kd_archive_step(ctx, archive) != KD_OK)
            kd_error_clear(ctx);
        KD_TRY(kd_archive_read_status(ctx, call->arena, archive, &now));
    }
    uint64_t lag = now.log_position > now.position ? now.log_position - now.position : 0;
    bool is_on = now.state != KD_ARCHIVE_OFF;
    kd_value null_number = kd_value_null(kd_type_of(KD_TYPE_INT8));
    kd_value null_text = kd_value_null(kd_type_of(KD_TYPE_TEXT));
    kd_value values[] = {kd_value_text(kd_slice_of(states[now.state])),
                         now.directory == NULL ? null_text
                                               : kd_value_text(kd_slice_of(now.directory)),
                         is_on ? kd_value_i64((int64_t)now.position) : null_number,
                         moment_value(now.until_us),
                         is_on ? kd_value_i64((int64_t)lag) : null_number,
                         is_on ? kd_value_i64((int64_t)now.kept_bytes) : null_number,
                         is_on ? kd_value_i64((int64_t)now.keep_bytes) : null_number,
                         now.error == NULL ? null_text : kd_value_text(kd_slice_of(now.error)),
                         moment_value(now.failed_us)};
    return kdi_row_set_add(ctx, call->rows, values);
}

static kd_status archive_of(kd_ctx *ctx, const backup_call *call, kd_archive **out_archive)
{
    *out_archive = call->database->archive;
    return *out_archive != NULL ? KD_OK
                                : KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                                          "a database in memory has no log to archive");
}

/* The directory is noted in the database, and found again by whoever opens it. */
static kd_status run_archive_start(kd_ctx *ctx, const backup_call *call)
{
    kd_archive *archive;
    int64_t keep_bytes;
    KD_TRY(archive_of(ctx, call, &archive));
    KD_TRY(number_of(ctx, call, 1, "the bytes that are kept", &keep_bytes));
    if (call->target[0] != '/' && !kd_backup_is_remote(call->target))
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "the directory of an archive is given from the root, with '/' first");
    KD_TRY(kd_archive_start(ctx, archive, call->target, (uint64_t)keep_bytes));
    return archive_row(ctx, call);
}

static kd_status run_archive_stop(kd_ctx *ctx, const backup_call *call)
{
    kd_archive *archive;
    KD_TRY(archive_of(ctx, call, &archive));
    KD_TRY(kd_archive_stop(ctx, archive));
    return archive_row(ctx, call);
}

static kd_status run_archive_list(kd_ctx *ctx, const backup_call *call)
{
    kd_archive_stretch *stretches;
    size_t count;
    KD_TRY(kd_archive_list(ctx, call->arena, call->target, false, &stretches, &count));
    for (size_t i = 0; i < count; i++) {
        const kd_archive_stretch *stretch = &stretches[i];
        kd_value values[] = {kd_value_i64((int64_t)stretch->from_position),
                             kd_value_i64((int64_t)stretch->to_position),
                             moment_value(stretch->until_us),
                             kd_value_i64((int64_t)stretch->piece_count),
                             kd_value_i64((int64_t)stretch->segment_count),
                             kd_value_i64((int64_t)stretch->log_bytes),
                             kd_value_i64((int64_t)stretch->stored_bytes)};
        KD_TRY(kdi_row_set_add(ctx, call->rows, values));
    }
    return KD_OK;
}

/* --- As table functions ---------------------------------------------------------------------- */

static kd_status describe_call(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                               const kd_value *args, uint32_t arg_count, uint32_t *out_column_count,
                               kd_slice **out_names, kd_type **out_types)
{
    const backup_kind *kind = env->data;
    (void)args;
    (void)arg_count;
    *out_column_count = kind->column_count;
    *out_names = KD_NEW_ARRAY(ctx, arena, kd_slice, kind->column_count);
    *out_types = KD_NEW_ARRAY(ctx, arena, kd_type, kind->column_count);
    if (*out_names == NULL || *out_types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < kind->column_count; i++) {
        (*out_names)[i] = kd_slice_of(kind->names[i]);
        (*out_types)[i] = kind->types[i];
    }
    return KD_OK;
}

static kd_status open_call(kd_ctx *ctx, kd_arena *arena, const kd_call_env *env,
                           const kd_value *args, uint32_t arg_count, void **out_cursor)
{
    const backup_kind *kind = env->data;
    kd_rel_column *columns;
    backup_call call = {.arena = arena,
                        .database = kdi_call_session(env)->database,
                        .args = args,
                        .arg_count = arg_count};
    *out_cursor = NULL;
    KD_TRY(kdi_columns(ctx, arena, kind->names, kind->types, kind->column_count, &columns));
    KD_TRY(kdi_row_set_create(ctx, arena, columns, kind->column_count, &call.rows));
    if (arg_count > 0)
        KD_TRY(text_of(ctx, &call, 0, "the directory of the backups", &call.target));
    /* Backups are the machine's, also for a session of a database in memory. */
    kd_world *world = ctx->world;
    if (call.database->is_memory)
        ctx->world = kd_world_memory_below(call.database->world);
    kd_status status = kind->run(ctx, &call);
    ctx->world = world;
    *out_cursor = call.rows;
    return status;
}

static kd_status next_rows(kd_ctx *ctx, void *cursor, kd_batch *out_batch)
{
    bool is_end;
    (void)ctx;
    kdi_row_set_next(cursor, out_batch, &is_end);
    if (is_end)
        out_batch->row_count = 0;
    return KD_OK;
}

#define T(name)                              \
    {                                        \
        .id = KD_TYPE_##name, .modifier = -1 \
    }

static const char *const info_names[] = {"backup",       "taken",        "files",      "bytes",
                                         "copied_files", "copied_bytes", "kept_bytes", "position"};
static const kd_type info_types[] = {T(TEXT), T(TIMESTAMPTZ), T(INT8), T(INT8),
                                     T(INT8), T(INT8),        T(INT8), T(INT8)};
static const char *const prune_names[] = {"removed_backups", "removed_objects",
                                          "removed_log_files"};

static const char *const restored_names[] = {"backup", "taken", "until", "position"};
static const kd_type restored_types[] = {T(TEXT), T(TIMESTAMPTZ), T(TIMESTAMPTZ), T(INT8)};
static const char *const status_names[] = {"state",      "directory",  "position",
                                           "until",      "lag_bytes",  "kept_bytes",
                                           "keep_bytes", "last_error", "failed_at"};
static const kd_type status_types[] = {T(TEXT), T(TEXT), T(INT8), T(TIMESTAMPTZ), T(INT8),
                                       T(INT8), T(INT8), T(TEXT), T(TIMESTAMPTZ)};
static const char *const stretch_names[] = {"from_position", "to_position", "until",       "pieces",
                                            "segments",      "log_bytes",   "stored_bytes"};
static const kd_type stretch_types[] = {T(INT8), T(INT8), T(TIMESTAMPTZ), T(INT8),
                                        T(INT8), T(INT8), T(INT8)};

static const backup_kind backup_kinds[] = {
    {run_backup, 8, info_names, info_types},
    {run_list, 8, info_names, info_types},
    {run_verify, 8, info_names, info_types},
    {run_restore, 8, info_names, info_types},
    {run_prune, 3, prune_names, info_types + 2},
    {run_restore_to, 4, restored_names, restored_types},
    {run_archive_start, 9, status_names, status_types},
    {run_archive_stop, 9, status_names, status_types},
    {archive_row, 9, status_names, status_types},
    {run_archive_list, 7, stretch_names, stretch_types},
};

#define CALL(sql_name, kind, count, ...)                                       \
    {                                                                          \
        .name = sql_name, .argument_count = count, .arguments = {__VA_ARGS__}, \
        .describe = describe_call, .open = open_call, .next = next_rows,       \
        .data = &backup_kinds[kind]                                            \
    }

static const kd_table_function functions[] = {
    CALL("kade_backup", 0, 1, T(TEXT)),
    CALL("kade_backup", 0, 2, T(TEXT), T(INT8)),
    CALL("kade_backups", 1, 1, T(TEXT)),
    CALL("kade_backup_verify", 2, 1, T(TEXT)),
    CALL("kade_backup_verify", 2, 2, T(TEXT), T(TEXT)),
    CALL("kade_backup_restore", 3, 2, T(TEXT), T(TEXT)),
    CALL("kade_backup_restore", 3, 3, T(TEXT), T(TEXT), T(TEXT)),
    CALL("kade_backup_prune", 4, 2, T(TEXT), T(INT8)),
    CALL("kade_backup_prune", 4, 3, T(TEXT), T(INT8), T(INT8)),
    CALL("kade_backup_prune", 4, 5, T(TEXT), T(INT8), T(INT8), T(INT8), T(INT8)),
    CALL("kade_restore", 5, 2, T(TEXT), T(TEXT)),
    CALL("kade_restore_to", 5, 3, T(TEXT), T(TEXT), T(TIMESTAMPTZ)),
    CALL("kade_restore_to", 5, 3, T(TEXT), T(TEXT), T(INT8)),
    CALL("kade_archive_start", 6, 1, T(TEXT)),
    CALL("kade_archive_start", 6, 2, T(TEXT), T(INT8)),
    CALL("kade_archive_stop", 7, 0, T(TEXT)),
    CALL("kade_archive_status", 8, 0, T(TEXT)),
    CALL("kade_archive", 9, 1, T(TEXT)),
};

kd_status kdi_register_backup_functions(kd_ctx *ctx, kd_registry *registry)
{
    return kd_registry_add_table_functions(ctx, registry, functions,
                                           sizeof functions / sizeof functions[0]);
}
