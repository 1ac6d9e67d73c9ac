/*
 * CREATE SEQUENCE, ALTER SEQUENCE, and the sequences of serial and identity columns.
 */
#include "engine/define_internal.h"

#include <assert.h>

typedef struct sequence_options {
    kd_type type;
    kd_sequence_definition definition;
    bool has_start, has_min, has_max;
    bool restarts, has_restart;
    int64_t restart;
} sequence_options;

static void type_range(kd_type type, int64_t *out_min, int64_t *out_max)
{
    *out_min = type.id == KD_TYPE_INT2   ? INT16_MIN
               : type.id == KD_TYPE_INT4 ? INT32_MIN
                                         : INT64_MIN;
    *out_max = type.id == KD_TYPE_INT2   ? INT16_MAX
               : type.id == KD_TYPE_INT4 ? INT32_MAX
                                         : INT64_MAX;
}

static kd_status number_of(kd_ctx *ctx, const kd_ast_option *option, int64_t *out_number)
{
    const kd_ast_constant *constant = (const kd_ast_constant *)option->value;
    if (constant == NULL || constant->node.kind != KD_AST_CONSTANT ||
        constant->what != KD_AST_INTEGER)
        return KD_FAIL(ctx, KD_INVALID, "22023", "%.*s of a sequence must be an integer",
                       (int)option->name.size_bytes, option->name.data);
    *out_number = constant->integer;
    return KD_OK;
}

static bool is_option(const kd_ast_option *option, const char *name)
{
    return kd_slice_equal(option->name, kd_slice_of(name));
}

static kd_status read_option(kd_ctx *ctx, kd_run *run, const kd_ast_option *option,
                             sequence_options *out)
{
    kd_sequence_definition *definition = &out->definition;
    if (is_option(option, "increment"))
        return number_of(ctx, option, &definition->increment);
    if (is_option(option, "minvalue")) {
        out->has_min = option->value != NULL;
        return option->value == NULL ? KD_OK : number_of(ctx, option, &definition->min);
    }
    if (is_option(option, "maxvalue")) {
        out->has_max = option->value != NULL;
        return option->value == NULL ? KD_OK : number_of(ctx, option, &definition->max);
    }
    if (is_option(option, "start")) {
        out->has_start = true;
        return number_of(ctx, option, &definition->start);
    }
    if (is_option(option, "restart")) {
        out->restarts = true;
        out->has_restart = option->value != NULL;
        return option->value == NULL ? KD_OK : number_of(ctx, option, &out->restart);
    }
    if (is_option(option, "cycle")) {
        definition->cycle = ((const kd_ast_constant *)option->value)->boolean;
        return KD_OK;
    }
    if (is_option(option, "as")) {
        kd_bind_options options;
        const kd_ast_cast *cast = (const kd_ast_cast *)option->value;
        KD_TRY(
            kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
        KD_TRY(kd_bind_type(ctx, &options, &cast->type, &out->type));
        if (!kd_type_is_integer(out->type))
            return KD_FAIL(ctx, KD_INVALID, "22023",
                           "sequence type must be smallint, integer, or bigint");
    }
    return KD_OK; /* CACHE, OWNED BY and the like: see the callers. */
}

static kd_status check_definition(kd_ctx *ctx, sequence_options *options)
{
    kd_sequence_definition *definition = &options->definition;
    int64_t low, high;
    type_range(options->type, &low, &high);
    if (definition->increment == 0)
        return KD_FAIL(ctx, KD_INVALID, "22023", "INCREMENT must not be zero");
    if (!options->has_min)
        definition->min = definition->increment > 0 ? 1 : low;
    if (!options->has_max)
        definition->max = definition->increment > 0 ? high : -1;
    if (definition->min < low || definition->max > high)
        return KD_FAIL(ctx, KD_INVALID, "22023", "%s (%lld) is out of range for sequence data type",
                       definition->min < low ? "MINVALUE" : "MAXVALUE",
                       (long long)(definition->min < low ? definition->min : definition->max));
    if (definition->min >= definition->max)
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "MINVALUE (%lld) must be less than MAXVALUE (%lld)",
                       (long long)definition->min, (long long)definition->max);
    if (!options->has_start)
        definition->start = definition->increment > 0 ? definition->min : definition->max;
    if (definition->start < definition->min)
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "START value (%lld) cannot be less than MINVALUE (%lld)",
                       (long long)definition->start, (long long)definition->min);
    if (definition->start > definition->max)
        return KD_FAIL(ctx, KD_INVALID, "22023",
                       "START value (%lld) cannot be greater than MAXVALUE (%lld)",
                       (long long)definition->start, (long long)definition->max);
    return KD_OK;
}

kd_status kdi_sequence_make(kd_ctx *ctx, kd_run *run, uint32_t schema_no, kd_slice name,
                            kd_type type, const kd_ast_list *options, uint32_t owner_table_no,
                            uint32_t owner_column_no, uint32_t *out_object_no)
{
    kd_session *session = run->session;
    sequence_options read = {.type = type, .definition = {.increment = 1}};
    kd_sequence_entry entry = {.object = {.kind = KD_OBJECT_SEQUENCE,
                                          .schema_no = schema_no,
                                          .name = name,
                                          .comment = {"", 0}},
                               .owner_table_no = owner_table_no,
                               .owner_column_no = owner_column_no};
    *out_object_no = 0;
    for (size_t i = 0; options != NULL && i < options->count; i++)
        KD_TRY(read_option(ctx, run, (const kd_ast_option *)options->items[i], &read));
    KD_TRY(check_definition(ctx, &read));
    entry.type = read.type;
    KD_TRY(kd_catalog_next_object_no(ctx, session->database->catalog, &entry.object.object_no));
    KD_TRY(kd_sequence_create(ctx, session->txn, session->database->storage, &read.definition,
                              &entry.sequence_no));
    *out_object_no = entry.object.object_no;
    return kdi_put(ctx, run, &entry.object);
}

/* OWNED BY table.column, or NONE. */
static kd_status set_owner(kd_ctx *ctx, kd_run *run, const kd_ast_node *node,
                           kd_sequence_entry *entry)
{
    const kd_ast_column *ast = (const kd_ast_column *)node;
    const kd_table_entry *table;
    if (node->kind != KD_AST_COLUMN || ast->part_count == 0)
        return KD_FAIL(ctx, KD_INVALID, "42601", "invalid OWNED BY option");
    if (ast->part_count == 1) {
        entry->owner_table_no = entry->owner_column_no = 0;
        return kd_slice_equal_ignoring_case(ast->parts[0], KD_SLICE("none"))
                   ? KD_OK
                   : KD_FAIL(ctx, KD_INVALID, "42601", "invalid OWNED BY option");
    }
    kd_ast_name name = {.name = ast->parts[ast->part_count - 2], .position = node->position};
    if (ast->part_count > 2)
        name.schema = ast->parts[ast->part_count - 3];
    kd_slice column = ast->parts[ast->part_count - 1];
    KD_TRY(kdi_table_for_change(ctx, run, &name, false, &table));
    if (table->object.schema_no != entry->object.schema_no)
        return KD_FAIL(ctx, KD_INVALID, "55000",
                       "sequence must be in same schema as table it is linked to");
    for (uint32_t i = 0; i < table->visible_count; i++)
        if (kd_slice_equal(table->columns[i].storage.name, column)) {
            entry->owner_table_no = table->object.object_no;
            entry->owner_column_no = table->columns[i].storage.column_no;
            return KD_OK;
        }
    return KD_FAIL(ctx, KD_INVALID, "42703", "column \"%.*s\" of relation \"%.*s\" does not exist",
                   (int)column.size_bytes, column.data, (int)table->object.name.size_bytes,
                   table->object.name.data);
}

/* Puts the entry again if the options give it another owner. */
static kd_status change_owner(kd_ctx *ctx, kd_run *run, const kd_sequence_entry *entry,
                              const kd_ast_list *options)
{
    for (size_t i = 0; i < options->count; i++) {
        const kd_ast_option *option = (const kd_ast_option *)options->items[i];
        kd_sequence_entry changed = *entry;
        if (!is_option(option, "owned_by") || option->value == NULL)
            continue;
        KD_TRY(set_owner(ctx, run, option->value, &changed));
        return kdi_put(ctx, run, &changed.object);
    }
    return KD_OK;
}

kd_status kdi_sequence_change(kd_ctx *ctx, kd_run *run, const kd_sequence_entry *entry,
                              const kd_ast_list *options)
{
    kd_storage *storage = run->session->database->storage;
    int64_t last;
    bool called;
    sequence_options read = {
        .type = entry->type, .has_min = true, .has_max = true, .has_start = true};
    KD_TRY(kd_sequence_get(ctx, storage, entry->sequence_no, &read.definition, &last, &called));
    for (size_t i = 0; i < options->count; i++)
        KD_TRY(read_option(ctx, run, (const kd_ast_option *)options->items[i], &read));
    KD_TRY(check_definition(ctx, &read));
    KD_TRY(kd_sequence_alter(ctx, storage, entry->sequence_no, &read.definition));
    if (!read.restarts)
        return KD_OK;
    return kd_sequence_set(ctx, storage, entry->sequence_no,
                           read.has_restart ? read.restart : read.definition.start, false);
}

kd_status kdi_alter_sequence(kd_ctx *ctx, kd_run *run, const kd_ast_alter_sequence *ast)
{
    kd_bind_options options;
    const kd_object *object;
    kdi_set_tag(run, "ALTER SEQUENCE");
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_relation(ctx, &options, &ast->name, ast->if_exists, &object));
    if (object == NULL)
        return KD_OK;
    if (object->kind != KD_OBJECT_SEQUENCE)
        return KD_FAIL(ctx, KD_INVALID, "42809", "\"%.*s\" is not a sequence",
                       (int)ast->name.name.size_bytes, ast->name.name.data);
    const kd_sequence_entry *entry = (const kd_sequence_entry *)object;
    KD_TRY(kdi_sequence_change(ctx, run, entry, &ast->options));
    return change_owner(ctx, run, entry, &ast->options);
}

kd_status kdi_create_sequence(kd_ctx *ctx, kd_run *run, const kd_ast_create_sequence *ast)
{
    uint32_t schema_no, object_no;
    bool exists;
    kdi_set_tag(run, "CREATE SEQUENCE");
    KD_TRY(kdi_target_schema(ctx, run, &ast->name, &schema_no));
    KD_TRY(kdi_check_free(ctx, run, schema_no, ast->name.name, KD_OBJECT_SEQUENCE,
                          ast->if_not_exists, &exists));
    if (exists)
        return KD_OK;
    KD_TRY(kdi_sequence_make(ctx, run, schema_no, ast->name.name, kd_type_of(KD_TYPE_INT8),
                             &ast->options, 0, 0, &object_no));
    const kd_object *made = kd_catalog_get(run->catalog, object_no);
    return change_owner(ctx, run, (const kd_sequence_entry *)made, &ast->options);
}
