/*
 * What all system views need, and the list of them.
 */
#include "engine/system_view_internal.h"
#include "engine/view_text.h"

#include "base/assert.h"
#include "types/array.h"
#include "types/datetime.h"

#include <assert.h>

/* --- Values ----------------------------------------------------------------------------------- */

void kdi_put_value(kdi_sys_view *view, kd_value value)
{
    assert(view->value_count < sizeof view->values / sizeof view->values[0]);
    view->values[view->value_count++] = value;
}

void kdi_put_null(kdi_sys_view *view)
{
    kdi_put_value(view, kd_value_null(kd_type_of(KD_TYPE_TEXT)));
}

void kdi_put_nulls(kdi_sys_view *view, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        kdi_put_null(view);
}

void kdi_put_text_or_null(kdi_sys_view *view, kd_slice text)
{
    if (text.size_bytes == 0)
        kdi_put_null(view);
    else
        kdi_put_text(view, text);
}

void kdi_put_char(kdi_sys_view *view, char byte)
{
    kd_value value = kd_value_text((kd_slice){&byte, 1}); /* Short texts are held inside. */
    kdi_put_value(view, value);
}

void kdi_put_timestamptz(kdi_sys_view *view, int64_t us_since_1970)
{
    kdi_put_value(view, (kd_value){.type = kd_type_of(KD_TYPE_TIMESTAMPTZ),
                                   .as.i64 = us_since_1970 + KD_UNIX_EPOCH_US});
}

static kd_status put_array(kdi_sys_view *view, kd_type type, const kd_value *elements,
                           uint32_t count)
{
    kd_value array = {.type = kd_type_array_of(type)};
    KD_TRY(kd_array_make(view->ctx, view->arena, type, elements, count, &array.as.str));
    kdi_put_value(view, array);
    return KD_OK;
}

kd_status kdi_put_texts(kdi_sys_view *view, const kd_slice *texts, uint32_t count)
{
    kd_type type = kd_type_of(KD_TYPE_TEXT);
    kd_value *elements = KD_NEW_ARRAY(view->ctx, view->arena, kd_value, count + 1);
    if (elements == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        elements[i] = kd_value_text(texts[i]);
    return put_array(view, type, elements, count);
}

kd_status kdi_put_numbers(kdi_sys_view *view, const uint32_t *numbers, uint32_t count)
{
    kd_type type = kd_type_of(KD_TYPE_INT2);
    kd_value *elements = KD_NEW_ARRAY(view->ctx, view->arena, kd_value, count + 1);
    if (elements == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        elements[i] = (kd_value){.type = type, .as.i16 = (int16_t)numbers[i]};
    return put_array(view, type, elements, count);
}

kd_status kdi_put_types(kdi_sys_view *view, const kd_type *types, uint32_t count)
{
    const kd_type type = {.id = KD_TYPE_OID, .modifier = -1, .object = KD_REG_TYPE};
    kd_value *elements = KD_NEW_ARRAY(view->ctx, view->arena, kd_value, count + 1);
    if (elements == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        elements[i] = (kd_value){.type = type, .as.i64 = (int64_t)kd_type_number(types[i])};
    return put_array(view, type, elements, count);
}

void kdi_put_text(kdi_sys_view *view, kd_slice text)
{
    kdi_put_value(view, kd_value_text(text));
}

kd_status kdi_put_view_text(kdi_sys_view *view, const kd_object *object)
{
    kd_slice text;
    KD_TRY(kdi_view_text(view->ctx, view->arena, view->session, view->version,
                         &view->session->facts, object, false, &text));
    kdi_put_text(view, text);
    return KD_OK;
}

void kdi_put_literal(kdi_sys_view *view, const char *text)
{
    kdi_put_text(view, kd_slice_of(text));
}

void kdi_put_bool(kdi_sys_view *view, bool value)
{
    kdi_put_value(view, kd_value_bool(value));
}

void kdi_put_yes_no(kdi_sys_view *view, bool value)
{
    kdi_put_literal(view, value ? "YES" : "NO");
}

void kdi_put_int2(kdi_sys_view *view, int value)
{
    kdi_put_value(view, (kd_value){.type = kd_type_of(KD_TYPE_INT2), .as.i16 = (int16_t)value});
}

void kdi_put_int4(kdi_sys_view *view, int64_t value)
{
    kdi_put_value(view, kd_value_i32((int32_t)value));
}

void kdi_put_int8(kdi_sys_view *view, int64_t value)
{
    kdi_put_value(view, kd_value_i64(value));
}

void kdi_put_moment(kdi_sys_view *view, int64_t wall_us)
{
    if (wall_us == 0)
        kdi_put_null(view);
    else
        kdi_put_value(view, (kd_value){.type = kd_type_of(KD_TYPE_TIMESTAMPTZ),
                                       .as.i64 = wall_us + KD_UNIX_EPOCH_US});
}

void kdi_put_oid(kdi_sys_view *view, uint64_t value)
{
    kdi_put_value(view, (kd_value){.type = kd_type_of(KD_TYPE_OID), .as.i64 = (int64_t)value});
}

void kdi_put_float4(kdi_sys_view *view, double value)
{
    kdi_put_value(view, (kd_value){.type = kd_type_of(KD_TYPE_FLOAT4), .as.f32 = (float)value});
}

kd_status kdi_sys_emit(kdi_sys_view *view)
{
    assert(view->value_count == view->column_count);
    for (uint32_t i = 0; i < view->column_count; i++) {
        assert(view->values[i].is_null ||
               kd_type_physical(view->values[i].type) == kd_type_physical(view->types[i]));
        view->values[i].type = view->types[i];
    }
    view->value_count = 0;
    return view->emit(view->ctx, view->object, view->values);
}

kd_status kdi_sys_each_sequence(kdi_sys_view *view,
                                kd_status (*put_row)(kdi_sys_view *view,
                                                     const kdi_sys_sequence *sequence))
{
    for (uint32_t i = 0; i < view->object_count; i++) {
        if (view->objects[i]->kind != KD_OBJECT_SEQUENCE)
            continue;
        kdi_sys_sequence it = {.entry = (const kd_sequence_entry *)view->objects[i]};
        KD_TRY(kd_sequence_get(view->ctx, kd_catalog_storage(view->version), it.entry->sequence_no,
                               &it.definition, &it.last, &it.is_called));
        KD_TRY(put_row(view, &it));
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

typedef struct collector {
    kdi_sys_view *view;
    uint32_t capacity;
} collector;

static void count_object(void *object, const kd_object *entry)
{
    (void)entry;
    ((collector *)object)->capacity++;
}

static void collect_object(void *object, const kd_object *entry)
{
    collector *self = object;
    if (self->view->object_count < self->capacity)
        self->view->objects[self->view->object_count++] = entry;
}

kd_status kdi_sys_run(kd_ctx *ctx, kd_arena *arena, const kd_catalog_version *version,
                      void *session,
                      kd_status (*emit)(kd_ctx *ctx, void *object, const kd_value *values),
                      void *object, const kd_type *types, uint32_t column_count, kdi_sys_rows rows)
{
    kdi_sys_view view = {.ctx = ctx,
                         .arena = arena,
                         .version = version,
                         .session = session,
                         .emit = emit,
                         .object = object,
                         .types = types,
                         .column_count = column_count};
    collector self = {.view = &view};
    kd_catalog_visit(version, count_object, &self);
    view.objects = KD_NEW_ARRAY(ctx, arena, const kd_object *, self.capacity);
    if (view.objects == NULL)
        return KD_NOMEM;
    kd_catalog_visit(version, collect_object, &self);
    return rows(&view);
}

/* --- Objects ---------------------------------------------------------------------------------- */

kd_slice kdi_object_name(const kdi_sys_view *view, uint32_t object_no)
{
    const kd_object *object = kd_catalog_get(view->version, object_no);
    return object == NULL ? KD_SLICE("") : object->name;
}

bool kdi_is_relation(const kd_object *object)
{
    return object->kind == KD_OBJECT_TABLE || object->kind == KD_OBJECT_VIEW ||
           object->kind == KD_OBJECT_INDEX || object->kind == KD_OBJECT_SEQUENCE;
}

const kd_table_entry *kdi_as_table(const kd_object *object)
{
    return object->kind == KD_OBJECT_TABLE ? (const kd_table_entry *)object : NULL;
}

char kdi_relation_kind(const kd_object *object)
{
    kd_slice query;
    if (kdi_materialized_query(object, &query))
        return 'm';
    switch (object->kind) {
    case KD_OBJECT_TABLE:
        return ((const kd_table_entry *)object)->strategy == KD_PARTITION_NONE ? 'r' : 'p';
    case KD_OBJECT_VIEW:
        return 'v';
    case KD_OBJECT_INDEX:
        return 'i';
    default:
        return 'S';
    }
}

kd_slice kdi_owner_name(const kdi_sys_view *view)
{
    return kd_slice_of(view->session->user_name);
}

uint32_t kdi_schema_no_of(const kdi_sys_view *view, const kd_virtual_table *table)
{
    const kd_object *schema = kd_catalog_find_schema(view->version, kd_slice_of(table->schema));
    return schema == NULL ? KDI_INFORMATION_SCHEMA_NO : schema->object_no;
}

/* --- The list --------------------------------------------------------------------------------- */

enum { VIEWS_MAX = 192, LIST_COUNT = 13 };

const kd_virtual_table *kdi_virtual_at(uint32_t position)
{
    const kd_virtual_tables *views = kdi_system_views();
    return position < views->count ? &views->tables[position] : NULL;
}

/* PostgreSQL's numbers of what other catalogs refer to. */
uint64_t kdi_virtual_number(uint32_t position)
{
    static const struct {
        const char *name;
        uint32_t number;
    } known[] = {{"pg_attrdef", 2604},    {"pg_collation", 3456}, {"pg_extension", 3079},
                 {"pg_sequence", 2224},   {"pg_attribute", 1249}, {"pg_class", 1259},
                 {"pg_constraint", 2606}, {"pg_database", 1262},  {"pg_description", 2609},
                 {"pg_enum", 3501},       {"pg_index", 2610},     {"pg_inherits", 2611},
                 {"pg_namespace", 2615},  {"pg_proc", 1255},      {"pg_type", 1247}};
    const kd_virtual_table *view = kdi_virtual_at(position);
    for (size_t i = 0; view != NULL && i < sizeof known / sizeof *known; i++)
        if (strcmp(view->name, known[i].name) == 0)
            return known[i].number;
    return 12000 + position;
}

static kd_virtual_table all_tables[VIEWS_MAX];
static kd_virtual_tables all_views = {.tables = all_tables};

static void fill_list(void)
{
    const kd_virtual_table *(*const lists[LIST_COUNT])(uint32_t *) = {
        kdi_column_views, kdi_key_views,        kdi_server_views, kdi_standard_views,
        kdi_type_views,   kdi_statistics_views, kdi_usage_views,  kdi_advice_views,
        kdi_damage_views, kdi_plan_views,       kdi_absent_views, kdi_role_views,
        kdi_activity_views};
    uint32_t total = 0;
    for (uint32_t i = 0; i < LIST_COUNT; i++) {
        uint32_t count;
        const kd_virtual_table *list = lists[i](&count);
        kd_assert(total + count <= VIEWS_MAX);
        memcpy(all_tables + total, list, count * sizeof *list);
        total += count;
    }
    all_views.count = total;
}

const kd_virtual_tables *kdi_system_views(void)
{
    static atomic_int state; /* 0: empty, 1: somebody fills it, 2: full. */
    int expected = 0;
    if (atomic_load_explicit(&state, memory_order_acquire) == 2)
        return &all_views;
    if (atomic_compare_exchange_strong(&state, &expected, 1)) {
        fill_list();
        atomic_store_explicit(&state, 2, memory_order_release);
    }
    /* Filling takes some microseconds and waits for nothing. */
    while (atomic_load_explicit(&state, memory_order_acquire) != 2)
        continue;
    return &all_views;
}
