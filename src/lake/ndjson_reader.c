/*
 * The NDJSON reader: members of a line, and the columns that sniffing finds in a sample of lines.
 */
#include "lake/ndjson_internal.h"

#include "lake/import_column_internal.h"

#include <string.h>

enum { LINES_FOR_TYPES = 20000 };

bool kdi_ndjson_line_is_blank(kd_slice line)
{
    for (size_t i = 0; i < line.size_bytes; i++)
        if (strchr(" \t\r", line.data[i]) == NULL || line.data[i] == '\0')
            return false;
    return true;
}

kd_status kdi_ndjson_begin(kd_ctx *ctx, kd_json_parser *parser, kd_slice line)
{
    kd_json_parser_init(parser, line);
    kd_json_event event;
    KD_TRY(kd_json_next(ctx, parser, &event));
    if (event != KD_JSON_OBJECT_BEGIN)
        return KD_FAIL(ctx, KD_INVALID, "22P02", "invalid JSON line: expected an object");
    return KD_OK;
}

kd_status kdi_ndjson_next(kd_ctx *ctx, kd_arena *arena, kd_json_parser *parser,
                          kdi_ndjson_member *out_member)
{
    *out_member = (kdi_ndjson_member){.kind = KD_JSON_END};
    kd_json_event event;
    KD_TRY(kd_json_next(ctx, parser, &event));
    if (event != KD_JSON_KEY) /* The object's end: the parser allows nothing else here. */
        return kd_json_next(ctx, parser, &event);
    KD_TRY(kd_json_unescape(ctx, arena, parser->token, parser->token_has_escape, &out_member->key));
    KD_TRY(kd_json_next(ctx, parser, &event));
    size_t begin = parser->token_offset;
    kd_slice token = parser->token;
    bool has_escape = parser->token_has_escape;
    KD_TRY(kd_json_skip(ctx, parser, event));
    out_member->source = (kd_slice){parser->text.data + begin, parser->offset - begin};
    out_member->text = out_member->source;
    if (event == KD_JSON_STRING)
        KD_TRY(kd_json_unescape(ctx, arena, token, has_escape, &out_member->text));
    out_member->kind = event;
    return KD_OK;
}

/* ---- Sniffing ---- */

typedef struct sniffed_member {
    kd_slice name;
    bool has_string, has_number, has_bool, has_container;
    kdi_type_guess guess;
} sniffed_member;

typedef struct member_list {
    sniffed_member *items;
    size_t count;
    size_t capacity;
} member_list;

static kd_status member_find(kd_ctx *ctx, kd_arena *arena, member_list *list, size_t hint,
                             kd_slice key, size_t *out_index)
{
    for (size_t i = 0; i < list->count; i++) {
        *out_index = (hint + i) % list->count;
        if (kd_slice_equal(list->items[*out_index].name, key))
            return KD_OK;
    }
    sniffed_member *made;
    KD_TRY(KD_PUSH(ctx, arena, list->items, list->count, list->capacity, &made));
    made->name.data = kd_copy_text(ctx, arena, key.data, key.size_bytes);
    made->name.size_bytes = key.size_bytes;
    made->guess = kdi_type_guess_begin();
    *out_index = list->count - 1;
    return made->name.data == NULL ? KD_NOMEM : KD_OK;
}

static void member_note(sniffed_member *member, const kdi_ndjson_member *seen)
{
    member->has_string |= seen->kind == KD_JSON_STRING;
    member->has_number |= seen->kind == KD_JSON_NUMBER;
    member->has_bool |= seen->kind == KD_JSON_TRUE || seen->kind == KD_JSON_FALSE;
    member->has_container |=
        seen->kind == KD_JSON_ARRAY_BEGIN || seen->kind == KD_JSON_OBJECT_BEGIN;
    if (seen->kind == KD_JSON_STRING || seen->kind == KD_JSON_NUMBER)
        kdi_type_guess_add(&member->guess, seen->text);
}

static kd_type member_type(const sniffed_member *member)
{
    int kinds = member->has_string + member->has_number + member->has_bool + member->has_container;
    kd_type text = kd_type_of(KD_TYPE_TEXT);
    if (kinds != 1)
        return text;
    if (member->has_bool)
        return kd_type_of(KD_TYPE_BOOL);
    if (member->has_container)
        return kd_type_of(KD_TYPE_JSONB);
    kd_type guessed = kdi_type_guess_end(&member->guess);
    if (member->has_number)
        return guessed.id == KD_TYPE_INT4 ? kd_type_of(KD_TYPE_INT8) : guessed;
    /* A string of digits was written as a string on purpose. */
    bool is_special = guessed.id == KD_TYPE_DATE || guessed.id == KD_TYPE_TIME ||
                      guessed.id == KD_TYPE_TIMESTAMP || guessed.id == KD_TYPE_UUID;
    return is_special ? guessed : text;
}

static kd_status line_sniff(kd_ctx *ctx, kd_arena *arena, kd_arena *scratch, kd_slice line,
                            member_list *list)
{
    kd_json_parser parser;
    KD_TRY(kdi_ndjson_begin(ctx, &parser, line));
    size_t hint = 0;
    for (;;) {
        kdi_ndjson_member seen;
        KD_TRY(kdi_ndjson_next(ctx, scratch, &parser, &seen));
        if (seen.kind == KD_JSON_END)
            return KD_OK;
        size_t index;
        KD_TRY(member_find(ctx, arena, list, hint, seen.key, &index));
        member_note(&list->items[index], &seen);
        hint = index + 1;
    }
}

static kd_status sample_sniff(kd_ctx *ctx, kd_arena *arena, kd_arena *scratch, kd_slice sample,
                              member_list *list)
{
    size_t at = 0;
    for (int line_no = 0; line_no < LINES_FOR_TYPES && at < sample.size_bytes; line_no++) {
        const char *end = memchr(sample.data + at, '\n', sample.size_bytes - at);
        size_t size = end == NULL ? sample.size_bytes - at : (size_t)(end - sample.data) - at;
        kd_slice line = {sample.data + at, size};
        at += size + 1;
        if (kdi_ndjson_line_is_blank(line))
            continue;
        kd_arena_reset(scratch);
        kd_status status = line_sniff(ctx, arena, scratch, line, list);
        if (status == KD_INVALID)
            kd_error_clear(ctx); /* Reading the rows will say so, with the line's number. */
        else if (status != KD_OK)
            return status;
    }
    return KD_OK;
}

kd_status kdi_ndjson_sniff(kd_ctx *ctx, kd_arena *arena, kd_slice sample,
                           const kd_import_column **out_columns, uint32_t *out_count)
{
    kd_arena *scratch = kd_arena_create(ctx, arena, "ndjson sniff", KD_ARENA_UNLIMITED);
    if (scratch == NULL)
        return KD_NOMEM;
    kd_status status = KD_OK;
    member_list list = {0};
    kd_import_column *columns = NULL;
    KD_TRY_OUT(sample_sniff(ctx, arena, scratch, sample, &list));
    columns = KD_NEW_ARRAY(ctx, arena, kd_import_column, list.count);
    if (columns == NULL) {
        status = KD_NOMEM;
        goto out;
    }
    for (size_t i = 0; i < list.count; i++) {
        columns[i].name = list.items[i].name;
        columns[i].type = member_type(&list.items[i]);
    }
    *out_columns = columns;
    *out_count = (uint32_t)list.count;

out:
    kd_arena_destroy(scratch);
    return status;
}

/* ---- The reader ---- */

static kd_status reader_begin(kd_ctx *ctx, kd_ndjson_reader *reader, kd_text_source *source)
{
    KD_TRY(kdi_chunks_open(ctx, reader->arena, source, &reader->chunks));
    if (reader->options.columns != NULL)
        return KD_OK;
    kd_slice sample = kdi_chunks_sample(&reader->chunks);
    if (!reader->chunks.source_is_over) {
        bool ignored;
        sample.size_bytes =
            kdi_border_find_last(&reader->chunks.border, sample.data, sample.size_bytes, &ignored);
    }
    return kdi_ndjson_sniff(ctx, reader->arena, sample, &reader->columns, &reader->column_count);
}

kd_status kd_ndjson_reader_create(kd_ctx *ctx, kd_arena *arena, kd_text_source *source,
                                  const kd_ndjson_options *options, kd_ndjson_reader **out_reader)
{
    *out_reader = NULL;
    kd_ndjson_reader *reader = KD_NEW(ctx, arena, kd_ndjson_reader);
    if (reader == NULL)
        return KD_NOMEM;
    reader->arena = arena;
    reader->options = *options;
    reader->columns = options->columns;
    reader->column_count = options->column_count;
    kd_status status = reader_begin(ctx, reader, source);
    if (status != KD_OK) {
        kd_ndjson_reader_destroy(reader);
        return status;
    }
    *out_reader = reader;
    return KD_OK;
}

void kd_ndjson_reader_destroy(kd_ndjson_reader *reader)
{
    if (reader != NULL)
        kdi_chunks_clear(&reader->chunks);
}

void kd_ndjson_reader_schema(const kd_ndjson_reader *reader, const kd_import_column **out_columns,
                             uint32_t *out_count)
{
    *out_columns = reader->columns;
    *out_count = reader->column_count;
}
