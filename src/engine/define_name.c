/*
 * Names of new objects, and the catalog as a definition sees it.
 */
#include "engine/schema_change.h"

#include <stdio.h>

kd_status kdi_copy_name(kd_ctx *ctx, kd_arena *arena, kd_slice name, kd_slice *out_copy)
{
    char *copy = kd_copy_text(ctx, arena, name.data, name.size_bytes);
    *out_copy = (kd_slice){copy, name.size_bytes};
    return copy == NULL ? KD_NOMEM : KD_OK;
}

kd_status kdi_node_text(kd_ctx *ctx, kd_run *run, const kd_ast_node *node, kd_slice *out_text)
{
    kd_slice part = {run->prepared->text.data + node->position,
                     (size_t)(node->end - node->position)};
    return kdi_copy_name(ctx, run->arena, part, out_text);
}

static void unpin(void *version)
{
    kd_catalog_unpin(version);
}

kd_status kdi_catalog_refresh(kd_ctx *ctx, kd_run *run)
{
    /* Entries read from the version before stay valid as long as the run: it keeps every pin. */
    KD_TRY(kd_arena_defer(ctx, run->arena, unpin, run->catalog));
    run->catalog = NULL;
    KD_TRY(kd_catalog_pin(ctx, run->session->database->catalog, run->session->txn, &run->catalog));
    run->text.enum_object = run->catalog;
    return KD_OK;
}

kd_status kdi_put(kd_ctx *ctx, kd_run *run, const kd_object *entry)
{
    KD_TRY(kd_catalog_put(ctx, run->session->database->catalog, run->session->txn, entry));
    KD_TRY(kdi_schema_change_note(ctx, run, entry));
    return kdi_catalog_refresh(ctx, run);
}

kd_status kdi_remove(kd_ctx *ctx, kd_run *run, uint32_t object_no)
{
    const kd_object *gone = kd_catalog_get(run->catalog, object_no);
    if (gone != NULL)
        KD_TRY(kdi_schema_change_note(ctx, run, gone));
    KD_TRY(kd_catalog_remove(ctx, run->session->database->catalog, run->session->txn, object_no));
    return kdi_catalog_refresh(ctx, run);
}

kd_status kdi_target_schema(kd_ctx *ctx, kd_run *run, const kd_ast_name *name,
                            uint32_t *out_schema_no)
{
    const kd_settings *settings = &run->session->settings;
    *out_schema_no = 0;
    if (name->schema.size_bytes > 0) {
        const kd_object *schema = kd_catalog_find_schema(run->catalog, name->schema);
        if (schema == NULL) {
            kd_status status = KD_FAIL(ctx, KD_INVALID, "3F000", "schema \"%.*s\" does not exist",
                                       (int)name->schema.size_bytes, name->schema.data);
            kd_error_set_position(ctx, name->position);
            return status;
        }
        *out_schema_no = schema->object_no;
        return KD_OK;
    }
    for (uint32_t i = 0; i < settings->search_path_count; i++) {
        const kd_object *schema = kd_catalog_find_schema(run->catalog, settings->search_path[i]);
        if (schema != NULL) {
            *out_schema_no = schema->object_no;
            return KD_OK;
        }
    }
    return KD_FAIL(ctx, KD_INVALID, "3F000", "no schema has been selected to create in");
}

/* What stands in the way of a new object, and what messages call it. A composite type counts among
 * the relations, and a table or view among the types, for its rows' type has its name. */
static const kd_object *in_the_way(const kd_run *run, uint32_t schema_no, kd_slice name,
                                   kd_object_kind kind, bool *out_is_type)
{
    const kd_object *type = kd_catalog_find_type(run->catalog, schema_no, name);
    const kd_object *relation = kd_catalog_find_relation(run->catalog, schema_no, name);
    bool has_rows =
        relation != NULL && (relation->kind == KD_OBJECT_TABLE || relation->kind == KD_OBJECT_VIEW);
    kd_object wanted = {.kind = kind};
    *out_is_type = true;
    if (kd_object_is_type(&wanted)) {
        if (type != NULL || has_rows)
            return type != NULL ? type : relation;
        *out_is_type = false;
        return kind == KD_OBJECT_COMPOSITE ? relation : NULL;
    }
    bool gives_rows = kind == KD_OBJECT_TABLE || kind == KD_OBJECT_VIEW;
    if (relation == NULL && type != NULL && type->kind != KD_OBJECT_COMPOSITE && gives_rows)
        return type;
    *out_is_type = false;
    if (relation != NULL)
        return relation;
    return type != NULL && type->kind == KD_OBJECT_COMPOSITE ? type : NULL;
}

kd_status kdi_check_free(kd_ctx *ctx, kd_run *run, uint32_t schema_no, kd_slice name,
                         kd_object_kind kind, bool if_not_exists, bool *out_exists)
{
    bool is_type;
    const kd_object *found = in_the_way(run, schema_no, name, kind, &is_type);
    *out_exists = found != NULL;
    if (found == NULL)
        return KD_OK;
    if (if_not_exists && !is_type) {
        kdi_session_notice(run->session, "NOTICE", "42P07",
                           "relation \"%.*s\" already exists, skipping", (int)name.size_bytes,
                           name.data);
        return KD_OK;
    }
    kd_status status =
        KD_FAIL(ctx, KD_INVALID, is_type ? "42710" : "42P07", "%s \"%.*s\" already exists",
                is_type ? "type" : "relation", (int)name.size_bytes, name.data);
    if (is_type && (kind == KD_OBJECT_TABLE || kind == KD_OBJECT_VIEW))
        kd_error_set_hint(ctx, "A relation has an associated type of the same name, so you must "
                               "use a name that doesn't conflict with any existing type.");
    return status;
}

static bool name_is_taken(const kd_run *run, const kdi_draft *draft, uint32_t schema_no,
                          kd_slice name)
{
    if (kd_catalog_find_relation(run->catalog, schema_no, name) != NULL)
        return true;
    if (draft == NULL)
        return false;
    for (uint32_t i = 0; i < draft->entry.index_count; i++)
        if (kd_slice_equal(draft->indexes[i].object.name, name))
            return true;
    for (uint32_t i = 0; i < draft->entry.check_count; i++)
        if (kd_slice_equal(draft->checks[i].name, name))
            return true;
    for (uint32_t i = 0; i < draft->entry.foreign_count; i++)
        if (kd_slice_equal(draft->foreign_keys[i].name, name))
            return true;
    return false;
}

kd_status kdi_choose_name(kd_ctx *ctx, kd_run *run, const kdi_draft *draft, uint32_t schema_no,
                          kd_slice base, kd_slice middle, const char *suffix, kd_slice *out_name)
{
    for (int attempt = 0;; attempt++) {
        char number[16] = "";
        if (attempt > 0)
            (void)snprintf(number, sizeof number, "%d", attempt);
        char *name = kd_format_text(ctx, run->arena, "%.*s%s%.*s_%s%s", (int)base.size_bytes,
                                    base.data, middle.size_bytes > 0 ? "_" : "",
                                    (int)middle.size_bytes, middle.data, suffix, number);
        if (name == NULL)
            return KD_NOMEM;
        *out_name = kd_slice_of(name);
        if (!name_is_taken(run, draft, schema_no, *out_name))
            return KD_OK;
    }
}

kd_status kdi_table_for_change(kd_ctx *ctx, kd_run *run, const kd_ast_name *name, bool missing_ok,
                               const kd_table_entry **out_table)
{
    kd_bind_options options;
    const kd_object *object;
    *out_table = NULL;
    KD_TRY(kdi_bind_options(ctx, run->arena, run->session, run->catalog, &run->facts, &options));
    KD_TRY(kd_bind_relation(ctx, &options, name, missing_ok, &object));
    if (object == NULL)
        return KD_OK;
    if (object->kind != KD_OBJECT_TABLE) {
        kd_status status = KD_FAIL(ctx, KD_INVALID, "42809", "\"%.*s\" is not a table",
                                   (int)name->name.size_bytes, name->name.data);
        kd_error_set_position(ctx, name->position);
        return status;
    }
    const kd_table_entry *table = (const kd_table_entry *)object;
    if (table->table_no != 0)
        KD_TRY(
            kd_txn_lock_table(ctx, run->session->txn, table->table_no, KD_TABLE_EXCLUSIVE, false));
    *out_table = table;
    return KD_OK;
}

/* --- Names inside expressions' texts
 * ------------------------------------------------------------------ */

static bool starts_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

static bool continues_name(char c)
{
    return starts_name(c) || (c >= '0' && c <= '9') || c == '$';
}

/* The end of a quoted piece that starts at `at`; a doubled quote stays inside. */
static const char *quoted_end(const char *at, const char *end)
{
    char quote = *at++;
    while (at < end) {
        if (*at != quote)
            at++;
        else if (at + 1 < end && at[1] == quote)
            at += 2;
        else
            return at + 1;
    }
    return end;
}

static bool is_call_or_qualifier(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t'))
        at++;
    return at < end && (*at == '(' || *at == '.');
}

/* A piece of the text: a name, a string, or one character. */
static const char *piece_end(const char *at, const char *end)
{
    if (*at == '\'' || *at == '"')
        return quoted_end(at, end);
    if (!starts_name(*at))
        return at + 1;
    while (at < end && continues_name(*at))
        at++;
    return at;
}

static bool piece_is_name(kd_slice piece, kd_slice name)
{
    if (piece.data[0] == '"' && piece.size_bytes >= 2)
        return kd_slice_equal((kd_slice){piece.data + 1, piece.size_bytes - 2}, name);
    return starts_name(piece.data[0]) && kd_slice_equal_ignoring_case(piece, name);
}

kd_status kdi_replace_name(kd_ctx *ctx, kd_arena *arena, kd_slice text, kd_slice from, kd_slice to,
                           kd_slice *out_text)
{
    kd_buffer out = kd_buffer_in(arena);
    const char *end = text.data + text.size_bytes;
    for (const char *at = text.data; at < end;) {
        const char *stop = piece_end(at, end);
        kd_slice piece = {at, (size_t)(stop - at)};
        if (piece_is_name(piece, from) && !is_call_or_qualifier(stop, end))
            KD_TRY(kd_buffer_append_format(ctx, &out, "\"%.*s\"", (int)to.size_bytes, to.data));
        else
            KD_TRY(kd_buffer_append_slice(ctx, &out, piece));
        at = stop;
    }
    *out_text = kd_buffer_slice(&out);
    return KD_OK;
}
