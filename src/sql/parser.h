/*
 * The parser of KadeQL: text in, one syntax tree per statement out.
 *
 *     kd_parser *parser;
 *     KD_TRY(kd_parser_create(ctx, arena, text, &parser));
 *     for (;;) {
 *         kd_statement statement;
 *         KD_TRY(kd_parser_next(ctx, parser, &statement));
 *         if (statement.node == NULL)
 *             break;
 *         ...
 *     }
 *
 * Everything is allocated in `arena`. The text must outlive the trees. A script
 * is read one statement at a time, so that an earlier statement can run before
 * a later one turns out to be wrong. After a failure the parser must not be
 * used again.
 */
#ifndef KD_SQL_PARSER_H
#define KD_SQL_PARSER_H

#include "sql/ast.h"

enum {
    KD_PARSER_DEPTH_MAX = 1000,         /* Nested expressions and queries; beyond it 54001. */
    KD_PARSER_TEXT_BYTES_MAX = 1 << 30, /* Positions are int32; longer scripts: 54000. */
};

typedef struct kd_parser kd_parser;

typedef struct kd_statement {
    kd_ast_node *node; /* NULL: the text is at its end. */
    int32_t position;  /* The statement's text: first token to last, without `;`. */
    int32_t end;
    int32_t param_max; /* The highest $n in it, 0 for none. */
} kd_statement;

/* Fails with 22021 for text that is not UTF-8 or holds a NUL byte. */
kd_status kd_parser_create(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                           kd_parser **out_parser) KD_MUST_CHECK;
/* Empty statements (`;;`) are skipped. Failures are 42601 and the like, with a position. */
kd_status kd_parser_next(kd_ctx *ctx, kd_parser *parser, kd_statement *out_statement) KD_MUST_CHECK;

/* Exactly one statement; 42601 when there are more (`cannot insert multiple commands into a
 * prepared statement`); a NULL node when there is none. */
kd_status kd_parse_statement(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                             kd_statement *out_statement) KD_MUST_CHECK;
/* An expression alone: a stored default, check or index expression. */
kd_status kd_parse_expression(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                              kd_ast_node **out_expression) KD_MUST_CHECK;
/* A type alone: 'numeric(10,2)'::regtype and the like. */
kd_status kd_parse_type(kd_ctx *ctx, kd_arena *arena, kd_slice text,
                        kd_ast_type *out_type) KD_MUST_CHECK;

#endif
