/*
 * Result batches as Arrow arrays (the C data interface).
 *
 * Every schema and every array owns an arena with all its bytes, so that they live
 * on without the statement. Children may be moved out of their parent and released by
 * themselves: the arena is counted, and goes with the last of them.
 */
#include "engine/kade_arrow_internal.h"

#include "types/datetime.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

/* The memory that a parent and its children share. */
typedef struct shared {
    kd_arena *arena;
    atomic_uint_least32_t users;
} shared;

static void shared_leave(shared *memory)
{
    if (atomic_fetch_sub_explicit(&memory->users, 1, memory_order_acq_rel) == 1)
        kd_arena_destroy(memory->arena);
}

static kd_status shared_create(kd_ctx *ctx, uint32_t users, shared **out_memory)
{
    *out_memory = NULL;
    /* Not the context's world: the arrays may outlive a database in memory. */
    kd_ctx own = {.world = kd_world_posix()};
    kd_arena *arena = kd_arena_create(&own, NULL, "arrow", KD_ARENA_UNLIMITED);
    shared *memory = arena == NULL ? NULL : KD_NEW(&own, arena, shared);
    if (memory == NULL) {
        kd_arena_destroy(arena);
        return KD_FAIL(ctx, KD_NOMEM, "53200", "out of memory");
    }
    memory->arena = arena;
    atomic_init(&memory->users, users);
    *out_memory = memory;
    return KD_OK;
}

/* --- Schemas ---------------------------------------------------------------------------------- */

static void release_schema(struct ArrowSchema *schema)
{
    shared *memory = schema->private_data;
    for (int64_t i = 0; i < schema->n_children; i++)
        if (schema->children[i]->release != NULL)
            schema->children[i]->release(schema->children[i]);
    schema->release = NULL;
    shared_leave(memory);
}

static bool is_decimal(kd_type type)
{
    return !type.is_array && type.id == KD_TYPE_NUMERIC && kd_numeric_is_fixed(type);
}

static kd_status format_of(kd_ctx *ctx, kd_arena *arena, kd_type type, const char **out_format)
{
    static const char *const formats[KD_TYPE_COUNT] = {[KD_TYPE_BOOL] = "b",
                                                       [KD_TYPE_INT2] = "s",
                                                       [KD_TYPE_INT4] = "i",
                                                       [KD_TYPE_INT8] = "l",
                                                       [KD_TYPE_OID] = "l",
                                                       [KD_TYPE_FLOAT4] = "f",
                                                       [KD_TYPE_FLOAT8] = "g",
                                                       [KD_TYPE_BYTEA] = "z",
                                                       [KD_TYPE_DATE] = "tdD",
                                                       [KD_TYPE_TIME] = "ttu",
                                                       [KD_TYPE_TIMESTAMP] = "tsu:",
                                                       [KD_TYPE_TIMESTAMPTZ] = "tsu:UTC",
                                                       [KD_TYPE_TIMESTAMP_NS] = "tsn:UTC",
                                                       [KD_TYPE_INTERVAL] = "tin"};
    *out_format = "u";
    if (is_decimal(type)) {
        *out_format = kd_format_text(ctx, arena, "d:%d,%d", kd_numeric_precision(type),
                                     kd_numeric_scale(type));
        return *out_format == NULL ? KD_NOMEM : KD_OK;
    }
    if (!type.is_array && type.id < KD_TYPE_COUNT && formats[type.id] != NULL)
        *out_format = formats[type.id];
    return KD_OK;
}

static kd_status make_schema(kd_ctx *ctx, shared *memory, const kade_statement *statement,
                             struct ArrowSchema *out)
{
    uint32_t count = statement->column_count;
    kd_arena *arena = memory->arena;
    struct ArrowSchema *children = KD_NEW_ARRAY(ctx, arena, struct ArrowSchema, count);
    struct ArrowSchema **pointers = KD_NEW_ARRAY(ctx, arena, struct ArrowSchema *, count);
    if (children == NULL || pointers == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        const kdi_column_name *column = &statement->columns[i];
        const char *name = kd_copy_text(ctx, arena, column->name, column->name_bytes);
        if (name == NULL)
            return KD_NOMEM;
        children[i] = (struct ArrowSchema){.name = name,
                                           .flags = ARROW_FLAG_NULLABLE,
                                           .release = release_schema,
                                           .private_data = memory};
        KD_TRY(format_of(ctx, arena, column->type, &children[i].format));
        pointers[i] = &children[i];
    }
    *out = (struct ArrowSchema){.format = "+s",
                                .name = "",
                                .n_children = count,
                                .children = pointers,
                                .release = release_schema,
                                .private_data = memory};
    return KD_OK;
}

static kd_status schema_of(kade_statement *statement, struct ArrowSchema *out_schema)
{
    kd_ctx *ctx = statement->session->ctx;
    shared *memory;
    *out_schema = (struct ArrowSchema){0};
    KD_TRY(shared_create(ctx, statement->column_count + 1, &memory));
    kd_status status = make_schema(ctx, memory, statement, out_schema);
    if (status != KD_OK) {
        *out_schema = (struct ArrowSchema){0};
        kd_arena_destroy(memory->arena);
    }
    return status;
}

kade_status kade_arrow_schema(kade_statement *statement, struct ArrowSchema *out_schema)
{
    (void)kdi_api_begin(statement->session);
    return kdi_api_end(statement->session, schema_of(statement, out_schema));
}

/* --- Arrays ----------------------------------------------------------------------------------- */

static void release_array(struct ArrowArray *array)
{
    shared *memory = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++)
        if (array->children[i]->release != NULL)
            array->children[i]->release(array->children[i]);
    array->release = NULL;
    shared_leave(memory);
}

typedef struct column_writer {
    kd_ctx *ctx;
    kd_arena *arena;
    const kd_batch *batch;
    const kd_vector *vector;
    const kd_text_settings *text;
    struct ArrowArray *array;
} column_writer;

static kd_status write_validity(column_writer *self)
{
    uint32_t rows = self->batch->selected_count;
    uint8_t *bits = KD_NEW_ARRAY(self->ctx, self->arena, uint8_t, (rows + 7) / 8 + 8);
    if (bits == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < rows; i++) {
        if (kd_vector_is_null(self->vector, kd_batch_row(self->batch, i)))
            self->array->null_count++;
        else
            bits[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    self->array->buffers[0] = self->array->null_count == 0 ? NULL : bits;
    return KD_OK;
}

/* One value of fixed width where Arrow wants it; `width` bytes. */
static void write_fixed(kd_type type, const kd_value *value, uint8_t *target)
{
    switch (type.id) {
    case KD_TYPE_DATE: {
        int32_t days = kdi_date_to_unix(value->as.i32);
        memcpy(target, &days, sizeof days);
        return;
    }
    case KD_TYPE_TIMESTAMP:
    case KD_TYPE_TIMESTAMPTZ: {
        int64_t micros = kdi_timestamp_to_unix(value->as.i64);
        memcpy(target, &micros, sizeof micros);
        return;
    }
    case KD_TYPE_INTERVAL: {
        int64_t nanos;
        if (__builtin_mul_overflow(value->as.interval.micros, 1000, &nanos))
            nanos = value->as.interval.micros < 0 ? INT64_MIN : INT64_MAX;
        memcpy(target, &value->as.interval.months, 4);
        memcpy(target + 4, &value->as.interval.days, 4);
        memcpy(target + 8, &nanos, sizeof nanos);
        return;
    }
    case KD_TYPE_NUMERIC: {
        kd_i128 number = kd_type_physical(type) == KD_PHYS_I64 ? value->as.i64 : value->as.i128;
        memcpy(target, &number, sizeof number);
        return;
    }
    default:
        memcpy(target, &value->as, kd_physical_bytes(kd_type_physical(type)));
        return;
    }
}

static kd_status write_fixed_column(column_writer *self, uint32_t width)
{
    uint32_t rows = self->batch->selected_count;
    uint8_t *bytes = kd_alloc(self->ctx, self->arena, (size_t)rows * width + 8);
    if (bytes == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < rows; i++) {
        kd_value value = kd_vector_get(self->vector, kd_batch_row(self->batch, i));
        if (!value.is_null)
            write_fixed(self->vector->type, &value, bytes + (size_t)i * width);
    }
    self->array->n_buffers = 2;
    self->array->buffers[1] = bytes;
    return KD_OK;
}

static kd_status write_bool_column(column_writer *self)
{
    uint32_t rows = self->batch->selected_count;
    uint8_t *bits = KD_NEW_ARRAY(self->ctx, self->arena, uint8_t, (rows + 7) / 8 + 8);
    if (bits == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < rows; i++) {
        kd_value value = kd_vector_get(self->vector, kd_batch_row(self->batch, i));
        if (!value.is_null && value.as.boolean)
            bits[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    self->array->n_buffers = 2;
    self->array->buffers[1] = bits;
    return KD_OK;
}

static bool holds_its_text(kd_type type)
{
    return !type.is_array &&
           (type.id == KD_TYPE_TEXT || type.id == KD_TYPE_VARCHAR || type.id == KD_TYPE_JSON ||
            type.id == KD_TYPE_BYTEA || type.id == KD_TYPE_UNKNOWN);
}

static kd_status write_text_column(column_writer *self)
{
    uint32_t rows = self->batch->selected_count;
    bool plain = holds_its_text(self->vector->type);
    int32_t *offsets = KD_NEW_ARRAY(self->ctx, self->arena, int32_t, (size_t)rows + 1);
    if (offsets == NULL)
        return KD_NOMEM;
    kd_buffer bytes = kd_buffer_in(self->arena);
    KD_TRY(kd_buffer_reserve(self->ctx, &bytes, 8, NULL));
    for (uint32_t i = 0; i < rows; i++) {
        kd_value value = kd_vector_get(self->vector, kd_batch_row(self->batch, i));
        if (!value.is_null && plain)
            KD_TRY(kd_buffer_append_slice(self->ctx, &bytes, kd_str_slice(&value.as.str)));
        else if (!value.is_null)
            KD_TRY(kd_value_format(self->ctx, self->text, &value, &bytes));
        if (bytes.size_bytes > INT32_MAX)
            return KD_FAIL(self->ctx, KD_LIMIT, "54000",
                           "the texts of an Arrow batch exceed 2 GiB");
        offsets[i + 1] = (int32_t)bytes.size_bytes;
    }
    self->array->n_buffers = 3;
    self->array->buffers[1] = offsets;
    self->array->buffers[2] = bytes.data;
    return KD_OK;
}

/* Bytes of a value in Arrow's array; 0: it is written as text. */
static uint32_t width_of(kd_type type)
{
    if (type.is_array)
        return 0;
    switch (type.id) {
    case KD_TYPE_NUMERIC:
        return is_decimal(type) ? 16 : 0;
    case KD_TYPE_ENUM:
    case KD_TYPE_UUID:
    case KD_TYPE_BOOL:
        return 0;
    default: {
        kd_physical physical = kd_type_physical(type);
        return physical == KD_PHYS_STR ? 0 : kd_physical_bytes(physical);
    }
    }
}

static kd_status write_column(column_writer *self)
{
    kd_type type = self->vector->type;
    self->array->buffers = KD_NEW_ARRAY(self->ctx, self->arena, const void *, 3);
    if (self->array->buffers == NULL)
        return KD_NOMEM;
    KD_TRY(write_validity(self));
    if (type.id == KD_TYPE_BOOL && !type.is_array)
        return write_bool_column(self);
    uint32_t width = width_of(type);
    return width > 0 ? write_fixed_column(self, width) : write_text_column(self);
}

static kd_status make_array(kd_ctx *ctx, shared *memory, const kd_batch *batch,
                            const kd_text_settings *text, struct ArrowArray *out)
{
    uint32_t count = batch->column_count;
    kd_arena *arena = memory->arena;
    struct ArrowArray *children = KD_NEW_ARRAY(ctx, arena, struct ArrowArray, count);
    struct ArrowArray **pointers = KD_NEW_ARRAY(ctx, arena, struct ArrowArray *, count);
    const void **buffers = KD_NEW_ARRAY(ctx, arena, const void *, 1);
    if (children == NULL || pointers == NULL || buffers == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        children[i] = (struct ArrowArray){
            .length = batch->selected_count, .release = release_array, .private_data = memory};
        column_writer writer = {.ctx = ctx,
                                .arena = arena,
                                .batch = batch,
                                .vector = &batch->columns[i],
                                .text = text,
                                .array = &children[i]};
        KD_TRY(write_column(&writer));
        pointers[i] = &children[i];
    }
    *out = (struct ArrowArray){.length = batch->selected_count,
                               .n_buffers = 1,
                               .buffers = buffers,
                               .n_children = count,
                               .children = pointers,
                               .release = release_array,
                               .private_data = memory};
    return KD_OK;
}

static kd_status next_array(kade_statement *statement, struct ArrowArray *out_array)
{
    kd_ctx *ctx = statement->session->ctx;
    shared *memory;
    bool end;
    *out_array = (struct ArrowArray){0};
    KD_TRY(kdi_statement_next_batch(statement, &end));
    if (end)
        return KD_OK;
    KD_TRY(shared_create(ctx, statement->batch.column_count + 1, &memory));
    kd_status status =
        make_array(ctx, memory, &statement->batch, statement->request->text, out_array);
    if (status != KD_OK) {
        *out_array = (struct ArrowArray){0};
        kd_arena_destroy(memory->arena);
        kdi_statement_stop(statement);
    }
    return status;
}

kade_status kade_arrow_next(kade_statement *statement, struct ArrowArray *out_array)
{
    (void)kdi_api_begin(statement->session);
    return kdi_api_end(statement->session, next_array(statement, out_array));
}

/* --- Streams ---------------------------------------------------------------------------------- */

static int errno_of(kade_status status)
{
    switch (status) {
    case KADE_OK:
        return 0;
    case KADE_NOMEM:
        return ENOMEM;
    case KADE_CANCELLED:
        return ECANCELED;
    case KADE_INVALID:
        return EINVAL;
    default:
        return EIO;
    }
}

static int stream_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    return errno_of(kade_arrow_schema(stream->private_data, out));
}

static int stream_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    return errno_of(kade_arrow_next(stream->private_data, out));
}

static const char *stream_error(struct ArrowArrayStream *stream)
{
    const kade_statement *statement = stream->private_data;
    const kade_error *error = kade_session_error(kade_statement_session(statement));
    return error->message[0] == '\0' ? NULL : error->message;
}

static void stream_release(struct ArrowArrayStream *stream)
{
    kade_reset(stream->private_data);
    stream->release = NULL;
}

kade_status kade_arrow_stream(kade_statement *statement, struct ArrowArrayStream *out_stream)
{
    (void)kdi_api_begin(statement->session);
    *out_stream = (struct ArrowArrayStream){.get_schema = stream_schema,
                                            .get_next = stream_next,
                                            .get_last_error = stream_error,
                                            .release = stream_release,
                                            .private_data = statement};
    return KADE_OK;
}
