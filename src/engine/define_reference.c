/*
 * Foreign keys that refer by a unique index that is dropped, or whose columns get other types.
 */
#include "engine/define_internal.h"

static bool index_has(const kd_table_index *index, uint32_t column_no)
{
    for (uint32_t i = 0; i < index->storage.column_count; i++)
        if (index->storage.columns[i].column_no == column_no)
            return true;
    return false;
}

static bool refers_by(const kd_foreign_key *key, const kd_table_entry *table,
                      const kd_table_index *index)
{
    if (!index->storage.unique || key->target_no != table->object.object_no ||
        key->column_count != index->storage.column_count)
        return false;
    for (uint32_t i = 0; i < key->column_count; i++)
        if (!index_has(index, key->target_column_nos[i]))
            return false;
    return true;
}

static kd_status forget(kd_ctx *ctx, kdi_draft *draft, const kd_table_entry *table,
                        const kd_table_index *index)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < draft->entry.foreign_count; i++)
        if (!refers_by(&draft->foreign_keys[i], table, index))
            draft->foreign_keys[kept++] = draft->foreign_keys[i];
    draft->entry.foreign_count = kept;
    return kdi_draft_sync(ctx, draft);
}

static kd_status refuse(kd_ctx *ctx, const kdi_referrer *referrer, const char *subject,
                        const char *base)
{
    kd_slice key = referrer->key->name, table = referrer->table->object.name;
    kd_status status = KD_FAIL(ctx, KD_INVALID, "2BP01",
                               "cannot drop %s because other objects depend on it", subject);
    kd_error_set_detail(ctx, "constraint %.*s on table %.*s depends on %s", (int)key.size_bytes,
                        key.data, (int)table.size_bytes, table.data, base);
    kd_error_set_hint(ctx, "Use DROP ... CASCADE to drop the dependent objects too.");
    return status;
}

kd_status kdi_references_drop(kd_ctx *ctx, kdi_draft *own, const kd_table_entry *table,
                              const kd_table_index *index, bool cascade, const char *subject,
                              const char *base)
{
    kd_run *run = own->run;
    kdi_referrer *referrers;
    uint32_t count;
    KD_TRY(kdi_foreign_referrers(ctx, run->arena, run->catalog, table, &referrers, &count));
    for (uint32_t i = 0; i < count; i++) {
        kdi_draft *draft = own;
        uint32_t object_no = referrers[i].table->object.object_no;
        if (!refers_by(referrers[i].key, table, index))
            continue;
        if (!cascade)
            return refuse(ctx, &referrers[i], subject, base);
        if (object_no == table->object.object_no) {
            KD_TRY(forget(ctx, own, table, index));
            continue;
        }
        /* As it is now: one of its keys may be gone already. */
        const kd_object *referrer = kd_catalog_get(run->catalog, object_no);
        KD_TRY(kdi_draft_open(ctx, run, (const kd_table_entry *)referrer, &draft));
        KD_TRY(forget(ctx, draft, table, index));
        KD_TRY(kdi_draft_put(ctx, draft));
    }
    return KD_OK;
}

static bool has_column(const uint32_t *column_nos, uint32_t count, uint32_t column_no)
{
    for (uint32_t i = 0; i < count; i++)
        if (column_nos[i] == column_no)
            return true;
    return false;
}

static kd_status own_key_fits(kd_ctx *ctx, const kdi_draft *own, const kd_foreign_key *key)
{
    const kd_table_entry *target = &own->entry;
    if (key->target_no != own->entry.object.object_no)
        target = (const kd_table_entry *)kd_catalog_get(own->run->catalog, key->target_no);
    return kdi_foreign_types_check(ctx, &own->entry, target, key->name, key->column_nos,
                                   key->target_column_nos, key->column_count);
}

kd_status kdi_references_fit(kd_ctx *ctx, kdi_draft *own, uint32_t column_no)
{
    const kd_table_entry *entry = &own->entry;
    kdi_referrer *referrers;
    uint32_t count;
    KD_TRY(kdi_draft_sync(ctx, own));
    KD_TRY(
        kdi_foreign_referrers(ctx, own->run->arena, own->run->catalog, entry, &referrers, &count));
    for (uint32_t i = 0; i < entry->foreign_count; i++) {
        const kd_foreign_key *key = &own->foreign_keys[i];
        if (has_column(key->column_nos, key->column_count, column_no) ||
            key->target_no == entry->object.object_no)
            KD_TRY(own_key_fits(ctx, own, key));
    }
    for (uint32_t i = 0; i < count; i++) {
        const kd_foreign_key *key = referrers[i].key;
        if (referrers[i].table->object.object_no != entry->object.object_no)
            KD_TRY(kdi_foreign_types_check(ctx, referrers[i].table, entry, key->name,
                                           key->column_nos, key->target_column_nos,
                                           key->column_count));
    }
    return KD_OK;
}

kd_status kdi_references_hold(kd_ctx *ctx, kd_run *run, uint32_t object_no, uint32_t column_no)
{
    const kd_table_entry *table = (const kd_table_entry *)kd_catalog_get(run->catalog, object_no);
    kdi_referrer *referrers;
    uint32_t count;
    KD_TRY(kdi_foreign_referrers(ctx, run->arena, run->catalog, table, &referrers, &count));
    for (uint32_t i = 0; i < count; i++) {
        const kd_foreign_key *key = referrers[i].key;
        kdi_draft *draft;
        if (key->not_valid || !has_column(key->target_column_nos, key->column_count, column_no))
            continue;
        KD_TRY(kdi_draft_open(ctx, run, referrers[i].table, &draft));
        KD_TRY(kdi_draft_check_rows(ctx, draft, key, table));
    }
    return KD_OK;
}
