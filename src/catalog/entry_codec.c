/*
 * Encoding and decoding of catalog entries.
 *
 * Each struct has one function that walks its members in either direction (a
 * `codec` writes to a buffer or reads from a reader), so that what is written and
 * what is read cannot drift apart.
 */
#include "catalog/entry_codec.h"

#include <assert.h>

enum {
    LIST_COUNT_MAX = 1 << 20,
    FORMAT_OLDEST = 7,
    FORMAT_WITH_ROLES = 8, /* Owners and grants too. */
};

/* Either `out` (writing) or `reader` (reading) is used. The first failure sticks in `status`. */
typedef struct codec {
    kd_ctx *ctx;
    kd_arena *arena;
    kd_buffer *out; /* NULL: reading. */
    kd_reader reader;
    uint64_t format;
    kd_status status;
} codec;

static bool reading(const codec *c)
{
    return c->out == NULL;
}

static void note(codec *c, kd_status status)
{
    if (c->status == KD_OK)
        c->status = status;
}

static void walk_u64(codec *c, uint64_t *value)
{
    if (c->status != KD_OK)
        return;
    if (reading(c))
        *value = kd_read_varint(&c->reader);
    else
        note(c, kd_buffer_append_varint(c->ctx, c->out, *value));
}

static void walk_u32(codec *c, uint32_t *value)
{
    uint64_t wide = *value;
    walk_u64(c, &wide);
    *value = (uint32_t)wide;
}

static void walk_bool(codec *c, bool *value)
{
    uint64_t wide = *value;
    walk_u64(c, &wide);
    *value = wide != 0;
}

static void walk_slice(codec *c, kd_slice *value)
{
    if (c->status != KD_OK)
        return;
    if (!reading(c)) {
        note(c, kd_buffer_append_counted(c->ctx, c->out, *value));
        return;
    }
    kd_slice bytes = kd_read_slice(&c->reader);
    char *copy = kd_copy_text(c->ctx, c->arena, bytes.data, bytes.size_bytes);
    if (copy == NULL) {
        note(c, KD_NOMEM);
        return;
    }
    *value = (kd_slice){copy, bytes.size_bytes};
}

static void walk_type_bytes(codec *c, kd_type *type)
{
    if (c->status != KD_OK)
        return;
    if (!reading(c)) {
        note(c, kd_buffer_append(c->ctx, c->out, type, sizeof *type));
        return;
    }
    const char *bytes = kd_read_bytes(&c->reader, sizeof *type);
    if (bytes != NULL)
        memcpy(type, bytes, sizeof *type);
}

static void walk_type(codec *c, kd_type *type)
{
    walk_type_bytes(c, type);
    if (reading(c) && type->id >= KD_TYPE_COUNT)
        c->reader.failed = true;
}

/* Of routines: pseudo types as well. */
static void walk_any_type(codec *c, kd_type *type)
{
    walk_type_bytes(c, type);
    bool is_pseudo = type->id >= KD_PSEUDO_ANY && type->id <= KD_PSEUDO_ANYNONARRAY;
    if (reading(c) && type->id >= KD_TYPE_COUNT && !is_pseudo)
        c->reader.failed = true;
}

static void walk_value(codec *c, kd_value *value)
{
    walk_type(c, &value->type);
    if (c->status != KD_OK)
        return;
    if (!reading(c)) {
        note(c, kd_value_append(c->ctx, value, c->out));
        return;
    }
    if (c->reader.failed)
        return;
    kd_value borrowed;
    note(c, kd_value_read(c->ctx, value->type, &c->reader, &borrowed));
    if (c->status == KD_OK)
        note(c, kd_value_copy(c->ctx, c->arena, &borrowed, value));
}

/* The items of a list: when reading, room for `count` of them, zeroed; else a copy, since what is
 * walked is written back, and other sessions read the original. */
static void *walk_list(codec *c, const void *items, uint32_t *count, size_t item_bytes)
{
    walk_u32(c, count);
    if (!reading(c)) {
        void *copy = kd_alloc_array(c->ctx, c->arena, *count, item_bytes);
        if (copy == NULL) {
            note(c, KD_NOMEM);
            *count = 0;
        } else if (*count > 0) {
            memcpy(copy, items, *count * item_bytes);
        }
        return copy;
    }
    if (c->status != KD_OK || c->reader.failed || *count > LIST_COUNT_MAX) {
        c->reader.failed = true;
        *count = 0;
        return NULL;
    }
    void *room = kd_alloc_array(c->ctx, c->arena, *count, item_bytes);
    if (room == NULL) {
        note(c, KD_NOMEM);
        *count = 0;
    }
    return room;
}

static void walk_u32s(codec *c, const uint32_t **items, uint32_t *count)
{
    uint32_t *list = walk_list(c, *items, count, sizeof **items);
    for (uint32_t i = 0; i < *count; i++)
        walk_u32(c, &list[i]);
    *items = list;
}

static void walk_slices(codec *c, const kd_slice **items, uint32_t *count)
{
    kd_slice *list = walk_list(c, *items, count, sizeof **items);
    for (uint32_t i = 0; i < *count; i++)
        walk_slice(c, &list[i]);
    *items = list;
}

static void walk_checks(codec *c, const kd_check **items, uint32_t *count)
{
    kd_check *list = walk_list(c, *items, count, sizeof **items);
    for (uint32_t i = 0; i < *count; i++) {
        walk_slice(c, &list[i].name);
        walk_slice(c, &list[i].expression_text);
        walk_bool(c, &list[i].not_valid);
    }
    *items = list;
}

static void walk_grants(codec *c, kd_grants *grants)
{
    walk_bool(c, &grants->is_set);
    kd_grant *list = walk_list(c, grants->items, &grants->count, sizeof *list);
    for (uint32_t i = 0; i < grants->count; i++) {
        walk_u32(c, &list[i].grantee_no);
        walk_u32(c, &list[i].grantor_no);
        walk_u32(c, &list[i].privileges);
        walk_u32(c, &list[i].options);
    }
    grants->items = list;
}

static void walk_object(codec *c, kd_object *object)
{
    uint64_t kind = object->kind;
    walk_u64(c, &kind);
    object->kind = (kd_object_kind)kind;
    walk_u32(c, &object->object_no);
    walk_u32(c, &object->schema_no);
    walk_slice(c, &object->name);
    walk_slice(c, &object->comment);
}

static void walk_columns(codec *c, kd_table_entry *table)
{
    kd_column *list = walk_list(c, table->columns, &table->column_count, sizeof *list);
    for (uint32_t i = 0; i < table->column_count; i++) {
        kd_column *column = &list[i];
        walk_u32(c, &column->storage.column_no);
        walk_type(c, &column->storage.type);
        walk_bool(c, &column->storage.not_null);
        walk_slice(c, &column->storage.name);
        walk_value(c, &column->storage.missing);
        walk_slice(c, &column->default_text);
        walk_bool(c, &column->generated);
        walk_bool(c, &column->hidden);
        uint64_t identity = column->identity;
        walk_u64(c, &identity);
        column->identity = (kd_column_identity)identity;
        walk_u32(c, &column->sequence_no);
        walk_slice(c, &column->comment);
        walk_u32(c, &column->domain_no);
        walk_bool(c, &column->domain_not_null);
        if (c->format >= FORMAT_WITH_ROLES)
            walk_grants(c, &column->grants);
    }
    table->columns = list;
}

static void walk_key_columns(codec *c, kd_index_definition *index)
{
    kd_index_column *list = walk_list(c, index->columns, &index->column_count, sizeof *list);
    for (uint32_t i = 0; i < index->column_count; i++) {
        walk_u32(c, &list[i].column_no);
        walk_bool(c, &list[i].order.descending);
        walk_bool(c, &list[i].order.nulls_first);
        uint64_t items = list[i].items;
        walk_u64(c, &items);
        list[i].items = (kd_item_class)items;
        if (items > KD_ITEM_CLASS_LAST)
            c->reader.failed = true;
    }
    index->columns = list;
}

/* 0: none; 1: a key; 2: EXCLUDE. */
static void walk_constraint(codec *c, kd_table_index *index)
{
    uint64_t kind = (uint64_t)index->is_constraint + index->storage.exclusion;
    walk_u64(c, &kind);
    index->is_constraint = kind != 0;
    index->storage.exclusion = kind == 2;
}

static void walk_indexes(codec *c, kd_table_entry *table)
{
    kd_table_index *list = walk_list(c, table->indexes, &table->index_count, sizeof *list);
    for (uint32_t i = 0; i < table->index_count; i++) {
        kd_table_index *index = &list[i];
        walk_object(c, &index->object);
        walk_u64(c, &index->storage.index_no);
        walk_slice(c, &index->storage.name);
        walk_slice(c, &index->storage.columns_text);
        walk_bool(c, &index->storage.unique);
        walk_bool(c, &index->storage.nulls_not_distinct);
        uint64_t predicate = (uint64_t)(index->storage.predicate_column_no + 1);
        walk_u64(c, &predicate);
        index->storage.predicate_column_no = (int64_t)predicate - 1;
        walk_key_columns(c, &index->storage);
        walk_bool(c, &index->is_primary);
        walk_constraint(c, index);
        walk_bool(c, &index->storage.deferrable);
        walk_bool(c, &index->initially_deferred);
        walk_u64(c, &index->key_table_no);
        walk_slice(c, &index->method);
        walk_slice(c, &index->predicate_text);
        uint32_t text_count = index->storage.column_count;
        walk_slices(c, &index->key_texts, &text_count);
        if (text_count != index->storage.column_count)
            c->reader.failed = true;
    }
    table->indexes = list;
}

static void walk_foreign_keys(codec *c, kd_table_entry *table)
{
    kd_foreign_key *list = walk_list(c, table->foreign_keys, &table->foreign_count, sizeof *list);
    for (uint32_t i = 0; i < table->foreign_count; i++) {
        kd_foreign_key *key = &list[i];
        walk_slice(c, &key->name);
        walk_u32(c, &key->target_no);
        walk_u32s(c, &key->column_nos, &key->column_count);
        uint32_t target_count = key->column_count;
        walk_u32s(c, &key->target_column_nos, &target_count);
        if (target_count != key->column_count)
            c->reader.failed = true;
        uint64_t on_delete = key->on_delete, on_update = key->on_update;
        walk_u64(c, &on_delete);
        walk_u64(c, &on_update);
        key->on_delete = (kd_foreign_action)on_delete;
        key->on_update = (kd_foreign_action)on_update;
        walk_bool(c, &key->match_full);
        walk_bool(c, &key->deferrable);
        walk_bool(c, &key->initially_deferred);
        walk_bool(c, &key->not_valid);
    }
    table->foreign_keys = list;
}

static void walk_bound_side(codec *c, const kd_value **values, const int8_t **kinds,
                            uint32_t *count)
{
    kd_value *list = walk_list(c, *values, count, sizeof **values);
    for (uint32_t i = 0; i < *count; i++)
        walk_value(c, &list[i]);
    bool has_kinds = *kinds != NULL;
    walk_bool(c, &has_kinds);
    if (has_kinds) {
        uint32_t kind_count = *count;
        int8_t *kind_list = walk_list(c, *kinds, &kind_count, sizeof **kinds);
        for (uint32_t i = 0; i < kind_count; i++) {
            uint64_t shifted = (uint64_t)(kind_list[i] + 1);
            walk_u64(c, &shifted);
            if (reading(c))
                kind_list[i] = (int8_t)((int8_t)shifted - 1);
        }
        if (kind_count != *count)
            c->reader.failed = true;
        *kinds = kind_list;
    }
    *values = list;
}

static void walk_bound(codec *c, kd_partition_bound *bound)
{
    walk_bool(c, &bound->is_default);
    walk_bound_side(c, &bound->from, &bound->from_kind, &bound->count);
    uint32_t to_count = bound->to == NULL ? 0 : bound->count;
    walk_bound_side(c, &bound->to, &bound->to_kind, &to_count);
    if (reading(c) && to_count == 0)
        bound->to = NULL;
}

/* The shape is the storage side of the columns: derived, not stored. */
static void build_shape(codec *c, kd_table_entry *table)
{
    kd_table_shape *shape = KD_NEW(c->ctx, c->arena, kd_table_shape);
    kd_table_column *columns = KD_NEW_ARRAY(c->ctx, c->arena, kd_table_column, table->column_count);
    if (shape == NULL || columns == NULL) {
        note(c, KD_NOMEM);
        return;
    }
    table->visible_count = 0;
    for (uint32_t i = 0; i < table->column_count; i++) {
        columns[i] = table->columns[i].storage;
        table->visible_count += !table->columns[i].hidden;
    }
    *shape = (kd_table_shape){
        .table_name = table->object.name, .column_count = table->column_count, .columns = columns};
    table->shape = shape;
}

static void walk_table(codec *c, kd_table_entry *table)
{
    walk_u64(c, &table->table_no);
    walk_bool(c, &table->is_temporary);
    walk_u32(c, &table->next_column_no);
    walk_columns(c, table);
    walk_indexes(c, table);
    walk_checks(c, &table->checks, &table->check_count);
    walk_foreign_keys(c, table);
    uint64_t strategy = table->strategy;
    walk_u64(c, &strategy);
    table->strategy = (kd_partition_strategy)strategy;
    walk_u32s(c, &table->partition_column_nos, &table->partition_column_count);
    walk_u32(c, &table->parent_no);
    walk_bound(c, &table->bound);
    walk_u32s(c, &table->sort_column_nos, &table->sort_column_count);
    uint64_t on_commit = table->on_commit;
    walk_u64(c, &on_commit);
    table->on_commit = (kd_on_commit)on_commit;
    walk_slice(c, &table->query_text);
    walk_bool(c, &table->is_populated);
    walk_u32s(c, &table->depends_on, &table->depends_count);
    if (reading(c) && c->status == KD_OK && !c->reader.failed)
        build_shape(c, table);
}

static void walk_view(codec *c, kd_view_entry *view)
{
    walk_slice(c, &view->query_text);
    walk_slices(c, &view->column_names, &view->column_count);
    uint32_t type_count = view->column_count;
    kd_type *types = walk_list(c, view->column_types, &type_count, sizeof *types);
    for (uint32_t i = 0; i < type_count; i++)
        walk_type(c, &types[i]);
    view->column_types = types;
    if (type_count != view->column_count)
        c->reader.failed = true;
    walk_u32s(c, &view->depends_on, &view->depends_count);
    uint64_t check_option = view->check_option;
    walk_u64(c, &check_option);
    view->check_option = (kd_check_option)check_option;
}

static void walk_sequence(codec *c, kd_sequence_entry *sequence)
{
    walk_u64(c, &sequence->sequence_no);
    walk_type(c, &sequence->type);
    walk_u32(c, &sequence->owner_table_no);
    walk_u32(c, &sequence->owner_column_no);
}

static void walk_enum(codec *c, kd_enum_entry *entry)
{
    walk_slices(c, &entry->labels, &entry->label_count);
    uint32_t rank_count = entry->label_count;
    int32_t *ranks = walk_list(c, entry->ranks, &rank_count, sizeof *ranks);
    for (uint32_t i = 0; i < rank_count; i++) {
        uint64_t bits = (uint32_t)ranks[i];
        walk_u64(c, &bits);
        if (reading(c))
            ranks[i] = (int32_t)(uint32_t)bits;
    }
    entry->ranks = ranks;
    if (rank_count != entry->label_count)
        c->reader.failed = true;
}

static void walk_domain(codec *c, kd_domain_entry *domain)
{
    walk_type(c, &domain->base);
    walk_bool(c, &domain->not_null);
    walk_slice(c, &domain->default_text);
    walk_checks(c, &domain->checks, &domain->check_count);
}

static void walk_composite(codec *c, kd_composite_entry *composite)
{
    kd_attribute *list =
        walk_list(c, composite->attributes, &composite->attribute_count, sizeof *list);
    for (uint32_t i = 0; i < composite->attribute_count; i++) {
        walk_slice(c, &list[i].name);
        walk_type(c, &list[i].type);
        walk_u32(c, &list[i].domain_no);
        walk_slice(c, &list[i].comment);
    }
    composite->attributes = list;
}

static void walk_arguments(codec *c, kd_routine_entry *routine)
{
    kd_routine_argument *list =
        walk_list(c, routine->arguments, &routine->argument_count, sizeof *list);
    for (uint32_t i = 0; i < routine->argument_count; i++) {
        uint64_t mode = list[i].mode;
        walk_slice(c, &list[i].name);
        walk_any_type(c, &list[i].type);
        walk_u64(c, &mode);
        if (mode > KD_ARGUMENT_TABLE)
            c->reader.failed = true;
        if (reading(c))
            list[i].mode = (kd_argument_mode)mode;
        walk_u32(c, &list[i].domain_no);
        walk_slice(c, &list[i].default_text);
    }
    routine->arguments = list;
}

static void walk_routine(codec *c, kd_routine_entry *routine)
{
    uint64_t kind = routine->kind, form = routine->form, volatility = routine->volatility;
    walk_u64(c, &kind);
    walk_u64(c, &form);
    walk_u64(c, &volatility);
    if (kind > KD_ROUTINE_MACRO || form > KD_BODY_QUERY || volatility > KD_VOLATILE)
        c->reader.failed = true;
    routine->kind = (kd_routine_kind)kind;
    routine->form = (kd_routine_body)form;
    routine->volatility = (kd_volatility)volatility;
    walk_bool(c, &routine->strict);
    walk_bool(c, &routine->returns_set);
    walk_bool(c, &routine->security_definer);
    walk_arguments(c, routine);
    walk_any_type(c, &routine->result);
    walk_u32(c, &routine->result_domain_no);
    walk_slice(c, &routine->body);
    walk_u32s(c, &routine->depends_on, &routine->depends_count);
}

static void walk_defaults(codec *c, kd_role_entry *role)
{
    kd_default_grants *list = walk_list(c, role->defaults, &role->default_count, sizeof *list);
    for (uint32_t i = 0; i < role->default_count; i++) {
        uint64_t kind = list[i].kind;
        walk_u32(c, &list[i].schema_no);
        walk_u64(c, &kind);
        list[i].kind = (kd_object_kind)kind;
        walk_grants(c, &list[i].grants);
    }
    role->defaults = list;
}

static void walk_role(codec *c, kd_role_entry *role)
{
    bool *const flags[] = {&role->is_superuser,         &role->inherits,  &role->can_create_role,
                           &role->can_create_database,  &role->can_login, &role->can_replicate,
                           &role->bypasses_row_security};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        walk_bool(c, flags[i]);
    uint64_t limit = (uint64_t)((int64_t)role->connection_limit + 1);
    walk_u64(c, &limit);
    role->connection_limit = (int32_t)((int64_t)limit - 1);
    uint64_t until = (uint64_t)role->valid_until;
    walk_u64(c, &until);
    role->valid_until = (int64_t)until;
    walk_slice(c, &role->password);
    kd_membership *memberships =
        walk_list(c, role->memberships, &role->membership_count, sizeof *memberships);
    for (uint32_t i = 0; i < role->membership_count; i++) {
        walk_u32(c, &memberships[i].role_no);
        walk_u32(c, &memberships[i].grantor_no);
        walk_bool(c, &memberships[i].with_admin);
    }
    role->memberships = memberships;
    kd_role_setting *settings =
        walk_list(c, role->settings, &role->setting_count, sizeof *settings);
    for (uint32_t i = 0; i < role->setting_count; i++) {
        walk_bool(c, &settings[i].in_database);
        walk_slice(c, &settings[i].name);
        walk_slices(c, &settings[i].values, &settings[i].value_count);
    }
    role->settings = settings;
    walk_defaults(c, role);
}

typedef union any_entry {
    kd_object object;
    kd_table_entry table;
    kd_view_entry view;
    kd_sequence_entry sequence;
    kd_enum_entry enumeration;
    kd_domain_entry domain;
    kd_composite_entry composite;
    kd_routine_entry routine;
    kd_role_entry role;
} any_entry;

static size_t entry_bytes(kd_object_kind kind)
{
    switch (kind) {
    case KD_OBJECT_TABLE:
        return sizeof(kd_table_entry);
    case KD_OBJECT_VIEW:
        return sizeof(kd_view_entry);
    case KD_OBJECT_SEQUENCE:
        return sizeof(kd_sequence_entry);
    case KD_OBJECT_ENUM:
        return sizeof(kd_enum_entry);
    case KD_OBJECT_DOMAIN:
        return sizeof(kd_domain_entry);
    case KD_OBJECT_COMPOSITE:
        return sizeof(kd_composite_entry);
    case KD_OBJECT_ROUTINE:
        return sizeof(kd_routine_entry);
    case KD_OBJECT_ROLE:
        return sizeof(kd_role_entry);
    case KD_OBJECT_SCHEMA:
        return sizeof(kd_object);
    case KD_OBJECT_INDEX: /* Lives inside its table's entry. */
        break;
    }
    return 0;
}

static void walk_entry(codec *c, any_entry *entry)
{
    c->format = KD_ENTRY_FORMAT;
    walk_u64(c, &c->format);
    if (c->format < FORMAT_OLDEST || c->format > KD_ENTRY_FORMAT) {
        note(c, KD_FAIL(c->ctx, KD_UNSUPPORTED, "0A000",
                        "a catalog entry has format %llu; this version reads %d to %d",
                        (unsigned long long)c->format, FORMAT_OLDEST, KD_ENTRY_FORMAT));
        return;
    }
    walk_object(c, &entry->object);
    if (c->format >= FORMAT_WITH_ROLES) {
        walk_u32(c, &entry->object.owner_no);
        walk_grants(c, &entry->object.grants);
    }
    switch (entry->object.kind) {
    case KD_OBJECT_TABLE:
        walk_table(c, &entry->table);
        break;
    case KD_OBJECT_VIEW:
        walk_view(c, &entry->view);
        break;
    case KD_OBJECT_SEQUENCE:
        walk_sequence(c, &entry->sequence);
        break;
    case KD_OBJECT_ENUM:
        walk_enum(c, &entry->enumeration);
        break;
    case KD_OBJECT_DOMAIN:
        walk_domain(c, &entry->domain);
        break;
    case KD_OBJECT_COMPOSITE:
        walk_composite(c, &entry->composite);
        break;
    case KD_OBJECT_ROUTINE:
        walk_routine(c, &entry->routine);
        break;
    case KD_OBJECT_ROLE:
        walk_role(c, &entry->role);
        break;
    case KD_OBJECT_SCHEMA:
        break;
    case KD_OBJECT_INDEX:
    default:
        c->reader.failed = true;
        break;
    }
}

kd_status kd_entry_encode(kd_ctx *ctx, const kd_object *entry, kd_buffer *out)
{
    any_entry copy;
    assert(entry_bytes(entry->kind) > 0);
    memset(&copy, 0, sizeof copy);
    memcpy(&copy, entry, entry_bytes(entry->kind));
    kd_arena *scratch = kd_arena_create(ctx, NULL, "catalog entry", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    codec c = {.ctx = ctx, .arena = scratch, .out = out};
    walk_entry(&c, &copy);
    kd_arena_destroy(scratch);
    return c.status;
}

kd_status kd_entry_decode(kd_ctx *ctx, kd_arena *arena, kd_slice bytes, const kd_object **out_entry)
{
    *out_entry = NULL;
    any_entry *entry = KD_NEW(ctx, arena, any_entry);
    if (entry == NULL)
        return KD_NOMEM;
    codec c = {.ctx = ctx, .arena = arena, .reader = kd_reader_of(bytes)};
    walk_entry(&c, entry);
    if (c.status != KD_OK)
        return c.status;
    if (c.reader.failed || c.reader.at != c.reader.end)
        return KD_FAIL(ctx, KD_CORRUPT, "XX001", "a catalog entry is damaged (object %u)",
                       entry->object.object_no);
    *out_entry = &entry->object;
    return KD_OK;
}
