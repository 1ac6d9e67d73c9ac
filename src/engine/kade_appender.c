/*
 * Appenders: rows from the program into a table.
 *
 * Values become COPY's text, and a flush is COPY ... FROM STDIN whose data are
 * served from memory: rows take the same path as those of a file, with defaults,
 * checks and references, and it makes no difference whether the session is in this
 * process. Values are cast to their column's type when they are added, so that a
 * bad one is refused at once.
 *
 * A value DEFAULT leaves its column out of the COPY; rows are therefore kept in
 * groups, each with the same columns left out. All groups of a flush are one
 * transaction.
 */
#include "engine/kade_internal.h"

#include "engine/value_cast.h"

#include <assert.h>
#include <stdio.h>

/* Rows that leave the same columns out, as lines of COPY's text format. */
typedef struct row_group {
    struct row_group *next;
    bool *is_default; /* Per column. */
    uint32_t value_count;
    uint64_t row_count;
    kd_buffer text;
} row_group;

struct kade_appender {
    kade_session *session;
    kade_appender *next;
    kd_arena *arena;
    kd_slice target; /* Schema and table, quoted. */
    uint32_t column_count;
    kd_type *types;
    kd_slice *names;       /* Quoted. */
    kd_text_settings text; /* Of the session when the appender was made. */
    kd_session_facts facts;
    kd_arena *value_arena; /* Of one value. */
    kd_arena *rows_arena;  /* Of the rows since the last flush. */
    row_group *first, *last;
    kd_buffer row; /* The row begun, in rows_arena. */
    bool *row_default;
    uint32_t row_values; /* Values given so far, DEFAULTs included. */
    const row_group *sending;
    size_t sent_bytes;
};

/* --- Making ----------------------------------------------------------------------------------- */

static kd_status quote(kd_ctx *ctx, const char *name, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_byte(ctx, out, '"'));
    for (; *name != '\0'; name++) {
        if (*name == '"')
            KD_TRY(kd_buffer_append_byte(ctx, out, '"'));
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)*name));
    }
    return kd_buffer_append_byte(ctx, out, '"');
}

static kd_status quote_slice(kd_ctx *ctx, kd_arena *arena, const char *name, kd_slice *out)
{
    kd_buffer buffer = kd_buffer_in(arena);
    KD_TRY(quote(ctx, name, &buffer));
    *out = kd_buffer_slice(&buffer);
    return KD_OK;
}

static kd_status make_target(kd_ctx *ctx, kade_appender *self, const char *schema,
                             const char *table)
{
    kd_buffer buffer = kd_buffer_in(self->arena);
    if (schema != NULL) {
        KD_TRY(quote(ctx, schema, &buffer));
        KD_TRY(kd_buffer_append_byte(ctx, &buffer, '.'));
    }
    KD_TRY(quote(ctx, table, &buffer));
    self->target = kd_buffer_slice(&buffer);
    return KD_OK;
}

/* A statement that reads the columns tells their types, and how the session writes values. */
static kd_status describe_query(kd_ctx *ctx, kade_appender *self, const char *const *columns,
                                uint32_t column_count, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_text(ctx, out, "SELECT "));
    for (uint32_t i = 0; i < column_count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, out, ", "));
        KD_TRY(quote(ctx, columns[i], out));
    }
    if (column_count == 0)
        KD_TRY(kd_buffer_append_byte(ctx, out, '*'));
    KD_TRY(kd_buffer_append_text(ctx, out, " FROM "));
    KD_TRY(kd_buffer_append_slice(ctx, out, self->target));
    return kd_buffer_append_text(ctx, out, " LIMIT 0");
}

static kd_status take_columns(kd_ctx *ctx, kade_appender *self, const kd_request *request)
{
    uint32_t count = request->column_count;
    self->types = KD_NEW_ARRAY(ctx, self->arena, kd_type, count + 1);
    self->names = KD_NEW_ARRAY(ctx, self->arena, kd_slice, count + 1);
    self->row_default = KD_NEW_ARRAY(ctx, self->arena, bool, count + 1);
    if (self->types == NULL || self->names == NULL || self->row_default == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const char *name = kd_copy_text(ctx, self->arena, request->columns[i].name.data,
                                        request->columns[i].name.size_bytes);
        if (name == NULL)
            return KD_NOMEM;
        self->types[i] = request->columns[i].type;
        KD_TRY(quote_slice(ctx, self->arena, name, &self->names[i]));
    }
    self->column_count = count;
    self->text = *request->text;
    /* Labels are looked up in the run's catalog, which goes with it: texts of enums are checked
     * when they are written. */
    self->text.enum_rank = NULL;
    self->text.enum_label = NULL;
    self->text.enum_object = NULL;
    self->text.object_no = NULL;
    self->text.object_name = NULL;
    /* What is written must read back the same. */
    self->text.extra_float_digits = 1;
    self->text.bytea_escape_output = false;
    self->facts = *request->facts;
    self->facts.text = &self->text;
    return KD_OK;
}

static kd_status describe_table(kd_ctx *ctx, kade_appender *self, const char *const *columns,
                                uint32_t column_count)
{
    kd_conversation *talk = self->session->talk;
    kd_request *request;
    kd_buffer query = kd_buffer_in(self->arena);
    KD_TRY(describe_query(ctx, self, columns, column_count, &query));
    KD_TRY(talk->ops->prepare(ctx, talk, kd_buffer_slice(&query), &request));
    kd_status status = talk->ops->begin(ctx, request, NULL, 0);
    if (status == KD_OK) {
        status = take_columns(ctx, self, request);
        kd_status ended = talk->ops->end(ctx, request);
        status = status == KD_OK ? ended : status;
    }
    talk->ops->destroy(request);
    return status;
}

kade_status kade_appender_create(kade_session *session, const char *schema, const char *table,
                                 const char *const *columns, uint32_t column_count,
                                 kade_appender **out_appender)
{
    kd_status status = KD_OK;
    kd_ctx *ctx = kdi_api_begin(session);
    *out_appender = NULL;
    kade_appender *self = NULL;
    kd_arena *arena = kd_arena_create(ctx, NULL, "appender", KD_ARENA_UNLIMITED);
    if (arena != NULL)
        self = KD_NEW(ctx, arena, kade_appender);
    if (self == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    self->session = session;
    self->arena = arena;
    self->value_arena = kd_arena_create(ctx, arena, "value", KD_ARENA_UNLIMITED);
    self->rows_arena = kd_arena_create(ctx, arena, "rows", KD_ARENA_UNLIMITED);
    if (self->value_arena == NULL || self->rows_arena == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    self->row = kd_buffer_in(self->rows_arena);
    KD_TRY_OUT(make_target(ctx, self, schema, table));
    KD_TRY_OUT(describe_table(ctx, self, columns, columns == NULL ? 0 : column_count));
    self->next = session->appenders;
    session->appenders = self;
    *out_appender = self;
    arena = NULL;
out:
    kd_arena_destroy(arena);
    return kdi_api_end(session, status);
}

void kdi_appender_end(kade_appender *appender)
{
    kade_appender **link = &appender->session->appenders;
    while (*link != appender)
        link = &(*link)->next;
    *link = appender->next;
    kd_arena_destroy(appender->arena);
}

/* --- Values ----------------------------------------------------------------------------------- */

static void drop_row(kade_appender *self)
{
    self->row.size_bytes = 0;
    self->row_values = 0;
}

static kd_status append_escaped(kd_ctx *ctx, kd_slice text, kd_buffer *out)
{
    size_t plain = 0;
    for (size_t i = 0; i < text.size_bytes; i++) {
        char byte = text.data[i];
        char code = byte == '\\'   ? '\\'
                    : byte == '\t' ? 't'
                    : byte == '\n' ? 'n'
                    : byte == '\r' ? 'r'
                                   : '\0';
        if (code == '\0')
            continue;
        KD_TRY(kd_buffer_append(ctx, out, text.data + plain, i - plain));
        KD_TRY(kd_buffer_append_byte(ctx, out, '\\'));
        KD_TRY(kd_buffer_append_byte(ctx, out, (uint8_t)code));
        plain = i + 1;
    }
    return kd_buffer_append(ctx, out, text.data + plain, text.size_bytes - plain);
}

/* The common case by hand: kd_value_format would do the same, slower. */
static kd_status append_integer(kd_ctx *ctx, int64_t number, kd_buffer *out)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        digits[--at] = '-';
    return kd_buffer_append(ctx, out, digits + at, sizeof digits - at);
}

/* The value in the column's type; enums and their arrays stay as they are. */
static kd_status cast_value(kd_ctx *ctx, kade_appender *self, const kd_value *value, kd_type type,
                            kd_value *out_value)
{
    *out_value = *value;
    if (type.id == KD_TYPE_ENUM || value->type.id == KD_TYPE_ENUM)
        return KD_OK;
    if (kd_type_same(value->type, type) && type.modifier < 0)
        return KD_OK;
    return kd_value_cast(ctx, self->value_arena, self->session->talk->registry, &self->facts, value,
                         type, KD_CAST_ASSIGNMENT, out_value);
}

static kd_status write_value(kd_ctx *ctx, kade_appender *self, const kd_value *value, kd_type type)
{
    kd_value cast;
    kd_buffer *out = &self->row;
    if (value->is_null)
        return kd_buffer_append_text(ctx, out, "\\N");
    KD_TRY(cast_value(ctx, self, value, type, &cast));
    if (!cast.type.is_array && cast.type.id == KD_TYPE_INT8)
        return append_integer(ctx, cast.as.i64, out);
    if (!cast.type.is_array && cast.type.id == KD_TYPE_INT4)
        return append_integer(ctx, cast.as.i32, out);
    if (kd_type_is_string(cast.type) && !cast.type.is_array)
        return append_escaped(ctx, kd_str_slice(&cast.as.str), out);
    kd_buffer text = kd_buffer_in(self->value_arena);
    KD_TRY(kd_value_format(ctx, &self->text, &cast, &text));
    return append_escaped(ctx, kd_buffer_slice(&text), out);
}

/* `value` NULL: DEFAULT. */
static kd_status add_value(kade_appender *self, const kd_value *value)
{
    kd_ctx *ctx = self->session->ctx;
    uint32_t column = self->row_values;
    if (column >= self->column_count)
        return KD_FAIL(ctx, KD_INVALID, "42601", "the row has more values than the %u columns",
                       self->column_count);
    self->row_default[column] = value == NULL;
    self->row_values++;
    if (value == NULL)
        return KD_OK;
    /* A tab stands behind every value; the last one becomes the line's end. */
    KD_TRY(write_value(ctx, self, value, self->types[column]));
    return kd_buffer_append_byte(ctx, &self->row, '\t');
}

static kade_status append(kade_appender *appender, const kd_value *value)
{
    (void)kdi_api_begin(appender->session);
    kd_status status = add_value(appender, value);
    kd_arena_reset(appender->value_arena);
    if (status != KD_OK)
        drop_row(appender);
    return kdi_api_end(appender->session, status);
}

kade_status kade_append_null(kade_appender *appender)
{
    kd_value value = kd_value_null(kd_type_of(KD_TYPE_UNKNOWN));
    return append(appender, &value);
}

kade_status kade_append_default(kade_appender *appender)
{
    return append(appender, NULL);
}

kade_status kade_append_bool(kade_appender *appender, bool value)
{
    kd_value typed = kd_value_bool(value);
    return append(appender, &typed);
}

kade_status kade_append_int64(kade_appender *appender, int64_t value)
{
    kd_value typed = kd_value_i64(value);
    return append(appender, &typed);
}

kade_status kade_append_double(kade_appender *appender, double value)
{
    kd_value typed = kd_value_f64(value);
    return append(appender, &typed);
}

kade_status kade_append_text(kade_appender *appender, const char *text, size_t text_bytes)
{
    kd_value typed = kd_value_text(kdi_api_slice(text, text_bytes));
    return append(appender, &typed);
}

kade_status kade_append_blob(kade_appender *appender, const void *blob, size_t blob_bytes)
{
    kd_value typed = kd_value_text(kdi_api_slice(blob, blob_bytes));
    typed.type = kd_type_of(KD_TYPE_BYTEA);
    return append(appender, &typed);
}

kade_status kade_append_date(kade_appender *appender, int32_t days)
{
    kd_value typed = {.type = kd_type_of(KD_TYPE_DATE), .as.i32 = kdi_date_from_unix(days)};
    return append(appender, &typed);
}

kade_status kade_append_time(kade_appender *appender, int64_t micros)
{
    kd_value typed = {.type = kd_type_of(KD_TYPE_TIME), .as.i64 = micros};
    return append(appender, &typed);
}

kade_status kade_append_timestamp(kade_appender *appender, int64_t micros)
{
    kd_type type = kd_type_of(KD_TYPE_TIMESTAMP);
    /* Microseconds are those of UTC where the column has a zone, as kade_bind_timestamptz says. */
    if (appender->row_values < appender->column_count &&
        appender->types[appender->row_values].id == KD_TYPE_TIMESTAMPTZ)
        type = kd_type_of(KD_TYPE_TIMESTAMPTZ);
    kd_value typed = {.type = type, .as.i64 = kdi_timestamp_from_unix(micros)};
    return append(appender, &typed);
}

kade_status kade_append_interval(kade_appender *appender, kade_interval value)
{
    kd_value typed = kdi_value_interval(value);
    return append(appender, &typed);
}

kade_status kade_append_uuid(kade_appender *appender, const uint8_t bytes[16])
{
    kd_value typed = {.type = kd_type_of(KD_TYPE_UUID), .as.i128 = kdi_uuid_from_bytes(bytes)};
    return append(appender, &typed);
}

/* --- Rows ------------------------------------------------------------------------------------- */

/* The group that the row goes to: the last one, or a new one when other columns are left out. */
static kd_status find_group(kd_ctx *ctx, kade_appender *self, row_group **out_group)
{
    row_group *last = self->last;
    *out_group = last;
    size_t mask_bytes = self->column_count * sizeof *self->row_default;
    if (last != NULL && memcmp(last->is_default, self->row_default, mask_bytes) == 0)
        return KD_OK;
    row_group *group = KD_NEW(ctx, self->rows_arena, row_group);
    *out_group = group;
    if (group == NULL)
        return KD_NOMEM;
    group->is_default = KD_NEW_ARRAY(ctx, self->rows_arena, bool, self->column_count + 1);
    if (group->is_default == NULL)
        return KD_NOMEM;
    memcpy(group->is_default, self->row_default, mask_bytes);
    for (uint32_t i = 0; i < self->column_count; i++)
        group->value_count += !group->is_default[i];
    group->text = kd_buffer_in(self->rows_arena);
    if (last == NULL)
        self->first = group;
    else
        last->next = group;
    self->last = group;
    return KD_OK;
}

static kd_status end_row(kade_appender *self)
{
    kd_ctx *ctx = self->session->ctx;
    row_group *group;
    if (self->row_values != self->column_count)
        return KD_FAIL(ctx, KD_INVALID, "42601", "the row has %u values for %u columns",
                       self->row_values, self->column_count);
    KD_TRY(find_group(ctx, self, &group));
    if (group->value_count > 0) {
        self->row.data[self->row.size_bytes - 1] = '\n';
        KD_TRY(kd_buffer_append_slice(ctx, &group->text, kd_buffer_slice(&self->row)));
    }
    group->row_count++;
    return KD_OK;
}

kade_status kade_append_row_end(kade_appender *appender)
{
    (void)kdi_api_begin(appender->session);
    kd_status status = end_row(appender);
    drop_row(appender);
    return kdi_api_end(appender->session, status);
}

kd_status kdi_appender_add_row(kade_appender *appender, const kd_value *values, uint32_t count)
{
    kd_status status = KD_OK;
    for (uint32_t i = 0; i < count && status == KD_OK; i++) {
        status = add_value(appender, &values[i]);
        kd_arena_reset(appender->value_arena);
    }
    if (status == KD_OK)
        status = end_row(appender);
    drop_row(appender);
    return status;
}

kade_session *kdi_appender_session(const kade_appender *appender)
{
    return appender->session;
}

uint32_t kdi_appender_columns(const kade_appender *appender)
{
    return appender->column_count;
}

/* --- Flush ------------------------------------------------------------------------------------ */

static bool send_rows(void *object, void *target, size_t capacity_bytes, size_t *out_bytes)
{
    kade_appender *self = object;
    size_t left = self->sending->text.size_bytes - self->sent_bytes;
    *out_bytes = left < capacity_bytes ? left : capacity_bytes;
    if (*out_bytes > 0)
        memcpy(target, self->sending->text.data + self->sent_bytes, *out_bytes);
    self->sent_bytes += *out_bytes;
    return true;
}

static kd_status copy_command(kd_ctx *ctx, const kade_appender *self, const row_group *group,
                              kd_buffer *out)
{
    bool is_first = true;
    KD_TRY(kd_buffer_append_text(ctx, out, "COPY "));
    KD_TRY(kd_buffer_append_slice(ctx, out, self->target));
    for (uint32_t i = 0; i < self->column_count; i++) {
        if (group->is_default[i])
            continue;
        KD_TRY(kd_buffer_append_text(ctx, out, is_first ? " (" : ", "));
        KD_TRY(kd_buffer_append_slice(ctx, out, self->names[i]));
        is_first = false;
    }
    return kd_buffer_append_text(ctx, out, ") FROM STDIN (FORMAT text)");
}

static kd_status run(kade_appender *self, kd_slice text)
{
    return (kd_status)kade_execute(self->session, text.data, text.size_bytes, NULL, NULL);
}

static kd_status write_group(kade_appender *self, const row_group *group)
{
    kade_session *session = self->session;
    kd_buffer command = kd_buffer_in(self->rows_arena);
    if (group->value_count == 0) {
        KD_TRY(kd_buffer_append_text(session->ctx, &command, "INSERT INTO "));
        KD_TRY(kd_buffer_append_slice(session->ctx, &command, self->target));
        KD_TRY(kd_buffer_append_text(session->ctx, &command, " DEFAULT VALUES"));
        for (uint64_t i = 0; i < group->row_count; i++)
            KD_TRY(run(self, kd_buffer_slice(&command)));
        return KD_OK;
    }
    KD_TRY(copy_command(session->ctx, self, group, &command));
    kade_copy_read_fn read = session->copy_read;
    void *object = session->copy_object;
    self->sending = group;
    self->sent_bytes = 0;
    kade_session_on_copy(session, send_rows, session->copy_write, self);
    kd_status status = run(self, kd_buffer_slice(&command));
    kade_session_on_copy(session, read, session->copy_write, object);
    return status;
}

static kd_status write_groups(kade_appender *self)
{
    for (const row_group *group = self->first; group != NULL; group = group->next)
        KD_TRY(write_group(self, group));
    return KD_OK;
}

static kd_status flush(kade_appender *self)
{
    kd_ctx *ctx = self->session->ctx;
    if (self->first == NULL)
        return KD_OK;
    bool is_own = self->first->next != NULL || self->first->value_count == 0;
    is_own = is_own && kade_session_transaction(self->session) == KADE_TRANSACTION_NONE;
    if (is_own)
        KD_TRY(run(self, KD_SLICE("BEGIN")));
    kd_status status = write_groups(self);
    if (is_own && status == KD_OK)
        return run(self, KD_SLICE("COMMIT"));
    if (is_own) {
        kd_error failure = ctx->error;
        (void)run(self, KD_SLICE("ROLLBACK"));
        ctx->error = failure;
    }
    return status;
}

static void drop_rows(kade_appender *self)
{
    self->first = self->last = NULL;
    kd_arena_reset(self->rows_arena);
    self->row = kd_buffer_in(self->rows_arena);
    self->row_values = 0;
}

kade_status kade_appender_flush(kade_appender *appender)
{
    (void)kdi_api_begin(appender->session);
    kd_status status = flush(appender);
    drop_rows(appender);
    return kdi_api_end(appender->session, status);
}

kade_status kade_appender_close(kade_appender *appender)
{
    if (appender == NULL)
        return KADE_OK;
    kade_status status = kade_appender_flush(appender);
    kdi_appender_end(appender);
    return status;
}

void kade_appender_abandon(kade_appender *appender)
{
    if (appender != NULL)
        kdi_appender_end(appender);
}
