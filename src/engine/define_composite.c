/*
 * Composite types: CREATE TYPE name AS (...), and what changes them.
 *
 * A stored row says itself what it holds (types/record.h). When its type changes, the tables that
 * hold such rows, however deep, are rewritten, so that all rows of a type look alike.
 */
#include "engine/catalog_text.h"
#include "engine/define_internal.h"

enum { NESTING_MAX = 64 };

/* --- What contains a type --- */

static bool contains(const kd_catalog_version *catalog, kd_type type, uint32_t object_no, int depth)
{
    uint32_t own_no = kd_type_object_no(type);
    if (own_no == 0 || (own_no & KD_ROW_IS_LOCAL) != 0 || depth == NESTING_MAX)
        return false;
    if (own_no == object_no)
        return true;
    const kd_object *object = kd_catalog_get(catalog, own_no);
    if (object == NULL)
        return false;
    if (object->kind == KD_OBJECT_COMPOSITE) {
        const kd_composite_entry *composite = (const kd_composite_entry *)object;
        for (uint32_t i = 0; i < composite->attribute_count; i++)
            if (contains(catalog, composite->attributes[i].type, object_no, depth + 1))
                return true;
    } else if (object->kind == KD_OBJECT_TABLE) {
        const kd_table_entry *table = (const kd_table_entry *)object;
        for (uint32_t i = 0; i < table->visible_count; i++)
            if (contains(catalog, table->columns[i].storage.type, object_no, depth + 1))
                return true;
    }
    return false;
}

typedef struct table_list {
    kd_ctx *ctx;
    kd_arena *arena;
    const kd_catalog_version *catalog;
    uint32_t object_no;
    uint32_t *numbers;
    size_t count, capacity;
    kd_slice column; /* Of the last table found. */
    kd_status status;
} table_list;

static void visit_table(void *object, const kd_object *entry)
{
    table_list *list = object;
    const kd_table_entry *table = (const kd_table_entry *)entry;
    uint32_t *added;
    if (entry->kind != KD_OBJECT_TABLE || list->status != KD_OK)
        return;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!contains(list->catalog, table->columns[i].storage.type, list->object_no, 0))
            continue;
        list->column = table->columns[i].storage.name;
        list->status =
            KD_PUSH(list->ctx, list->arena, list->numbers, list->count, list->capacity, &added);
        if (list->status == KD_OK)
            *added = entry->object_no;
        return;
    }
}

static kd_status tables_with(kd_ctx *ctx, kd_run *run, uint32_t object_no, table_list *out)
{
    *out = (table_list){
        .ctx = ctx, .arena = run->arena, .catalog = run->catalog, .object_no = object_no};
    kd_catalog_visit(run->catalog, visit_table, out);
    return out->status;
}

kd_status kdi_has_row_users(kd_ctx *ctx, kd_run *run, uint32_t object_no, bool *out_has)
{
    table_list list;
    *out_has = false;
    KD_TRY(tables_with(ctx, run, object_no, &list));
    *out_has = list.count > 0;
    return KD_OK;
}

kd_status kdi_refuse_row_users(kd_ctx *ctx, kd_run *run, const kd_object *changed)
{
    table_list list;
    KD_TRY(tables_with(ctx, run, changed->object_no, &list));
    if (list.count == 0)
        return KD_OK;
    const kd_object *table = kd_catalog_get(run->catalog, list.numbers[list.count - 1]);
    bool is_type = changed->kind == KD_OBJECT_COMPOSITE;
    return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000",
                   "cannot alter %s \"%.*s\" because column \"%.*s.%.*s\" uses its row type",
                   is_type ? "type" : "table", (int)changed->name.size_bytes, changed->name.data,
                   (int)table->name.size_bytes, table->name.data, (int)list.column.size_bytes,
                   list.column.data);
}

/* --- Rows of a changed type --- */

static kd_status rewrite(kd_ctx *ctx, kd_run *run, const kd_table_entry *table, uint32_t object_no)
{
    kdi_draft *draft;
    uint32_t count = 0;
    if (table->table_no == 0)
        return KD_OK; /* A parent: its partitions have the rows. */
    KD_TRY(kd_txn_lock_table(ctx, run->session->txn, table->table_no, KD_TABLE_EXCLUSIVE, false));
    KD_TRY(kdi_draft_open(ctx, run, table, &draft));
    kdi_conversion *conversions =
        KD_NEW_ARRAY(ctx, run->arena, kdi_conversion, draft->entry.column_count);
    if (conversions == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < draft->entry.column_count; i++) {
        kd_table_column *column = &draft->columns[i].storage;
        if (!contains(run->catalog, column->type, object_no, 0))
            continue;
        char *text = kd_format_text(ctx, run->arena, "kade_conform(\"%.*s\")",
                                    (int)column->name.size_bytes, column->name.data);
        if (text == NULL)
            return KD_NOMEM;
        column->missing = kd_value_null(column->type);
        conversions[count++] =
            (kdi_conversion){.column_no = column->column_no, .text = kd_slice_of(text)};
    }
    KD_TRY(kdi_draft_rewrite(ctx, draft, table, conversions, count));
    return kdi_draft_put(ctx, draft);
}

kd_status kdi_rewrite_row_users(kd_ctx *ctx, kd_run *run, uint32_t object_no)
{
    table_list list;
    KD_TRY(tables_with(ctx, run, object_no, &list));
    for (size_t i = 0; i < list.count; i++) {
        const kd_object *table = kd_catalog_get(run->catalog, list.numbers[i]);
        KD_TRY(rewrite(ctx, run, (const kd_table_entry *)table, object_no));
    }
    return KD_OK;
}

/* --- CREATE TYPE --- */

static int find_attribute(const kd_composite_entry *entry, kd_slice name)
{
    for (uint32_t i = 0; i < entry->attribute_count; i++)
        if (kd_slice_equal(entry->attributes[i].name, name))
            return (int)i;
    return -1;
}

static kd_status bind_attribute(kd_ctx *ctx, kd_run *run, const kd_composite_entry *entry,
                                const kd_ast_type *ast, kd_attribute *io_attribute)
{
    kd_bind_options options;
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_type(ctx, &options, ast, &io_attribute->type));
    KD_TRY(kdi_check_column_type(ctx, io_attribute->name, io_attribute->type));
    const kd_object *domain = ast->dimensions > 0 ? NULL : kdi_find_type(run, &ast->name);
    bool is_domain = domain != NULL && domain->kind == KD_OBJECT_DOMAIN;
    io_attribute->domain_no = is_domain ? domain->object_no : 0;
    if (entry->object.object_no != 0 &&
        contains(run->catalog, io_attribute->type, entry->object.object_no, 0))
        return KD_FAIL(ctx, KD_INVALID, "42P16",
                       "composite type %.*s cannot be made a member of itself",
                       (int)entry->object.name.size_bytes, entry->object.name.data);
    return KD_OK;
}

/* Room for one more is there. */
static kd_status add_attribute(kd_ctx *ctx, kd_run *run, kd_composite_entry *entry,
                               kd_attribute *attributes, const kd_ast_column_def *ast)
{
    if (find_attribute(entry, ast->name) >= 0)
        return KD_FAIL(ctx, KD_INVALID, "42701",
                       entry->object.object_no == 0
                           ? "column \"%.*s\" specified more than once"
                           : "column \"%.*s\" of relation \"%.*s\" already exists",
                       (int)ast->name.size_bytes, ast->name.data,
                       (int)entry->object.name.size_bytes, entry->object.name.data);
    kd_attribute *added = &attributes[entry->attribute_count];
    *added = (kd_attribute){.name = ast->name, .comment = {"", 0}};
    KD_TRY(bind_attribute(ctx, run, entry, &ast->type, added));
    entry->attribute_count++;
    return KD_OK;
}

kd_status kdi_create_composite(kd_ctx *ctx, kd_run *run, const kd_ast_create_composite *ast)
{
    bool exists;
    kd_attribute *attributes =
        KD_NEW_ARRAY(ctx, run->arena, kd_attribute, ast->attributes.count + 1);
    kd_composite_entry entry = {
        .object = {.kind = KD_OBJECT_COMPOSITE, .name = ast->name.name, .comment = {"", 0}},
        .attributes = attributes};
    kdi_set_tag(run, "CREATE TYPE");
    if (attributes == NULL)
        return KD_NOMEM;
    if (ast->attributes.count > KD_RECORD_FIELDS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54011", "types can have at most %d attributes",
                       KD_RECORD_FIELDS_MAX);
    KD_TRY(kdi_target_schema(ctx, run, &ast->name, &entry.object.schema_no));
    KD_TRY(kdi_check_free(ctx, run, entry.object.schema_no, ast->name.name, KD_OBJECT_COMPOSITE,
                          false, &exists));
    for (size_t i = 0; i < ast->attributes.count; i++)
        KD_TRY(add_attribute(ctx, run, &entry, attributes,
                             (const kd_ast_column_def *)ast->attributes.items[i]));
    KD_TRY(
        kd_catalog_next_object_no(ctx, run->session->database->catalog, &entry.object.object_no));
    return kdi_put(ctx, run, &entry.object);
}

/* --- ALTER TYPE --- */

static kd_status composite_named(kd_ctx *ctx, kd_run *run, const kd_ast_name *name,
                                 const kd_composite_entry **out_entry)
{
    const kd_object *type = kdi_find_type(run, name);
    *out_entry = (const kd_composite_entry *)type;
    if (type != NULL && type->kind == KD_OBJECT_COMPOSITE)
        return KD_OK;
    kd_bind_options options;
    const kd_object *relation = NULL;
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    if (type == NULL)
        KD_TRY(kd_bind_relation(ctx, &options, name, false, &relation));
    return KD_FAIL(ctx, KD_INVALID, "42809", "\"%.*s\" is not a composite type",
                   (int)name->name.size_bytes, name->name.data);
}

static kd_status no_attribute(kd_ctx *ctx, const kd_composite_entry *entry, kd_slice name)
{
    return KD_FAIL(ctx, KD_INVALID, "42703", "column \"%.*s\" of relation \"%.*s\" does not exist",
                   (int)name.size_bytes, name.data, (int)entry->object.name.size_bytes,
                   entry->object.name.data);
}

static kd_status drop_attribute(kd_ctx *ctx, kd_run *run, kd_composite_entry *entry,
                                kd_attribute *attributes, const kd_ast_alter_action *action)
{
    int at = find_attribute(entry, action->name);
    if (at < 0 && !action->if_exists)
        return no_attribute(ctx, entry, action->name);
    if (at < 0) {
        kdi_session_notice(run->session, "NOTICE", "00000",
                           "column \"%.*s\" of relation \"%.*s\" does not exist, skipping",
                           (int)action->name.size_bytes, action->name.data,
                           (int)entry->object.name.size_bytes, entry->object.name.data);
        return KD_OK;
    }
    entry->attribute_count--;
    for (uint32_t i = (uint32_t)at; i < entry->attribute_count; i++)
        attributes[i] = attributes[i + 1];
    return KD_OK;
}

static kd_status alter_attribute(kd_ctx *ctx, kd_run *run, kd_composite_entry *entry,
                                 kd_attribute *attributes, const kd_ast_alter_action *action)
{
    int at = find_attribute(entry, action->name);
    if (at < 0)
        return no_attribute(ctx, entry, action->name);
    KD_TRY(kdi_refuse_row_users(ctx, run, &entry->object));
    return bind_attribute(ctx, run, entry, &action->type, &attributes[at]);
}

/* One action at a time: rows are made to conform after each. */
static kd_status act(kd_ctx *ctx, kd_run *run, uint32_t object_no,
                     const kd_ast_alter_action *action)
{
    kd_composite_entry entry = *(const kd_composite_entry *)kd_catalog_get(run->catalog, object_no);
    kd_attribute *attributes =
        KD_NEW_ARRAY(ctx, run->arena, kd_attribute, entry.attribute_count + 1);
    if (attributes == NULL)
        return KD_NOMEM;
    uint32_t before = entry.attribute_count;
    if (before > 0)
        memcpy(attributes, entry.attributes, before * sizeof *attributes);
    entry.attributes = attributes;
    if (action->what == KD_AST_ADD_COLUMN && before >= KD_RECORD_FIELDS_MAX)
        return KD_FAIL(ctx, KD_LIMIT, "54011", "types can have at most %d attributes",
                       KD_RECORD_FIELDS_MAX);
    if (action->what == KD_AST_ADD_COLUMN)
        KD_TRY(add_attribute(ctx, run, &entry, attributes, action->column_def));
    else if (action->what == KD_AST_DROP_COLUMN)
        KD_TRY(drop_attribute(ctx, run, &entry, attributes, action));
    else
        KD_TRY(alter_attribute(ctx, run, &entry, attributes, action));
    KD_TRY(kdi_put(ctx, run, &entry.object));
    if (entry.attribute_count != before)
        KD_TRY(kdi_rewrite_row_users(ctx, run, object_no));
    if (action->what == KD_AST_ADD_COLUMN)
        return KD_OK;
    return kdi_views_after(ctx, run, &entry.object, action->behavior == KD_AST_CASCADE);
}

kd_status kdi_alter_composite(kd_ctx *ctx, kd_run *run, const kd_ast_alter_composite *ast)
{
    const kd_composite_entry *entry;
    kdi_set_tag(run, "ALTER TYPE");
    KD_TRY(composite_named(ctx, run, &ast->name, &entry));
    for (size_t i = 0; i < ast->actions.count; i++)
        KD_TRY(act(ctx, run, entry->object.object_no,
                   (const kd_ast_alter_action *)ast->actions.items[i]));
    return KD_OK;
}

kd_status kdi_rename_attribute(kd_ctx *ctx, kd_run *run, const kd_ast_rename *ast)
{
    const kd_composite_entry *old;
    kdi_set_tag(run, "ALTER TYPE");
    KD_TRY(composite_named(ctx, run, &ast->name, &old));
    kd_composite_entry entry = *old;
    int at = find_attribute(&entry, ast->member);
    if (at < 0)
        return KD_FAIL(ctx, KD_INVALID, "42703", "column \"%.*s\" does not exist",
                       (int)ast->member.size_bytes, ast->member.data);
    if (find_attribute(&entry, ast->new_name) >= 0)
        return KD_FAIL(ctx, KD_INVALID, "42701",
                       "column \"%.*s\" of relation \"%.*s\" already exists",
                       (int)ast->new_name.size_bytes, ast->new_name.data,
                       (int)entry.object.name.size_bytes, entry.object.name.data);
    kd_attribute *attributes = KD_NEW_ARRAY(ctx, run->arena, kd_attribute, entry.attribute_count);
    if (attributes == NULL)
        return KD_NOMEM;
    memcpy(attributes, entry.attributes, entry.attribute_count * sizeof *attributes);
    attributes[at].name = ast->new_name;
    entry.attributes = attributes;
    KD_TRY(kdi_put(ctx, run, &entry.object));
    KD_TRY(kdi_rewrite_row_users(ctx, run, entry.object.object_no));
    return kdi_views_after(ctx, run, &entry.object, ast->behavior == KD_AST_CASCADE);
}

kd_status kdi_comment_on_attribute(kd_ctx *ctx, kd_run *run, const kd_object *type,
                                   kd_slice attribute, kd_slice text)
{
    kd_composite_entry entry = *(const kd_composite_entry *)type;
    int at = find_attribute(&entry, attribute);
    if (at < 0)
        return no_attribute(ctx, &entry, attribute);
    kd_attribute *attributes = KD_NEW_ARRAY(ctx, run->arena, kd_attribute, entry.attribute_count);
    if (attributes == NULL)
        return KD_NOMEM;
    memcpy(attributes, entry.attributes, entry.attribute_count * sizeof *attributes);
    attributes[at].comment = text;
    entry.attributes = attributes;
    return kdi_put(ctx, run, &entry.object);
}
