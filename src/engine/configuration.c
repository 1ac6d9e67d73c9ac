/*
 * The database's settings: reading and writing settings.conf, ALTER SYSTEM.
 */
#include "engine/configuration.h"

#include "engine/result_cache.h"
#include "engine/statement_log.h"
#include "engine/session_role.h"

#include <assert.h>
#include <stdio.h>

static const char file_name[] = "settings.conf";
enum { FILE_BYTES_MAX = 1 << 20 };

/* One line: of the file, or of the opening's options, which stand before it. */
typedef struct entry {
    struct entry *next;
    kd_slice name, value;
    bool is_option;
    bool is_pending; /* Of the file: takes effect with the next opening. */
} entry;

struct kdi_configuration {
    kd_database *database;
    kd_mutex lock; /* Guards the rest. */
    kd_arena *arena;
    kd_settings values; /* In force. */
    entry *entries;
};

static entry *find_entry(kdi_configuration *self, kd_slice name, bool is_option)
{
    for (entry *it = self->entries; it != NULL; it = it->next)
        if (it->is_option == is_option && kd_slice_equal_ignoring_case(it->name, name))
            return it;
    return NULL;
}

static kd_status copy_text(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice *out_copy)
{
    char *copy = kd_copy_text(ctx, arena, text.data, text.size_bytes);
    if (copy == NULL)
        return KD_NOMEM;
    *out_copy = (kd_slice){copy, text.size_bytes};
    return KD_OK;
}

static kd_status put_entry(kd_ctx *ctx, kdi_configuration *self, kd_slice name, kd_slice value,
                           bool is_option, entry **out_entry)
{
    kd_slice copy;
    KD_TRY(copy_text(ctx, self->arena, value, &copy));
    entry *it = find_entry(self, name, is_option);
    if (it == NULL) {
        it = KD_NEW(ctx, self->arena, entry);
        if (it == NULL)
            return KD_NOMEM;
        KD_TRY(copy_text(ctx, self->arena, name, &it->name));
        it->is_option = is_option;
        it->next = self->entries;
        self->entries = it;
    }
    it->value = copy;
    *out_entry = it;
    return KD_OK;
}

static void drop_entry(kdi_configuration *self, const entry *gone)
{
    entry **link = &self->entries;
    while (*link != gone)
        link = &(*link)->next;
    *link = gone->next;
}

/* --- Reading -------------------------------------------------------------------------------- */

/* The text of "'it''s'"; one without quotes is as it stands. */
static kd_status unquote(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice *out_text)
{
    *out_text = text;
    if (text.size_bytes == 0 || text.data[0] != '\'')
        return KD_OK;
    kd_buffer plain = kd_buffer_in(arena);
    size_t last = text.size_bytes - 1;
    bool is_right = last > 0 && text.data[last] == '\'';
    for (size_t i = 1; is_right && i < last; i++) {
        if (text.data[i] == '\'')
            is_right = ++i < last && text.data[i] == '\'';
        if (is_right)
            KD_TRY(kd_buffer_append_byte(ctx, &plain, text.data[i]));
    }
    if (!is_right)
        return KD_FAIL(ctx, KD_INVALID, "22023", "the quotes do not match");
    *out_text = kd_buffer_slice(&plain);
    return KD_OK;
}

static kd_status read_line(kd_ctx *ctx, kdi_configuration *self, kd_slice line, bool is_option)
{
    entry *made;
    kd_setting_info info;
    kd_slice value;
    line = kd_slice_trim(line);
    if (line.size_bytes == 0 || line.data[0] == '#')
        return KD_OK;
    const char *sign = memchr(line.data, '=', line.size_bytes);
    if (sign == NULL)
        return KD_FAIL(ctx, KD_INVALID, "42601", "a line is \"name = value\"");
    size_t name_bytes = (size_t)(sign - line.data);
    kd_slice name = kd_slice_trim((kd_slice){line.data, name_bytes});
    kd_slice rest = {sign + 1, line.size_bytes - name_bytes - 1};
    if (!kd_setting_find(name, &info))
        return KD_FAIL(ctx, KD_INVALID, "42704", "unrecognized configuration parameter \"%.*s\"",
                       (int)name.size_bytes, name.data);
    KD_TRY(unquote(ctx, self->arena, kd_slice_trim(rest), &value));
    name = kd_slice_of(info.name);
    KD_TRY(kd_settings_configure(ctx, self->arena, &self->values, name, &value, 1));
    return put_entry(ctx, self, name, value, is_option, &made);
}

static kd_status read_lines(kd_ctx *ctx, kdi_configuration *self, kd_slice text, const char *origin,
                            bool is_option)
{
    int line_no = 0;
    for (size_t at = 0; at < text.size_bytes;) {
        const char *start = text.data + at;
        const char *end = memchr(start, '\n', text.size_bytes - at);
        size_t line_bytes = end == NULL ? text.size_bytes - at : (size_t)(end - start);
        at += line_bytes + 1;
        line_no++;
        if (read_line(ctx, self, (kd_slice){start, line_bytes}, is_option) == KD_OK)
            continue;
        if (ctx->error.status == KD_NOMEM)
            return KD_NOMEM;
        char reason[KD_ERROR_MESSAGE_BYTES];
        memcpy(reason, ctx->error.message, sizeof reason);
        kd_error_clear(ctx);
        return KD_FAIL(ctx, KD_INVALID, "F0000", "%s, line %d: %s", origin, line_no, reason);
    }
    return KD_OK;
}

static kd_status read_file(kd_ctx *ctx, kdi_configuration *self)
{
    kd_world *world = ctx->world;
    kd_status status = KD_OK;
    kd_file *file = NULL;
    char *text = NULL;
    uint64_t size_bytes;
    size_t read_bytes;
    bool exists = false;
    char *path = kd_format_text(ctx, self->arena, "%s/%s", self->database->path, file_name);
    if (path == NULL)
        return KD_NOMEM;
    KD_TRY_OUT(world->path_exists(ctx, path, &exists));
    if (!exists)
        goto out;
    KD_TRY_OUT(world->file_open(ctx, path, KD_FILE_READ, &file));
    KD_TRY_OUT(world->file_size(ctx, file, &size_bytes));
    if (size_bytes > FILE_BYTES_MAX) {
        status = KD_FAIL(ctx, KD_INVALID, "F0000", "%s is larger than a file of settings", path);
        goto out;
    }
    text = kd_alloc_raw(ctx, self->arena, size_bytes + 1);
    if (text == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    KD_TRY_OUT(world->file_read(ctx, file, 0, text, size_bytes, &read_bytes));
    KD_TRY_OUT(read_lines(ctx, self, (kd_slice){text, read_bytes}, path, false));
out:
    world->file_close(world, file);
    return status;
}

kd_status kdi_configuration_open(kd_ctx *ctx, kd_database *database, const char *options,
                                 kdi_configuration **out_configuration)
{
    kd_arena *arena = kd_arena_create(ctx, database->arena, "configuration", KD_ARENA_UNLIMITED);
    kdi_configuration *self = arena == NULL ? NULL : KD_NEW(ctx, arena, kdi_configuration);
    *out_configuration = NULL;
    if (self == NULL)
        return KD_NOMEM;
    self->database = database;
    self->arena = arena;
    KD_TRY(
        kd_settings_init(ctx, arena, KD_SNAPSHOT_ISOLATION, database->durability, &self->values));
    KD_TRY(read_file(ctx, self));
    if (options != NULL)
        KD_TRY(read_lines(ctx, self, kd_slice_of(options), "settings of the opening", true));
    kd_mutex_init(&self->lock, ctx->world);
    *out_configuration = self;
    return KD_OK;
}

void kdi_configuration_close(kdi_configuration *configuration)
{
    if (configuration != NULL)
        kd_mutex_clear(&configuration->lock);
}

/* --- Asking --------------------------------------------------------------------------------- */

/* The lock is held, or nobody else has the database yet. */
static void apply(kdi_configuration *self)
{
    enum { CACHE_SHARE = 4, WHOLE_BYTES = 1 << 20 };
    kd_database *database = self->database;
    kd_settings *values = &self->values;
    if (values->shared_buffer_bytes == 0)
        values->shared_buffer_bytes =
            (int64_t)(kd_governor_budget_bytes(database->governor) / CACHE_SHARE &
                      ~(size_t)(WHOLE_BYTES - 1));
    kd_storage_set_cache_bytes(database->storage, (uint64_t)values->shared_buffer_bytes);
    kd_storage_set_checkpoint_ns(database->storage,
                                 (uint64_t)values->checkpoint_timeout_ms * 1000000);
    kd_storage_set_scrubbing(database->storage, (uint64_t)values->scrub_bytes_per_second,
                             (uint64_t)values->scrub_interval_ms * 1000000);
    kdi_result_cache_limit(database->results, (uint64_t)values->result_cache_bytes);
    kdi_statement_log_place(database->statement_log, values->log_directory, values->log_filename,
                            (uint64_t)values->log_rotation_bytes);
}

void kdi_configuration_apply(kd_database *database)
{
    kd_mutex_lock(&database->configuration->lock);
    apply(database->configuration);
    kd_mutex_unlock(&database->configuration->lock);
}

void kdi_configuration_defaults(kdi_configuration *configuration, kd_isolation isolation,
                                kd_settings *out_settings)
{
    static const char name[] = "default_transaction_isolation";
    kd_mutex_lock(&configuration->lock);
    *out_settings = configuration->values;
    if (find_entry(configuration, kd_slice_of(name), false) == NULL &&
        find_entry(configuration, kd_slice_of(name), true) == NULL)
        out_settings->isolation = isolation;
    kd_mutex_unlock(&configuration->lock);
}

kdi_limits kdi_configuration_limits(kdi_configuration *configuration)
{
    kd_mutex_lock(&configuration->lock);
    const kd_settings *values = &configuration->values;
    kdi_limits limits = {
        .max_connections = values->max_connections,
        .connection_timeout_ns = (uint64_t)values->connection_timeout_ms * 1000000,
        .wal_buffer_bytes = (uint64_t)values->wal_buffer_bytes,
    };
    kd_mutex_unlock(&configuration->lock);
    return limits;
}

void kd_database_server_settings(kd_database *database, kd_server_settings *out_settings)
{
    kdi_configuration *configuration = database->configuration;
    kd_mutex_lock(&configuration->lock);
    const kd_settings *values = &configuration->values;
    *out_settings = (kd_server_settings){
        .listen_addresses = values->listen_addresses,
        .unix_socket_directories = values->unix_socket_directories,
        .port = (uint16_t)values->port,
        .authentication_timeout_ns = (uint64_t)values->authentication_timeout_ms * 1000000,
        .shutdown_timeout_ns = (uint64_t)values->shutdown_timeout_ms * 1000000,
        .session_max = (uint32_t)values->max_connections,
        .uses_tls = values->ssl != 0,
        .needs_tls_1_3 = values->ssl_min_version == KD_TLS_1_3,
        .certificate_file = values->ssl_cert_file,
        .key_file = values->ssl_key_file,
        .ca_file = values->ssl_ca_file,
    };
    kd_mutex_unlock(&configuration->lock);
}

kd_status kdi_session_show(kd_ctx *ctx, kd_arena *arena, kd_session *session, kd_slice name,
                           kd_slice *out_value)
{
    kd_setting_info info;
    kdi_configuration *self = session->database->configuration;
    if (kdi_is_role_setting(name))
        return kdi_show_role(ctx, arena, session, name, out_value);
    bool is_own = !kd_setting_find(name, &info) || info.context == KD_SETTING_SESSION ||
                  info.context == KD_SETTING_FIXED;
    if (is_own)
        return kd_settings_show(ctx, arena, &session->settings, name, out_value);
    kd_mutex_lock(&self->lock); /* Texts stay as long as the database. */
    kd_status status = kd_settings_show(ctx, arena, &self->values, name, out_value);
    kd_mutex_unlock(&self->lock);
    return status;
}

const char *kdi_configuration_source(kdi_configuration *configuration, kd_slice name,
                                     bool *out_pending_restart)
{
    kd_mutex_lock(&configuration->lock);
    const entry *file = find_entry(configuration, name, false);
    const entry *option = find_entry(configuration, name, true);
    *out_pending_restart = file != NULL && file->is_pending;
    kd_mutex_unlock(&configuration->lock);
    return option != NULL ? "command line" : file != NULL ? "configuration file" : "default";
}

/* --- Changing ------------------------------------------------------------------------------- */

static kd_status file_text(kd_ctx *ctx, const kdi_configuration *self, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_text(ctx, out, "# Written by ALTER SYSTEM.\n"));
    for (const entry *it = self->entries; it != NULL; it = it->next) {
        if (it->is_option)
            continue;
        KD_TRY(kd_buffer_append_slice(ctx, out, it->name));
        KD_TRY(kd_buffer_append_text(ctx, out, " = '"));
        for (size_t i = 0; i < it->value.size_bytes; i++) {
            char c = it->value.data[i];
            KD_TRY(kd_buffer_append_byte(ctx, out, c == '\n' ? ' ' : c));
            if (c == '\'')
                KD_TRY(kd_buffer_append_byte(ctx, out, c));
        }
        KD_TRY(kd_buffer_append_text(ctx, out, "'\n"));
    }
    return KD_OK;
}

static kd_status write_new(kd_ctx *ctx, const char *path, kd_slice text)
{
    kd_world *world = ctx->world;
    kd_status status = KD_OK;
    kd_file *file = NULL;
    KD_TRY_OUT(
        world->file_open(ctx, path, KD_FILE_WRITE | KD_FILE_CREATE | KD_FILE_TRUNCATE, &file));
    KD_TRY_OUT(world->file_write(ctx, file, 0, text.data, text.size_bytes));
    KD_TRY_OUT(world->file_sync(ctx, file));
out:
    world->file_close(world, file);
    return status;
}

/* Takes the place of the file there was, whole or not at all. */
static kd_status write_file(kd_ctx *ctx, kd_arena *scratch, kdi_configuration *self)
{
    const char *directory = self->database->path;
    kd_buffer text = kd_buffer_in(scratch);
    char *path = kd_format_text(ctx, scratch, "%s/%s", directory, file_name);
    char *new_path = kd_format_text(ctx, scratch, "%s/%s.new", directory, file_name);
    if (path == NULL || new_path == NULL)
        return KD_NOMEM;
    KD_TRY(file_text(ctx, self, &text));
    KD_TRY(write_new(ctx, new_path, kd_buffer_slice(&text)));
    KD_TRY(ctx->world->path_rename(ctx, new_path, path));
    return ctx->world->directory_sync(ctx, directory);
}

/* The value in force that the entries give for a setting. The lock is held. */
static kd_status take_effect(kd_ctx *ctx, kdi_configuration *self, kd_slice name)
{
    kd_settings built_in;
    const entry *it = find_entry(self, name, true);
    if (it == NULL)
        it = find_entry(self, name, false);
    if (it != NULL) {
        KD_TRY(kd_settings_configure(ctx, self->arena, &self->values, name, &it->value, 1));
    } else {
        kd_slice value;
        KD_TRY(kd_settings_init(ctx, self->arena, KD_SNAPSHOT_ISOLATION, self->database->durability,
                                &built_in));
        KD_TRY(kd_settings_show(ctx, self->arena, &built_in, name, &value));
        KD_TRY(kd_settings_configure(ctx, self->arena, &self->values, name, &value, 1));
    }
    apply(self);
    return KD_OK;
}

/* One setting of the file: set to `value`, or (NULL) taken out of it. The lock is held. */
static kd_status change(kd_ctx *ctx, kd_arena *scratch, kdi_configuration *self,
                        const kd_setting_info *info, const kd_slice *value)
{
    kd_slice name = kd_slice_of(info->name);
    entry *it = find_entry(self, name, false);
    entry before = it == NULL ? (entry){.name = name} : *it;
    bool was_there = it != NULL;
    if (value != NULL)
        KD_TRY(put_entry(ctx, self, name, *value, false, &it));
    else if (it != NULL)
        drop_entry(self, it);
    kd_status status = write_file(ctx, scratch, self);
    if (status != KD_OK) { /* The file is as it was, and so is what is known of it. */
        if (value == NULL && was_there) {
            it->next = self->entries;
            self->entries = it;
        } else if (value != NULL && was_there) {
            it->value = before.value;
        } else if (value != NULL) {
            drop_entry(self, it);
        }
        return status;
    }
    if (info->context != KD_SETTING_OPENING)
        return take_effect(ctx, self, name);
    if (value != NULL)
        it->is_pending = true;
    return KD_OK;
}

static kd_status reset_all(kd_ctx *ctx, kd_arena *scratch, kdi_configuration *self)
{
    kd_setting_info info;
    kd_status status = KD_OK;
    for (uint32_t i = 0; status == KD_OK && kd_setting_at(i, &info); i++)
        if (find_entry(self, kd_slice_of(info.name), false) != NULL)
            status = change(ctx, scratch, self, &info, NULL);
    return status;
}

/* Finds the setting and checks that this statement may change it. */
static kd_status check_setting(kd_ctx *ctx, const kd_ast_set *ast, kd_setting_info *out_info)
{
    if (!kd_setting_find(ast->name, out_info))
        return KD_FAIL(ctx, KD_INVALID, "42704", "unrecognized configuration parameter \"%.*s\"",
                       (int)ast->name.size_bytes, ast->name.data);
    if (out_info->context == KD_SETTING_FIXED)
        return KD_FAIL(ctx, KD_INVALID, "55P02", "parameter \"%s\" cannot be changed",
                       out_info->name);
    if (ast->scope == KD_AST_SET_OF_DATABASE && out_info->context != KD_SETTING_SESSION)
        return KD_FAIL(ctx, KD_INVALID, "55P02", "parameter \"%s\" cannot be changed now",
                       out_info->name);
    return KD_OK;
}

static kd_status check_statement(kd_ctx *ctx, const kd_run *run, const kd_ast_set *ast)
{
    const kd_session *session = run->session;
    bool is_system = ast->scope == KD_AST_SET_OF_SYSTEM;
    if (session->is_explicit)
        return KD_FAIL(ctx, KD_INVALID, "25001", "%s cannot run inside a transaction block",
                       is_system ? "ALTER SYSTEM" : "ALTER DATABASE SET");
    if (session->read_only || kd_txn_is_read_only(session->txn))
        return KD_FAIL(ctx, KD_INVALID, "25006", "cannot execute %s in a read-only transaction",
                       is_system ? "ALTER SYSTEM" : "ALTER DATABASE");
    if (!is_system && !kd_slice_equal(ast->database, kd_slice_of(session->database->name)))
        return KD_FAIL(ctx, KD_INVALID, "3D000", "database \"%.*s\" does not exist",
                       (int)ast->database.size_bytes, ast->database.data);
    return KD_OK;
}

kd_status kdi_alter_configuration(kd_ctx *ctx, kd_run *run, const kd_ast_set *ast)
{
    kdi_configuration *self = run->session->database->configuration;
    kd_slice values[KD_SEARCH_PATH_MAX], value;
    kd_setting_info info;
    uint32_t count;
    kdi_set_tag(run, ast->scope == KD_AST_SET_OF_SYSTEM ? "ALTER SYSTEM" : "ALTER DATABASE");
    KD_TRY(check_statement(ctx, run, ast));
    kd_status status = KD_OK;
    if (ast->what == KD_AST_RESET_ALL) {
        kd_mutex_lock(&self->lock);
        status = reset_all(ctx, run->arena, self);
        kd_mutex_unlock(&self->lock);
        return status;
    }
    KD_TRY(check_setting(ctx, ast, &info));
    KD_TRY(kdi_setting_values(ctx, ast, values, &count));
    kd_settings *scratch = KD_NEW(ctx, run->arena, kd_settings);
    if (scratch == NULL)
        return KD_NOMEM;
    kd_mutex_lock(&self->lock);
    *scratch = self->values;
    if (count > 0) /* What is refused changes nothing. */
        status = kd_settings_configure(ctx, run->arena, scratch, ast->name, values, count);
    if (status == KD_OK && count > 0)
        status = kd_settings_show(ctx, run->arena, scratch, ast->name, &value);
    if (status == KD_OK)
        status = change(ctx, run->arena, self, &info, count == 0 ? NULL : &value);
    kd_mutex_unlock(&self->lock);
    return status;
}
