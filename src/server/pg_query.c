/*
 * Query: a script in one message.
 *
 * Its statements are one transaction, unless one of them ends it; a script of one statement is that
 * statement. Nothing runs where the text does not parse to its end.
 */
#include "server/pg_internal.h"

#include "sql/parser.h"

static kd_status send_rows(kd_ctx *ctx, kdi_pg *pg, kd_request *request)
{
    const kd_conversation_ops *ops = pg->talk->ops;
    for (bool end = false; !end;) {
        kd_batch batch;
        KD_TRY(ops->next(ctx, request, &batch, &end));
        if (batch.selected_count > 0)
            KD_TRY(kdi_pg_put_rows(ctx, pg, request, &batch, 0, batch.selected_count, NULL, 0));
    }
    return KD_OK;
}

static kd_status run_request(kd_ctx *ctx, kdi_pg *pg, kd_request *request)
{
    const kd_conversation_ops *ops = pg->talk->ops;
    char tag[64];
    KD_TRY(ops->begin(ctx, request, NULL, 0));
    kd_status status = kdi_pg_copy_end(ctx, pg);
    if (status == KD_OK && request->column_count > 0)
        status = kdi_pg_put_description(ctx, pg, request->columns, request->column_count, NULL, 0);
    if (status == KD_OK)
        status = send_rows(ctx, pg, request);
    if (status != KD_OK) {
        ops->abandon(request);
        return status;
    }
    (void)snprintf(tag, sizeof tag, "%s", ops->tag(request));
    KD_TRY(ops->end(ctx, request));
    return kdi_pg_put_tag(ctx, pg, tag);
}

/* Positions of failures count in the statement; the client's in the script. */
static kd_status run_statement(kd_ctx *ctx, kdi_pg *pg, kd_slice script,
                               const kd_statement *statement)
{
    kd_request *request = NULL;
    kd_slice text = {script.data + statement->position,
                     (size_t)(statement->end - statement->position)};
    kd_status status = pg->talk->ops->prepare(ctx, pg->talk, text, &request);
    if (status == KD_OK)
        status = run_request(ctx, pg, request);
    pg->talk->ops->destroy(request);
    if (status != KD_OK && ctx->error.position >= 0)
        ctx->error.position += statement->position;
    return status;
}

/* Whether a block of ours stands around a statement: one of several, which does not end it. */
static bool needs_block(const kdi_pg *pg, const kd_ast_node *node, bool is_alone)
{
    return !is_alone && node->kind != KD_AST_TRANSACTION &&
           pg->talk->ops->state(pg->talk) == KD_SESSION_IDLE;
}

typedef struct script_list {
    kd_statement *items;
    size_t count, capacity;
} script_list;

static kd_status parse_script(kd_ctx *ctx, kdi_pg *pg, kd_slice text, script_list *out)
{
    kd_parser *parser;
    KD_TRY(kd_parser_create(ctx, pg->scratch, text, &parser));
    for (;;) {
        kd_statement parsed, *added;
        KD_TRY(kd_parser_next(ctx, parser, &parsed));
        if (parsed.node == NULL)
            return KD_OK;
        KD_TRY(KD_PUSH(ctx, pg->scratch, out->items, out->count, out->capacity, &added));
        *added = parsed;
    }
}

kd_status kdi_pg_query(kd_ctx *ctx, kdi_pg *pg, kd_slice text)
{
    script_list script = {0};
    kd_status status = parse_script(ctx, pg, text, &script);
    if (status != KD_OK) {
        pg->talk->ops->fail_transaction(pg->talk, text);
        return status;
    }
    if (script.count == 0)
        return kdi_pg_put_empty(ctx, pg, 'I');
    for (size_t i = 0; i < script.count; i++) {
        if (needs_block(pg, script.items[i].node, script.count == 1))
            KD_TRY(kd_conversation_begin_block(ctx, pg->talk));
        KD_TRY(run_statement(ctx, pg, text, &script.items[i]));
    }
    return kd_conversation_end_block(ctx, pg->talk);
}
