/*
 * Quoted tokens: strings of every form, bit strings, quoted names.
 */
#ifndef KD_SQL_LEXER_STRING_INTERNAL_H
#define KD_SQL_LEXER_STRING_INTERNAL_H

#include "sql/lexer_internal.h"

/* At ' or ", or at one of E B X N U& before a quote. */
kd_status kdi_lex_quoted(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *token) KD_MUST_CHECK;
/* At $: $$...$$ or $tag$...$tag$. */
kd_status kdi_lex_dollar(kd_ctx *ctx, kdi_lexer *lexer, kdi_token *token) KD_MUST_CHECK;
/* Names are cut to 63 bytes, at a character's boundary. */
size_t kdi_name_clip(const char *name, size_t size_bytes);

#endif
