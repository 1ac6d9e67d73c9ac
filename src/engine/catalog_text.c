/*
 * Catalog entries as SQL text.
 */
#include "engine/catalog_text.h"

#include "sql/parser.h"
#include "sql/query_text.h"

#include <assert.h>
#include <ctype.h>

/* --- Names ------------------------------------------------------------------------------------ */

static kd_status full_name(kd_ctx *ctx, const kd_catalog_version *version, const kd_object *object,
                           kd_buffer *out)
{
    const kd_object *schema = kd_catalog_get(version, object->schema_no);
    if (schema != NULL) {
        KD_TRY(kd_name_append(ctx, schema->name, out));
        KD_TRY(kd_buffer_append_byte(ctx, out, '.'));
    }
    return kd_name_append(ctx, object->name, out);
}

kd_status kdi_text_relation(kd_ctx *ctx, const kd_catalog_version *version, const kd_object *object,
                            kd_buffer *out)
{
    const kd_object *schema = kd_catalog_get(version, object->schema_no);
    if (schema == NULL || kd_slice_equal(schema->name, KD_SLICE("public")))
        return kd_name_append(ctx, object->name, out);
    return full_name(ctx, version, object, out);
}

kd_status kdi_text_type(kd_ctx *ctx, const kd_catalog_version *version, kd_type type,
                        kd_buffer *out)
{
    if (!kd_type_is_named(type))
        return kd_type_format(ctx, type, out);
    const kd_object *object = kd_catalog_get(version, type.object);
    if (object == NULL)
        return kd_buffer_append_text(ctx, out, "-");
    KD_TRY(kdi_text_relation(ctx, version, object, out));
    return type.is_array ? kd_buffer_append_text(ctx, out, "[]") : KD_OK;
}

const kd_column *kdi_column_by_no(const kd_table_entry *table, uint32_t column_no)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].storage.column_no == column_no)
            return &table->columns[i];
    return NULL;
}

bool kdi_materialized_query(const kd_object *object, kd_slice *out_query)
{
    *out_query = (kd_slice){"", 0};
    if (object->kind == KD_OBJECT_TABLE)
        *out_query = ((const kd_table_entry *)object)->query_text;
    return out_query->size_bytes > 0;
}

static kd_status column_list(kd_ctx *ctx, const kd_table_entry *table, const uint32_t *numbers,
                             uint32_t count, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_byte(ctx, out, '('));
    for (uint32_t i = 0; i < count; i++) {
        const kd_column *column = kdi_column_by_no(table, numbers[i]);
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, out, ", "));
        if (column != NULL)
            KD_TRY(kd_name_append(ctx, column->storage.name, out));
    }
    return kd_buffer_append_byte(ctx, out, ')');
}

/* --- Columns and indexes ---------------------------------------------------------------------- */

kd_status kdi_text_default(kd_ctx *ctx, const kd_catalog_version *version, const kd_column *column,
                           kd_buffer *out)
{
    const kd_object *sequence =
        column->sequence_no == 0 ? NULL : kd_catalog_get(version, column->sequence_no);
    if (column->identity != KD_IDENTITY_NONE)
        return KD_OK;
    if (sequence == NULL || column->generated || column->default_text.size_bytes < 8 ||
        memcmp(column->default_text.data, "nextval(", 8) != 0)
        return kd_buffer_append_slice(ctx, out, column->default_text);
    KD_TRY(kd_buffer_append_text(ctx, out, "nextval('"));
    KD_TRY(kdi_text_relation(ctx, version, sequence, out));
    return kd_buffer_append_text(ctx, out, "'::regclass)");
}

/* name(...), and nothing after it. */
static bool is_call(kd_slice text)
{
    size_t at = 0, depth = 0;
    char quote = 0;
    while (at < text.size_bytes &&
           (isalnum((unsigned char)text.data[at]) || text.data[at] == '_' || text.data[at] == '.'))
        at++;
    for (size_t i = at; at > 0 && i < text.size_bytes; i++) {
        char c = text.data[i];
        if (quote != 0)
            quote = c == quote ? 0 : quote; /* A doubled one ends and begins again. */
        else if (c == '\'' || c == '"')
            quote = c;
        else
            depth += c == '(' ? 1 : c == ')' ? (size_t)-1 : 0;
        if (depth == 0)
            return quote == 0 && i > at && i + 1 == text.size_bytes;
    }
    return false;
}

/* An expression that is no call stands in parentheses. */
static kd_status key_expression(kd_ctx *ctx, kd_slice text, kd_buffer *out)
{
    if (is_call(text))
        return kd_buffer_append_slice(ctx, out, text);
    KD_TRY(kd_buffer_append_byte(ctx, out, '('));
    KD_TRY(kd_buffer_append_slice(ctx, out, text));
    return kd_buffer_append_byte(ctx, out, ')');
}

kd_status kdi_text_index_key(kd_ctx *ctx, const kd_table_entry *table, const kd_table_index *index,
                             uint32_t position, kd_buffer *out)
{
    const kd_column *column = kdi_column_by_no(table, index->storage.columns[position].column_no);
    if (column != NULL && !column->hidden)
        return kd_name_append(ctx, column->storage.name, out);
    return key_expression(
        ctx, index->key_texts == NULL ? KD_SLICE("?") : index->key_texts[position], out);
}

static kd_status key_order(kd_ctx *ctx, const kd_index_column *column, kd_buffer *out)
{
    kd_key_order order = column->order;
    if (column->items == KD_ITEMS_JSONB_PATH)
        return kd_buffer_append_text(ctx, out, " jsonb_path_ops"); /* Others are the default. */
    if (order.descending)
        KD_TRY(kd_buffer_append_text(ctx, out, " DESC"));
    if (order.nulls_first && !order.descending)
        return kd_buffer_append_text(ctx, out, " NULLS FIRST");
    if (!order.nulls_first && order.descending)
        return kd_buffer_append_text(ctx, out, " NULLS LAST");
    return KD_OK;
}

kd_status kdi_text_index(kd_ctx *ctx, const kd_catalog_version *version,
                         const kd_table_entry *table, const kd_table_index *index, bool is_pretty,
                         kd_buffer *out)
{
    kd_slice method = index->method.size_bytes == 0 ? KD_SLICE("btree") : index->method;
    KD_TRY(kd_buffer_append_text(ctx, out,
                                 index->storage.unique && !index->storage.exclusion
                                     ? "CREATE UNIQUE INDEX "
                                     : "CREATE INDEX "));
    KD_TRY(kd_name_append(ctx, index->object.name, out));
    KD_TRY(kd_buffer_append_text(ctx, out, " ON "));
    KD_TRY(is_pretty ? kdi_text_relation(ctx, version, &table->object, out)
                     : full_name(ctx, version, &table->object, out));
    KD_TRY(kd_buffer_append_text(ctx, out, " USING "));
    KD_TRY(kd_buffer_append_slice(ctx, out, method));
    KD_TRY(kd_buffer_append_text(ctx, out, " ("));
    for (uint32_t i = 0; i < index->storage.column_count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, out, ", "));
        KD_TRY(kdi_text_index_key(ctx, table, index, i, out));
        KD_TRY(key_order(ctx, &index->storage.columns[i], out));
    }
    KD_TRY(kd_buffer_append_byte(ctx, out, ')'));
    if (index->storage.nulls_not_distinct)
        KD_TRY(kd_buffer_append_text(ctx, out, " NULLS NOT DISTINCT"));
    if (index->predicate_text.size_bytes == 0)
        return KD_OK;
    KD_TRY(kd_buffer_append_text(ctx, out, is_pretty ? " WHERE " : " WHERE ("));
    KD_TRY(kd_buffer_append_slice(ctx, out, index->predicate_text));
    return is_pretty ? KD_OK : kd_buffer_append_byte(ctx, out, ')');
}

/* --- Constraints ------------------------------------------------------------------------------ */

enum { CONSTRAINT_BASE = 0x10000000, CONSTRAINTS_PER_TABLE = 256 };

uint32_t kdi_constraint_count(const kd_table_entry *table)
{
    return table->index_count + table->check_count + table->foreign_count;
}

bool kdi_constraint_at(const kd_table_entry *table, uint32_t count, kdi_constraint *out)
{
    *out = (kdi_constraint){.table = table,
                            .number = CONSTRAINT_BASE +
                                      (uint64_t)table->object.object_no * CONSTRAINTS_PER_TABLE +
                                      count};
    if (count < table->index_count) {
        out->index = &table->indexes[count];
        out->name = out->index->object.name;
        out->kind = out->index->is_primary ? 'p' : out->index->storage.exclusion ? 'x' : 'u';
        return out->index->is_constraint || out->index->is_primary;
    }
    count -= table->index_count;
    if (count < table->check_count) {
        out->check = &table->checks[count];
        out->name = out->check->name;
        out->kind = 'c';
        return true;
    }
    count -= table->check_count;
    if (count >= table->foreign_count)
        return false;
    out->key = &table->foreign_keys[count];
    out->name = out->key->name;
    out->kind = 'f';
    return true;
}

bool kdi_constraint_find(const kd_catalog_version *version, uint64_t number, kdi_constraint *out)
{
    if (number < CONSTRAINT_BASE)
        return false;
    number -= CONSTRAINT_BASE;
    const kd_object *object = kd_catalog_get(version, (uint32_t)(number / CONSTRAINTS_PER_TABLE));
    if (object == NULL || object->kind != KD_OBJECT_TABLE)
        return false;
    return kdi_constraint_at((const kd_table_entry *)object,
                             (uint32_t)(number % CONSTRAINTS_PER_TABLE), out);
}

static kd_status foreign_action(kd_ctx *ctx, const char *event, kd_foreign_action action,
                                kd_buffer *out)
{
    static const char *const names[] = {"", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"};
    if (action == KD_FOREIGN_NO_ACTION)
        return KD_OK;
    return kd_buffer_append_format(ctx, out, " ON %s %s", event, names[action]);
}

static kd_status deferral(kd_ctx *ctx, bool deferrable, bool deferred, kd_buffer *out)
{
    if (deferrable)
        KD_TRY(kd_buffer_append_text(ctx, out, " DEFERRABLE"));
    return deferred ? kd_buffer_append_text(ctx, out, " INITIALLY DEFERRED") : KD_OK;
}

static kd_status foreign_key(kd_ctx *ctx, const kd_catalog_version *version,
                             const kd_table_entry *table, const kd_foreign_key *key, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_text(ctx, out, "FOREIGN KEY "));
    KD_TRY(column_list(ctx, table, key->column_nos, key->column_count, out));
    KD_TRY(kd_buffer_append_text(ctx, out, " REFERENCES "));
    const kd_object *target = kd_catalog_get(version, key->target_no);
    if (target != NULL && target->kind == KD_OBJECT_TABLE) {
        KD_TRY(kdi_text_relation(ctx, version, target, out));
        KD_TRY(column_list(ctx, (const kd_table_entry *)target, key->target_column_nos,
                           key->column_count, out));
    }
    if (key->match_full)
        KD_TRY(kd_buffer_append_text(ctx, out, " MATCH FULL"));
    KD_TRY(foreign_action(ctx, "UPDATE", key->on_update, out));
    KD_TRY(foreign_action(ctx, "DELETE", key->on_delete, out));
    return deferral(ctx, key->deferrable, key->initially_deferred, out);
}

kd_status kdi_text_constraint(kd_ctx *ctx, const kd_catalog_version *version,
                              const kdi_constraint *constraint, kd_buffer *out)
{
    if (constraint->kind == 'f')
        return foreign_key(ctx, version, constraint->table, constraint->key, out);
    if (constraint->kind == 'c') {
        KD_TRY(kd_buffer_append_text(ctx, out, "CHECK ("));
        KD_TRY(kd_buffer_append_slice(ctx, out, constraint->check->expression_text));
        return kd_buffer_append_byte(ctx, out, ')');
    }
    const kd_table_index *index = constraint->index;
    bool is_exclusion = constraint->kind == 'x';
    KD_TRY(kd_buffer_append_text(ctx, out,
                                 constraint->kind == 'p' ? "PRIMARY KEY"
                                 : is_exclusion          ? "EXCLUDE USING btree"
                                                         : "UNIQUE"));
    if (index->storage.nulls_not_distinct)
        KD_TRY(kd_buffer_append_text(ctx, out, " NULLS NOT DISTINCT"));
    KD_TRY(kd_buffer_append_text(ctx, out, " ("));
    for (uint32_t i = 0; i < index->storage.column_count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, out, ", "));
        KD_TRY(kdi_text_index_key(ctx, constraint->table, index, i, out));
        if (is_exclusion)
            KD_TRY(kd_buffer_append_text(ctx, out, " WITH ="));
    }
    KD_TRY(kd_buffer_append_byte(ctx, out, ')'));
    return deferral(ctx, index->storage.deferrable, index->initially_deferred, out);
}

/* --- Partitions ------------------------------------------------------------------------------- */

static kd_status bound_value(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *value,
                             int8_t kind, kd_buffer *out)
{
    if (kind != 0)
        return kd_buffer_append_text(ctx, out, kind < 0 ? "MINVALUE" : "MAXVALUE");
    if (value->is_null)
        return kd_buffer_append_text(ctx, out, "NULL");
    if (kd_type_is_number(value->type) || value->type.id == KD_TYPE_BOOL)
        return kd_value_format(ctx, settings, value, out);
    size_t start = out->size_bytes;
    KD_TRY(kd_buffer_append_byte(ctx, out, '\''));
    KD_TRY(kd_value_format(ctx, settings, value, out));
    for (size_t i = start + 1; i < out->size_bytes; i++) {
        if (out->data[i] != '\'')
            continue;
        KD_TRY(kd_buffer_append_byte(ctx, out, '\''));
        memmove(out->data + i + 1, out->data + i, out->size_bytes - i - 1);
        i++;
    }
    return kd_buffer_append_byte(ctx, out, '\'');
}

static kd_status bound_values(kd_ctx *ctx, const kd_text_settings *settings, const kd_value *values,
                              const int8_t *kinds, uint32_t count, kd_buffer *out)
{
    KD_TRY(kd_buffer_append_byte(ctx, out, '('));
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, out, ", "));
        KD_TRY(bound_value(ctx, settings, &values[i], kinds == NULL ? 0 : kinds[i], out));
    }
    return kd_buffer_append_byte(ctx, out, ')');
}

kd_status kdi_text_partition_bound(kd_ctx *ctx, const kd_catalog_version *version,
                                   const kd_text_settings *settings,
                                   const kd_table_entry *partition, kd_buffer *out)
{
    const kd_partition_bound *bound = &partition->bound;
    const kd_object *parent =
        partition->parent_no == 0 ? NULL : kd_catalog_get(version, partition->parent_no);
    if (parent == NULL)
        return KD_OK;
    if (bound->is_default)
        return kd_buffer_append_text(ctx, out, "DEFAULT");
    switch (((const kd_table_entry *)parent)->strategy) {
    case KD_PARTITION_RANGE:
        KD_TRY(kd_buffer_append_text(ctx, out, "FOR VALUES FROM "));
        KD_TRY(bound_values(ctx, settings, bound->from, bound->from_kind, bound->count, out));
        KD_TRY(kd_buffer_append_text(ctx, out, " TO "));
        return bound_values(ctx, settings, bound->to, bound->to_kind, bound->count, out);
    case KD_PARTITION_LIST:
        KD_TRY(kd_buffer_append_text(ctx, out, "FOR VALUES IN "));
        return bound_values(ctx, settings, bound->from, NULL, bound->count, out);
    case KD_PARTITION_HASH:
        return kd_buffer_append_format(ctx, out, "FOR VALUES WITH (modulus %lld, remainder %lld)",
                                       (long long)bound->from[0].as.i64,
                                       (long long)bound->from[1].as.i64);
    case KD_PARTITION_NONE:
        break;
    }
    return KD_OK;
}

kd_status kdi_text_partition_key(kd_ctx *ctx, const kd_table_entry *table, kd_buffer *out)
{
    static const char *const words[] = {"", "RANGE (", "LIST (", "HASH ("};
    if (table->strategy == KD_PARTITION_NONE)
        return KD_OK;
    KD_TRY(kd_buffer_append_text(ctx, out, words[table->strategy]));
    for (uint32_t i = 0; i < table->partition_column_count; i++) {
        if (i > 0)
            KD_TRY(kd_buffer_append_text(ctx, out, ", "));
        const kd_column *column = kdi_column_by_no(table, table->partition_column_nos[i]);
        KD_TRY(column->hidden ? key_expression(ctx, column->default_text, out)
                              : kd_name_append(ctx, column->storage.name, out));
    }
    return kd_buffer_append_byte(ctx, out, ')');
}

bool kdi_type_by_number(const kd_catalog_version *version, uint64_t number, int32_t modifier,
                        kd_type *out_type)
{
    if (kd_type_of_number(number, modifier, out_type))
        return true;
    uint64_t plain = number & ~KD_TYPE_NUMBER_ARRAY_BIT;
    const kd_object *object = plain > UINT32_MAX ? NULL : kd_catalog_get(version, (uint32_t)plain);
    bool is_row =
        object != NULL && (object->kind == KD_OBJECT_TABLE || object->kind == KD_OBJECT_COMPOSITE);
    if (object == NULL || (object->kind != KD_OBJECT_ENUM && !is_row))
        return false;
    *out_type = kd_type_of(is_row ? KD_TYPE_RECORD : KD_TYPE_ENUM);
    out_type->object = object->object_no;
    out_type->is_array = plain != number;
    return true;
}
