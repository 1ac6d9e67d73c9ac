/*
 * The extended protocol: statements that are prepared, bound to parameters, and run in parts.
 *
 * A portal holds its run between two Executes as long as its transaction lasts. What comes between
 * two Syncs is one transaction, unless it is one statement alone, whose Sync is there already when
 * it runs.
 */
#include "server/pg_internal.h"

#include "sql/parser.h"
#include "types/type_number.h"

/* --- Statements ------------------------------------------------------------------------------- */

static kdi_pg_statement *find_statement(kdi_pg *pg, kd_slice name)
{
    return name.size_bytes == 0 ? pg->unnamed_statement : kd_map_find(&pg->statements, name);
}

static kd_status no_statement(kd_ctx *ctx, kd_slice name)
{
    if (name.size_bytes == 0)
        return KD_FAIL(ctx, KD_INVALID, "26000", "unnamed prepared statement does not exist");
    return KD_FAIL(ctx, KD_INVALID, "26000", "prepared statement \"%.*s\" does not exist",
                   (int)name.size_bytes, name.data);
}

static kd_status no_portal(kd_ctx *ctx, kd_slice name)
{
    return KD_FAIL(ctx, KD_INVALID, "34000", "portal \"%.*s\" does not exist", (int)name.size_bytes,
                   name.data);
}

static kdi_pg_portal *find_portal(kdi_pg *pg, kd_slice name)
{
    return name.size_bytes == 0 ? pg->unnamed_portal : kd_map_find(&pg->portals, name);
}

static void portal_destroy(kdi_pg *pg, kdi_pg_portal *portal)
{
    const kd_conversation_ops *ops = pg->talk->ops;
    if (portal == NULL)
        return;
    if (portal->is_running)
        ops->abandon(portal->request);
    if (portal->owns_request)
        ops->destroy(portal->request);
    else if (portal->request != NULL)
        portal->statement->portal_count--;
    if (portal == pg->unnamed_portal)
        pg->unnamed_portal = NULL;
    else
        (void)kd_map_remove(&pg->portals, portal->name);
    kd_arena_destroy(portal->arena);
}

/* The portals of a statement go with it. */
static void statement_destroy(kdi_pg *pg, kdi_pg_statement *statement)
{
    const kd_map_entry *entry;
    uint32_t cursor = 0;
    if (statement == NULL)
        return;
    if (pg->unnamed_portal != NULL && pg->unnamed_portal->statement == statement)
        portal_destroy(pg, pg->unnamed_portal);
    while ((entry = kd_map_next(&pg->portals, &cursor)) != NULL)
        if (((kdi_pg_portal *)entry->value)->statement == statement)
            portal_destroy(pg, entry->value);
    if (statement == pg->unnamed_statement)
        pg->unnamed_statement = NULL;
    else
        (void)kd_map_remove(&pg->statements, statement->name);
    pg->talk->ops->destroy(statement->request);
    kd_arena_destroy(statement->arena);
}

void kdi_pg_portals_close(kdi_pg *pg)
{
    const kd_map_entry *entry;
    uint32_t cursor = 0;
    portal_destroy(pg, pg->unnamed_portal);
    while ((entry = kd_map_next(&pg->portals, &cursor)) != NULL)
        portal_destroy(pg, entry->value);
}

void kdi_pg_statements_close(kdi_pg *pg)
{
    const kd_map_entry *entry;
    uint32_t cursor = 0;
    kdi_pg_portals_close(pg);
    statement_destroy(pg, pg->unnamed_statement);
    while ((entry = kd_map_next(&pg->statements, &cursor)) != NULL)
        statement_destroy(pg, entry->value);
}

/* --- Parse ------------------------------------------------------------------------------------ */

/* What the text is, for whoever runs it; the statement itself is parsed by its session. */
static kd_status classify(kd_ctx *ctx, kdi_pg *pg, kdi_pg_statement *statement)
{
    kd_statement parsed;
    KD_TRY(kd_parse_statement(ctx, pg->scratch, statement->text, &parsed));
    statement->is_empty = parsed.node == NULL;
    statement->is_transaction_command =
        parsed.node != NULL && parsed.node->kind == KD_AST_TRANSACTION;
    return KD_OK;
}

/* 0 and "unknown" leave a parameter's type to the statement. A number that only the catalog knows
 * is left to it as well: an enum's value is a text. */
static kd_status read_types(kd_ctx *ctx, kdi_pg_statement *statement, kd_reader *body)
{
    uint32_t count = kdi_pg_read_u16(body);
    statement->types = KD_NEW_ARRAY(ctx, statement->arena, kd_type, count + 1);
    if (statement->types == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        if (!kd_type_of_number(kdi_pg_read_u32(body), -1, &statement->types[i]))
            statement->types[i] = kd_type_of(KD_TYPE_UNKNOWN);
    while (count > 0 && statement->types[count - 1].id == KD_TYPE_UNKNOWN)
        count--;
    statement->type_count = count;
    if (body->failed || body->at != body->end)
        return kdi_pg_malformed(ctx, "invalid Parse message");
    return KD_OK;
}

static kd_status statement_fill(kd_ctx *ctx, kdi_pg *pg, kdi_pg_statement *statement, kd_slice name,
                                kd_slice text, kd_reader *body)
{
    char *own_name = kd_copy_text(ctx, statement->arena, name.data, name.size_bytes);
    char *own_text = kd_copy_text(ctx, statement->arena, text.data, text.size_bytes);
    if (own_name == NULL || own_text == NULL)
        return KD_NOMEM;
    statement->name = (kd_slice){own_name, name.size_bytes};
    statement->text = (kd_slice){own_text, text.size_bytes};
    KD_TRY(read_types(ctx, statement, body));
    kd_status status = classify(ctx, pg, statement);
    if (status != KD_OK) {
        pg->talk->ops->fail_transaction(pg->talk, text);
        return status;
    }
    return kd_conversation_prepare_typed(ctx, pg->talk, statement->text, statement->types,
                                         statement->type_count, &statement->request);
}

kd_status kdi_pg_parse(kd_ctx *ctx, kdi_pg *pg, kd_reader *body)
{
    kd_status status = KD_OK;
    kd_slice name = kdi_pg_read_text(body);
    kd_slice text = kdi_pg_read_text(body);
    if (body->failed)
        return kdi_pg_malformed(ctx, "invalid Parse message");
    if (name.size_bytes == 0)
        statement_destroy(pg, pg->unnamed_statement);
    else if (find_statement(pg, name) != NULL)
        return KD_FAIL(ctx, KD_INVALID, "42P05", "prepared statement \"%.*s\" already exists",
                       (int)name.size_bytes, name.data);
    kd_arena *arena = kd_arena_create(ctx, NULL, "protocol statement", KD_ARENA_UNLIMITED);
    kdi_pg_statement *statement = arena == NULL ? NULL : KD_NEW(ctx, arena, kdi_pg_statement);
    if (statement == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    statement->arena = arena;
    KD_TRY_OUT(statement_fill(ctx, pg, statement, name, text, body));
    if (name.size_bytes == 0)
        pg->unnamed_statement = statement;
    else
        KD_TRY_OUT(kd_map_put(ctx, &pg->statements, statement->name, statement, NULL));
    return kdi_pg_put_empty(ctx, pg, '1');
out:
    pg->talk->ops->destroy(statement->request);
    kd_arena_destroy(arena);
    return status;
}

/* --- Bind ------------------------------------------------------------------------------------- */

static kd_status read_formats(kd_ctx *ctx, kd_arena *arena, kd_reader *body, uint16_t **out_formats,
                              uint32_t *out_count)
{
    uint32_t count = kdi_pg_read_u16(body);
    *out_formats = KD_NEW_ARRAY(ctx, arena, uint16_t, count + 1);
    *out_count = count;
    if (*out_formats == NULL)
        return KD_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        (*out_formats)[i] = kdi_pg_read_u16(body);
        if ((*out_formats)[i] > 1)
            return KD_FAIL(ctx, KD_INVALID, "22023", "unsupported format code: %u",
                           (*out_formats)[i]);
    }
    return body->failed ? kdi_pg_malformed(ctx, "invalid Bind message") : KD_OK;
}

static kd_status read_parameter(kd_ctx *ctx, kdi_pg_portal *portal, const kd_text_settings *text,
                                uint32_t index, bool is_binary, kd_reader *body)
{
    kd_type type = portal->request->parameter_types[index];
    int32_t size = (int32_t)kdi_pg_read_u32(body);
    kd_value *value = &portal->parameters[index];
    *value = kd_value_null(type);
    if (size == -1)
        return KD_OK;
    const char *bytes = size < 0 ? NULL : kd_read_bytes(body, (size_t)size);
    if (bytes == NULL)
        return kdi_pg_malformed(ctx, "insufficient data left in message");
    char *copy = kd_copy_text(ctx, portal->arena, bytes, (size_t)size);
    if (copy == NULL)
        return KD_NOMEM;
    kd_slice own = {copy, (size_t)size};
    if (is_binary)
        return kd_binary_read(ctx, portal->arena, text, type, own, value);
    KD_TRY(kd_binary_read(ctx, portal->arena, NULL, kd_type_of(KD_TYPE_TEXT), own, value));
    return KD_OK;
}

static kd_status read_parameters(kd_ctx *ctx, kdi_pg_portal *portal, const uint16_t *formats,
                                 uint32_t format_count, kd_reader *body)
{
    kd_text_settings text;
    uint32_t count = kdi_pg_read_u16(body);
    uint32_t wanted = portal->request->parameter_count;
    if (body->failed || count != wanted)
        return KD_FAIL(ctx, KD_INVALID, "08P01",
                       "bind message supplies %u parameters, but prepared statement \"%.*s\" "
                       "requires %u",
                       count, (int)portal->statement->name.size_bytes, portal->statement->name.data,
                       wanted);
    if (format_count > 1 && format_count != count)
        return KD_FAIL(ctx, KD_INVALID, "08P01",
                       "bind message has %u parameter formats but %u parameters", format_count,
                       count);
    portal->parameters = KD_NEW_ARRAY(ctx, portal->arena, kd_value, count + 1);
    portal->parameter_count = count;
    if (portal->parameters == NULL)
        return KD_NOMEM;
    kd_request_text_settings(portal->request, &text);
    for (uint32_t i = 0; i < count; i++) {
        bool is_binary = format_count > 0 && formats[format_count == 1 ? 0 : i] == 1;
        KD_TRY(read_parameter(ctx, portal, &text, i, is_binary, body));
    }
    return KD_OK;
}

/* One request has one run: a second portal of the same statement gets its own. */
static kd_status take_request(kd_ctx *ctx, kdi_pg *pg, kdi_pg_portal *portal)
{
    kdi_pg_statement *statement = portal->statement;
    if (statement->portal_count == 0) {
        portal->request = statement->request;
        statement->portal_count++;
        return KD_OK;
    }
    KD_TRY(kd_conversation_prepare_typed(ctx, pg->talk, statement->text, statement->types,
                                         statement->type_count, &portal->request));
    portal->owns_request = true;
    return KD_OK;
}

static kd_status portal_fill(kd_ctx *ctx, kdi_pg *pg, kdi_pg_portal *portal, kd_reader *body)
{
    uint16_t *formats;
    uint32_t format_count;
    KD_TRY(take_request(ctx, pg, portal));
    KD_TRY(read_formats(ctx, portal->arena, body, &formats, &format_count));
    KD_TRY(read_parameters(ctx, portal, formats, format_count, body));
    KD_TRY(read_formats(ctx, portal->arena, body, &portal->formats, &portal->format_count));
    if (body->at != body->end)
        return kdi_pg_malformed(ctx, "invalid Bind message");
    if (portal->format_count > 1 && portal->format_count != portal->request->column_count)
        return KD_FAIL(ctx, KD_INVALID, "08P01",
                       "bind message has %u result formats but query has %u columns",
                       portal->format_count, portal->request->column_count);
    return KD_OK;
}

kd_status kdi_pg_bind(kd_ctx *ctx, kdi_pg *pg, kd_reader *body)
{
    kd_slice name = kdi_pg_read_text(body);
    kd_slice statement_name = kdi_pg_read_text(body);
    if (body->failed)
        return kdi_pg_malformed(ctx, "invalid Bind message");
    kdi_pg_statement *statement = find_statement(pg, statement_name);
    if (statement == NULL)
        return no_statement(ctx, statement_name);
    if (name.size_bytes == 0)
        portal_destroy(pg, pg->unnamed_portal);
    else if (find_portal(pg, name) != NULL)
        return KD_FAIL(ctx, KD_INVALID, "42P03", "cursor \"%.*s\" already exists",
                       (int)name.size_bytes, name.data);
    kd_arena *arena = kd_arena_create(ctx, NULL, "portal", KD_ARENA_UNLIMITED);
    kdi_pg_portal *portal = arena == NULL ? NULL : KD_NEW(ctx, arena, kdi_pg_portal);
    char *own_name = portal == NULL ? NULL : kd_copy_text(ctx, arena, name.data, name.size_bytes);
    if (own_name == NULL) {
        kd_arena_destroy(arena);
        return KD_NOMEM;
    }
    *portal = (kdi_pg_portal){
        .arena = arena, .name = {own_name, name.size_bytes}, .statement = statement};
    kd_status status = KD_OK;
    if (name.size_bytes == 0)
        pg->unnamed_portal = portal;
    else
        status = kd_map_put(ctx, &pg->portals, portal->name, portal, NULL);
    if (status == KD_OK)
        status = portal_fill(ctx, pg, portal, body);
    if (status != KD_OK) {
        portal_destroy(pg, portal);
        return status;
    }
    return kdi_pg_put_empty(ctx, pg, '2');
}

/* --- Describe --------------------------------------------------------------------------------- */

static kd_status put_columns(kd_ctx *ctx, kdi_pg *pg, const kd_request *request,
                             const uint16_t *formats, uint32_t format_count)
{
    if (request->column_count == 0)
        return kdi_pg_put_empty(ctx, pg, 'n');
    return kdi_pg_put_description(ctx, pg, request->columns, request->column_count, formats,
                                  format_count);
}

static kd_status describe_statement(kd_ctx *ctx, kdi_pg *pg, const kdi_pg_statement *statement)
{
    const kd_request *request = statement->request;
    kd_buffer *out = &pg->stream->out;
    size_t start;
    KD_TRY(kdi_pg_begin(ctx, pg, 't', &start));
    KD_TRY(kd_buffer_append_big_u16(ctx, out, (uint16_t)request->parameter_count));
    for (uint32_t i = 0; i < request->parameter_count; i++) {
        kd_type type = request->parameter_types[i];
        if (type.id == KD_TYPE_UNKNOWN && !type.is_array)
            type = kd_type_of(KD_TYPE_TEXT);
        KD_TRY(kd_buffer_append_big_u32(ctx, out, (uint32_t)kd_type_number(type)));
    }
    kdi_pg_end(pg, start);
    return put_columns(ctx, pg, request, NULL, 0);
}

/* What DECLARE has made is a portal too. */
static kd_status describe_cursor(kd_ctx *ctx, kdi_pg *pg, kd_slice name)
{
    const kd_rel_column *columns;
    uint32_t count;
    if (!kd_conversation_find_cursor(pg->talk, name, &columns, &count))
        return no_portal(ctx, name);
    return kdi_pg_put_description(ctx, pg, columns, count, NULL, 0);
}

kd_status kdi_pg_describe(kd_ctx *ctx, kdi_pg *pg, kd_reader *body)
{
    uint8_t what = kd_read_u8(body);
    kd_slice name = kdi_pg_read_text(body);
    if (body->failed || body->at != body->end || (what != 'S' && what != 'P'))
        return kdi_pg_malformed(ctx, "invalid DESCRIBE message");
    if (what == 'S') {
        const kdi_pg_statement *statement = find_statement(pg, name);
        return statement == NULL ? no_statement(ctx, name) : describe_statement(ctx, pg, statement);
    }
    const kdi_pg_portal *portal = find_portal(pg, name);
    if (portal == NULL)
        return describe_cursor(ctx, pg, name);
    return put_columns(ctx, pg, portal->request, portal->formats, portal->format_count);
}

/* --- Execute ---------------------------------------------------------------------------------- */

static kd_status portal_start(kd_ctx *ctx, kdi_pg *pg, kdi_pg_portal *portal)
{
    bool is_alone = kdi_pg_sync_follows(pg);
    if (!is_alone && !portal->statement->is_transaction_command &&
        pg->talk->ops->state(pg->talk) == KD_SESSION_IDLE)
        KD_TRY(kd_conversation_begin_block(ctx, pg->talk));
    KD_TRY(pg->talk->ops->begin(ctx, portal->request, portal->parameters, portal->parameter_count));
    portal->is_running = true;
    return kdi_pg_copy_end(ctx, pg);
}

/* Up to `row_max` rows, or all: 0. */
static kd_status send_rows(kd_ctx *ctx, kdi_pg *pg, kdi_pg_portal *portal, uint32_t row_max,
                           bool *out_is_done)
{
    uint32_t sent = 0;
    *out_is_done = false;
    for (;;) {
        if (portal->position >= portal->batch.selected_count) {
            if (portal->at_end) {
                *out_is_done = true;
                return KD_OK;
            }
            portal->position = 0;
            KD_TRY(pg->talk->ops->next(ctx, portal->request, &portal->batch, &portal->at_end));
            continue;
        }
        uint32_t count = portal->batch.selected_count - portal->position;
        if (row_max > 0 && count > row_max - sent)
            count = row_max - sent;
        KD_TRY(kdi_pg_put_rows(ctx, pg, portal->request, &portal->batch, portal->position,
                               portal->position + count, portal->formats, portal->format_count));
        portal->position += count;
        sent += count;
        if (row_max > 0 && sent == row_max)
            return KD_OK;
    }
}

static kd_status portal_finish(kd_ctx *ctx, kdi_pg *pg, kdi_pg_portal *portal)
{
    const kd_conversation_ops *ops = pg->talk->ops;
    (void)snprintf(portal->tag, sizeof portal->tag, "%s", ops->tag(portal->request));
    portal->is_running = false;
    portal->is_done = true;
    KD_TRY(ops->end(ctx, portal->request));
    return kdi_pg_put_tag(ctx, pg, portal->tag);
}

static kd_status portal_run(kd_ctx *ctx, kdi_pg *pg, kdi_pg_portal *portal, uint32_t row_max)
{
    bool is_done;
    if (!portal->is_running)
        KD_TRY(portal_start(ctx, pg, portal));
    KD_TRY(send_rows(ctx, pg, portal, row_max, &is_done));
    return is_done ? portal_finish(ctx, pg, portal) : kdi_pg_put_empty(ctx, pg, 's');
}

kd_status kdi_pg_execute(kd_ctx *ctx, kdi_pg *pg, kd_reader *body)
{
    kd_slice name = kdi_pg_read_text(body);
    uint32_t row_max = kdi_pg_read_u32(body);
    if (body->failed || body->at != body->end)
        return kdi_pg_malformed(ctx, "invalid Execute message");
    kdi_pg_portal *portal = find_portal(pg, name);
    if (portal == NULL)
        return no_portal(ctx, name);
    if (portal->statement->is_empty)
        return kdi_pg_put_empty(ctx, pg, 'I');
    /* A query that has given its rows gives none; another statement is not run twice. */
    if (portal->is_done && portal->request->column_count > 0)
        return kdi_pg_put_tag(ctx, pg, "SELECT 0");
    if (portal->is_done)
        return KD_FAIL(ctx, KD_INVALID, "55000", "portal \"%.*s\" cannot be run",
                       (int)name.size_bytes, name.data);
    return portal_run(ctx, pg, portal, (int32_t)row_max < 0 ? 0 : row_max);
}

/* --- Close ------------------------------------------------------------------------------------ */

kd_status kdi_pg_close(kd_ctx *ctx, kdi_pg *pg, kd_reader *body)
{
    uint8_t what = kd_read_u8(body);
    kd_slice name = kdi_pg_read_text(body);
    if (body->failed || body->at != body->end || (what != 'S' && what != 'P'))
        return kdi_pg_malformed(ctx, "invalid CLOSE message");
    if (what == 'S')
        statement_destroy(pg, find_statement(pg, name));
    else
        portal_destroy(pg, find_portal(pg, name));
    return kdi_pg_put_empty(ctx, pg, '3');
}
