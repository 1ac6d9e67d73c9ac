/*
 * Catalog entries as bytes: the body of a row in the catalog's system table.
 *
 *   u8       format, KD_ENTRY_FORMAT
 *   u8       kind (kd_object_kind)
 *   varint   object_no, schema_no
 *   counted  name, comment
 *   varint   owner's role; its grants (from format 8 on)
 *   ...      by kind, in the order of the struct's members; counts before lists
 *
 * Numbers are varints, booleans bytes, texts counted; types are their 12 bytes;
 * values as kd_value_append writes them, after their type.
 */
#ifndef KD_CATALOG_ENTRY_CODEC_H
#define KD_CATALOG_ENTRY_CODEC_H

#include "catalog/catalog.h"

enum { KD_ENTRY_FORMAT = 8 };

kd_status kd_entry_encode(kd_ctx *ctx, const kd_object *entry, kd_buffer *out) KD_MUST_CHECK;
/* Everything is copied into `arena`. Formats from 7 on are read. Damage is KD_CORRUPT, another
 * format KD_UNSUPPORTED. */
kd_status kd_entry_decode(kd_ctx *ctx, kd_arena *arena, kd_slice bytes,
                          const kd_object **out_entry) KD_MUST_CHECK;

#endif
