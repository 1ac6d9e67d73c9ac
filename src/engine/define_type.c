/*
 * Enum types and domains.
 */
#include "engine/define_internal.h"

enum { RANK_STEP = 1 << 16 };

const kd_object *kdi_find_type(const kd_run *run, const kd_ast_name *name)
{
    const kd_settings *settings = &run->session->settings;
    if (name->schema.size_bytes > 0) {
        const kd_object *schema = kd_catalog_find_schema(run->catalog, name->schema);
        return schema == NULL ? NULL
                              : kd_catalog_find_type(run->catalog, schema->object_no, name->name);
    }
    for (uint32_t i = 0; i < settings->search_path_count; i++) {
        const kd_object *schema = kd_catalog_find_schema(run->catalog, settings->search_path[i]);
        const kd_object *type =
            schema == NULL ? NULL
                           : kd_catalog_find_type(run->catalog, schema->object_no, name->name);
        if (type != NULL)
            return type;
    }
    return NULL;
}

static kd_status named_type(kd_ctx *ctx, const kd_run *run, const kd_ast_name *name,
                            kd_object_kind kind, const char *what, const kd_object **out_type)
{
    *out_type = kdi_find_type(run, name);
    if (*out_type == NULL || (*out_type)->kind != kind)
        return KD_FAIL(ctx, KD_INVALID, *out_type == NULL ? "42704" : "42809",
                       *out_type == NULL ? "type \"%.*s\" does not exist" : "\"%.*s\" is not %s",
                       (int)name->name.size_bytes, name->name.data, what);
    return KD_OK;
}

/* Labels are names to PostgreSQL. */
static kd_status check_label(kd_ctx *ctx, kd_slice label)
{
    enum { LABEL_BYTES_MAX = 63 };
    if (label.size_bytes <= LABEL_BYTES_MAX)
        return KD_OK;
    kd_status status = KD_FAIL(ctx, KD_INVALID, "42602", "invalid enum label \"%.*s\"",
                               (int)label.size_bytes, label.data);
    kd_error_set_detail(ctx, "Labels must be 63 bytes or less.");
    return status;
}

kd_status kdi_create_enum(kd_ctx *ctx, kd_run *run, const kd_ast_create_enum *ast)
{
    bool exists;
    uint32_t count = (uint32_t)ast->labels.count;
    kd_enum_entry entry = {
        .object = {.kind = KD_OBJECT_ENUM, .name = ast->name.name, .comment = {"", 0}},
        .label_count = count,
        .labels = ast->labels.items};
    int32_t *ranks = KD_NEW_ARRAY(ctx, run->arena, int32_t, count);
    kdi_set_tag(run, "CREATE TYPE");
    if (ranks == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        KD_TRY(check_label(ctx, ast->labels.items[i]));
        ranks[i] = (int32_t)(i + 1) * RANK_STEP;
        for (uint32_t k = 0; k < i; k++)
            if (kd_slice_equal(ast->labels.items[i], ast->labels.items[k]))
                return KD_FAIL(ctx, KD_INVALID, "23505", "enum label \"%.*s\" used more than once",
                               (int)ast->labels.items[i].size_bytes, ast->labels.items[i].data);
    }
    entry.ranks = ranks;
    KD_TRY(kdi_target_schema(ctx, run, &ast->name, &entry.object.schema_no));
    KD_TRY(kdi_check_free(ctx, run, entry.object.schema_no, ast->name.name, KD_OBJECT_ENUM, false,
                          &exists));
    KD_TRY(
        kd_catalog_next_object_no(ctx, run->session->database->catalog, &entry.object.object_no));
    return kdi_put(ctx, run, &entry.object);
}

static int find_label(const kd_enum_entry *entry, kd_slice label)
{
    for (uint32_t i = 0; i < entry->label_count; i++)
        if (kd_slice_equal(entry->labels[i], label))
            return (int)i;
    return -1;
}

static kd_status no_label(kd_ctx *ctx, kd_slice label)
{
    return KD_FAIL(ctx, KD_INVALID, "22023", "\"%.*s\" is not an existing enum label",
                   (int)label.size_bytes, label.data);
}

/* The new label's place: behind `at - 1`, before `at`. Ranks leave room between two. */
static kd_status insert_label(kd_ctx *ctx, kd_run *run, kd_enum_entry *entry, uint32_t at,
                              kd_slice label)
{
    uint32_t count = entry->label_count;
    kd_slice *labels = KD_NEW_ARRAY(ctx, run->arena, kd_slice, count + 1);
    int32_t *ranks = KD_NEW_ARRAY(ctx, run->arena, int32_t, count + 1);
    if (labels == NULL || ranks == NULL)
        return KD_NOMEM;
    int64_t before = at == 0 ? (int64_t)entry->ranks[0] - 2 * RANK_STEP : entry->ranks[at - 1];
    int64_t after = at == count ? before + 2 * RANK_STEP : entry->ranks[at];
    int64_t rank = before + (after - before) / 2;
    if (rank <= before || rank >= after || rank > INT32_MAX || rank < INT32_MIN)
        return KD_FAIL(ctx, KD_LIMIT, "54000",
                       "no room for another label there; recreate the type");
    for (uint32_t i = 0; i <= count; i++) {
        labels[i] = i < at ? entry->labels[i] : i == at ? label : entry->labels[i - 1];
        ranks[i] = i < at ? entry->ranks[i] : i == at ? (int32_t)rank : entry->ranks[i - 1];
    }
    entry->labels = labels;
    entry->ranks = ranks;
    entry->label_count = count + 1;
    return KD_OK;
}

kd_status kdi_alter_enum(kd_ctx *ctx, kd_run *run, const kd_ast_alter_enum *ast)
{
    const kd_object *object;
    kdi_set_tag(run, "ALTER TYPE");
    KD_TRY(named_type(ctx, run, &ast->name, KD_OBJECT_ENUM, "an enum", &object));
    kd_enum_entry entry = *(const kd_enum_entry *)object;
    KD_TRY(check_label(ctx, ast->is_rename ? ast->new_label : ast->label));
    int found = find_label(&entry, ast->label);
    if (ast->is_rename) {
        if (found < 0)
            return no_label(ctx, ast->label);
        if (find_label(&entry, ast->new_label) >= 0)
            return KD_FAIL(ctx, KD_INVALID, "42710", "enum label \"%.*s\" already exists",
                           (int)ast->new_label.size_bytes, ast->new_label.data);
        kd_slice *labels = KD_NEW_ARRAY(ctx, run->arena, kd_slice, entry.label_count);
        if (labels == NULL)
            return KD_NOMEM;
        memcpy(labels, entry.labels, entry.label_count * sizeof *labels);
        labels[found] = ast->new_label;
        entry.labels = labels;
        return kdi_put(ctx, run, &entry.object);
    }
    if (found >= 0 && ast->if_not_exists)
        return KD_OK;
    if (found >= 0)
        return KD_FAIL(ctx, KD_INVALID, "42710", "enum label \"%.*s\" already exists",
                       (int)ast->label.size_bytes, ast->label.data);
    uint32_t at = entry.label_count;
    if (ast->has_neighbor) {
        int neighbor = find_label(&entry, ast->neighbor);
        if (neighbor < 0)
            return no_label(ctx, ast->neighbor);
        at = (uint32_t)neighbor + ast->is_after;
    }
    KD_TRY(insert_label(ctx, run, &entry, at, ast->label));
    return kdi_put(ctx, run, &entry.object);
}

/* --- Domains
 * ------------------------------------------------------------------------------------------ */

static kd_status add_domain_constraint(kd_ctx *ctx, kd_run *run, kd_domain_entry *entry,
                                       const kd_ast_constraint *constraint)
{
    kd_slice name = constraint->name;
    switch (constraint->what) {
    case KD_AST_CONSTRAINT_NOT_NULL:
        entry->not_null = true;
        return KD_OK;
    case KD_AST_CONSTRAINT_NULL:
        return KD_OK;
    case KD_AST_CONSTRAINT_DEFAULT:
        return kdi_node_text(ctx, run, constraint->value, &entry->default_text);
    case KD_AST_CONSTRAINT_CHECK: {
        kd_check *checks = KD_NEW_ARRAY(ctx, run->arena, kd_check, entry->check_count + 1);
        if (checks == NULL)
            return KD_NOMEM;
        if (entry->check_count > 0)
            memcpy(checks, entry->checks, entry->check_count * sizeof *checks);
        if (name.size_bytes == 0)
            KD_TRY(kdi_choose_name(ctx, run, NULL, entry->object.schema_no, entry->object.name,
                                   (kd_slice){"", 0}, "check", &name));
        checks[entry->check_count].name = name;
        KD_TRY(kdi_node_text(ctx, run, constraint->value,
                             &checks[entry->check_count].expression_text));
        entry->check_count++;
        entry->checks = checks;
        return KD_OK;
    }
    default:
        return KD_FAIL(ctx, KD_INVALID, "42601", "domains take NOT NULL, DEFAULT and CHECK only");
    }
}

/* A domain over another one begins with what that one has now. */
static void take_over(const kd_run *run, const kd_ast_type *type, kd_domain_entry *entry)
{
    const kd_object *object = type->dimensions > 0 ? NULL : kdi_find_type(run, &type->name);
    if (object == NULL || object->kind != KD_OBJECT_DOMAIN)
        return;
    const kd_domain_entry *below = (const kd_domain_entry *)object;
    entry->not_null = below->not_null;
    entry->default_text = below->default_text;
    entry->check_count = below->check_count;
    entry->checks = below->checks;
}

kd_status kdi_create_domain(kd_ctx *ctx, kd_run *run, const kd_ast_create_domain *ast)
{
    bool exists;
    kd_bind_options options;
    kd_domain_entry entry = {
        .object = {.kind = KD_OBJECT_DOMAIN, .name = ast->name.name, .comment = {"", 0}},
        .default_text = {"", 0}};
    kdi_set_tag(run, "CREATE DOMAIN");
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_type(ctx, &options, &ast->type, &entry.base));
    KD_TRY(kdi_target_schema(ctx, run, &ast->name, &entry.object.schema_no));
    KD_TRY(kdi_check_free(ctx, run, entry.object.schema_no, ast->name.name, KD_OBJECT_DOMAIN, false,
                          &exists));
    take_over(run, &ast->type, &entry);
    for (size_t i = 0; i < ast->constraints.count; i++)
        KD_TRY(add_domain_constraint(ctx, run, &entry,
                                     (const kd_ast_constraint *)ast->constraints.items[i]));
    KD_TRY(
        kd_catalog_next_object_no(ctx, run->session->database->catalog, &entry.object.object_no));
    return kdi_put(ctx, run, &entry.object);
}

/* --- Columns of a domain: they have its checks and NOT NULL as their own */

typedef struct domain_change {
    kd_run *run;
    const kd_domain_entry *domain;
    kd_slice dropped;            /* DROP CONSTRAINT: its name; else empty. */
    const kd_check *added;       /* ADD CONSTRAINT; else NULL. */
    const kd_check *validated;   /* VALIDATE CONSTRAINT; else NULL. */
    const kd_slice *new_default; /* SET and DROP DEFAULT; else NULL. */
    kd_slice old_default;
    bool not_valid;
    bool sets_not_null, drops_not_null;
} domain_change;

static kd_status rows_hold(kd_ctx *ctx, const domain_change *change, const kd_table_entry *table,
                           kd_slice condition, bool *out_hold)
{
    const kd_object *schema = kd_catalog_get(change->run->catalog, table->object.schema_no);
    kd_buffer text = kd_buffer_in(change->run->arena);
    int64_t found;
    KD_TRY(kd_buffer_append_format(
        ctx, &text, "SELECT 1 FROM \"%.*s\".\"%.*s\" WHERE NOT (%.*s) LIMIT 1",
        (int)schema->name.size_bytes, schema->name.data, (int)table->object.name.size_bytes,
        table->object.name.data, (int)condition.size_bytes, condition.data));
    KD_TRY(kdi_query_check(ctx, change->run->session, kd_buffer_slice(&text), &found));
    *out_hold = found == 0;
    return KD_OK;
}

static kd_status check_rows(kd_ctx *ctx, const domain_change *change, const kd_table_entry *table,
                            kd_slice column, kd_slice condition)
{
    bool hold;
    KD_TRY(rows_hold(ctx, change, table, condition, &hold));
    return hold ? KD_OK
                : KD_FAIL(ctx, KD_INVALID, "23514",
                          "column \"%.*s\" of table \"%.*s\" contains values that violate the "
                          "new constraint",
                          (int)column.size_bytes, column.data, (int)table->object.name.size_bytes,
                          table->object.name.data);
}

static kd_status add_check_to(kd_ctx *ctx, const domain_change *change, const kd_table_entry *table,
                              kdi_draft *draft, kd_slice column)
{
    kd_check *added;
    kd_slice text;
    KD_TRY(kdi_replace_name(ctx, draft->arena, change->added->expression_text, KD_SLICE("value"),
                            column, &text));
    if (!change->not_valid)
        KD_TRY(check_rows(ctx, change, table, column, text));
    KD_TRY(KD_PUSH(ctx, draft->arena, draft->checks, draft->entry.check_count,
                   draft->check_capacity, &added));
    *added = (kd_check){
        .name = change->added->name, .expression_text = text, .not_valid = change->not_valid};
    return KD_OK;
}

static kd_status validate_check_of(kd_ctx *ctx, const domain_change *change,
                                   const kd_table_entry *table, kdi_draft *draft, kd_slice column)
{
    kd_slice text;
    KD_TRY(kdi_replace_name(ctx, draft->arena, change->validated->expression_text,
                            KD_SLICE("value"), column, &text));
    KD_TRY(check_rows(ctx, change, table, column, text));
    for (uint32_t i = 0; i < draft->entry.check_count; i++)
        if (kd_slice_equal(draft->checks[i].name, change->validated->name) &&
            kd_slice_equal(draft->checks[i].expression_text, text))
            draft->checks[i].not_valid = false;
    return KD_OK;
}

static kd_status set_not_null_of(kd_ctx *ctx, const domain_change *change,
                                 const kd_table_entry *table, kd_column *column)
{
    kd_slice name = column->storage.name;
    bool hold;
    char *condition = kd_format_text(ctx, change->run->arena, "\"%.*s\" IS NOT NULL",
                                     (int)name.size_bytes, name.data);
    if (condition == NULL)
        return KD_NOMEM;
    if (column->storage.not_null)
        return KD_OK;
    KD_TRY(rows_hold(ctx, change, table, kd_slice_of(condition), &hold));
    if (!hold)
        return KD_FAIL(ctx, KD_INVALID, "23502",
                       "column \"%.*s\" of table \"%.*s\" contains null values",
                       (int)name.size_bytes, name.data, (int)table->object.name.size_bytes,
                       table->object.name.data);
    column->storage.not_null = column->domain_not_null = true;
    return KD_OK;
}

static kd_status change_column(kd_ctx *ctx, const domain_change *change,
                               const kd_table_entry *table, kdi_draft *draft, uint32_t position)
{
    kd_column *column = &draft->columns[position];
    if (change->added != NULL)
        KD_TRY(add_check_to(ctx, change, table, draft, column->storage.name));
    if (change->validated != NULL)
        KD_TRY(validate_check_of(ctx, change, table, draft, column->storage.name));
    /* What a column has in the domain's words is taken for the domain's. */
    if (change->new_default != NULL && kd_slice_equal(column->default_text, change->old_default))
        column->default_text = *change->new_default;
    if (change->sets_not_null)
        KD_TRY(set_not_null_of(ctx, change, table, column));
    if (change->drops_not_null && column->domain_not_null)
        column->storage.not_null = column->domain_not_null = false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < draft->entry.check_count; i++)
        if (change->dropped.size_bytes == 0 ||
            !kd_slice_equal(draft->checks[i].name, change->dropped))
            draft->checks[kept++] = draft->checks[i];
    draft->entry.check_count = kept;
    return KD_OK;
}

typedef struct table_list {
    kd_ctx *ctx;
    kd_arena *arena;
    uint32_t domain_no;
    const kd_table_entry **tables;
    size_t count, capacity;
    kd_status status;
} table_list;

static void visit_table(void *object, const kd_object *entry)
{
    table_list *list = object;
    const kd_table_entry *table = (const kd_table_entry *)entry, **added;
    if (entry->kind != KD_OBJECT_TABLE || list->status != KD_OK)
        return;
    for (uint32_t i = 0; i < table->visible_count; i++) {
        if (table->columns[i].domain_no != list->domain_no)
            continue;
        list->status =
            KD_PUSH(list->ctx, list->arena, list->tables, list->count, list->capacity, &added);
        if (list->status == KD_OK)
            *added = table;
        return;
    }
}

static kd_status change_columns(kd_ctx *ctx, const domain_change *change)
{
    kd_run *run = change->run;
    table_list list = {
        .ctx = ctx, .arena = run->arena, .domain_no = change->domain->object.object_no};
    kd_catalog_visit(run->catalog, visit_table, &list);
    KD_TRY(list.status);
    for (size_t i = 0; i < list.count; i++) {
        kdi_draft *draft;
        if (list.tables[i]->table_no != 0)
            KD_TRY(kd_txn_lock_table(ctx, run->session->txn, list.tables[i]->table_no,
                                     KD_TABLE_EXCLUSIVE, false));
        KD_TRY(kdi_draft_open(ctx, run, list.tables[i], &draft));
        for (uint32_t c = 0; c < draft->entry.column_count; c++)
            if (draft->columns[c].domain_no == list.domain_no)
                KD_TRY(change_column(ctx, change, list.tables[i], draft, c));
        KD_TRY(kdi_draft_put(ctx, draft));
    }
    return KD_OK;
}

static kd_status no_check(kd_ctx *ctx, const kd_domain_entry *entry, kd_slice name)
{
    return KD_FAIL(ctx, KD_INVALID, "42704",
                   "constraint \"%.*s\" of domain \"%.*s\" does not exist", (int)name.size_bytes,
                   name.data, (int)entry->object.name.size_bytes, entry->object.name.data);
}

static kd_status find_check(kd_ctx *ctx, const kd_domain_entry *entry, kd_slice name,
                            const kd_check **out)
{
    for (uint32_t i = 0; i < entry->check_count; i++)
        if (kd_slice_equal(entry->checks[i].name, name)) {
            *out = &entry->checks[i];
            return KD_OK;
        }
    return no_check(ctx, entry, name);
}

static kd_status drop_domain_constraint(kd_ctx *ctx, kd_run *run, kd_domain_entry *entry,
                                        const kd_ast_alter_action *action)
{
    uint32_t kept = 0;
    kd_check *checks = KD_NEW_ARRAY(ctx, run->arena, kd_check, entry->check_count);
    if (checks == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < entry->check_count; i++)
        if (!kd_slice_equal(entry->checks[i].name, action->name))
            checks[kept++] = entry->checks[i];
    if (kept == entry->check_count && !action->if_exists)
        return no_check(ctx, entry, action->name);
    entry->checks = checks;
    entry->check_count = kept;
    return KD_OK;
}

kd_status kdi_alter_domain(kd_ctx *ctx, kd_run *run, const kd_ast_alter_domain *ast)
{
    const kd_object *object;
    const kd_ast_alter_action *action = ast->action;
    kdi_set_tag(run, "ALTER DOMAIN");
    KD_TRY(named_type(ctx, run, &ast->name, KD_OBJECT_DOMAIN, "a domain", &object));
    kd_domain_entry entry = *(const kd_domain_entry *)object;
    domain_change change = {.run = run, .domain = &entry};
    switch (action->what) {
    case KD_AST_SET_DEFAULT:
    case KD_AST_DROP_DEFAULT:
        change.old_default = entry.default_text;
        change.new_default = &entry.default_text;
        entry.default_text = (kd_slice){"", 0};
        if (action->what == KD_AST_SET_DEFAULT)
            KD_TRY(kdi_node_text(ctx, run, action->value, &entry.default_text));
        break;
    case KD_AST_VALIDATE_CONSTRAINT:
        KD_TRY(find_check(ctx, &entry, action->name, &change.validated));
        break;
    case KD_AST_SET_NOT_NULL:
        change.sets_not_null = entry.not_null = true;
        break;
    case KD_AST_DROP_NOT_NULL:
        change.drops_not_null = true;
        entry.not_null = false;
        break;
    case KD_AST_ADD_CONSTRAINT:
        for (uint32_t i = 0; i < entry.check_count; i++)
            if (kd_slice_equal(entry.checks[i].name, action->constraint->name))
                return KD_FAIL(ctx, KD_INVALID, "42710",
                               "constraint \"%.*s\" for domain \"%.*s\" already exists",
                               (int)action->constraint->name.size_bytes,
                               action->constraint->name.data, (int)entry.object.name.size_bytes,
                               entry.object.name.data);
        KD_TRY(add_domain_constraint(ctx, run, &entry, action->constraint));
        if (action->constraint->what == KD_AST_CONSTRAINT_CHECK)
            change.added = &entry.checks[entry.check_count - 1];
        change.not_valid = action->constraint->not_valid;
        break;
    case KD_AST_DROP_CONSTRAINT:
        KD_TRY(drop_domain_constraint(ctx, run, &entry, action));
        change.dropped = action->name;
        break;
    default:
        return KD_FAIL(ctx, KD_UNSUPPORTED, "0A000", "this ALTER DOMAIN is not supported");
    }
    KD_TRY(change_columns(ctx, &change));
    return kdi_put(ctx, run, &entry.object);
}
