/*
 * The delta image: what of the tables is in memory only, written at a checkpoint.
 *
 * File "<unit, 10 hex digits>.img" in units/. Frames back to back:
 *
 *   offset  size  field of a frame
 *        0     4  payload length n
 *        4     4  CRC-32C of: database id, unit, frame number (8 bytes each), kind, payload
 *        8     1  kind
 *        9     n  payload (numbers are varints unless told)
 *
 *   1 CHUNK  table, unit, column set version, then runs: first slot, count, rows (see
 *            delta_chunk.c); a run of count 0 ends it
 *   2 MARKS  table, unit, count, then per ended row the distance from the one before
 *   3 REMAP  table, unit, count, references (u64 each)
 *   4 END    number of frames before
 *
 * Only what is visible at the checkpoint's stamp is in it, so stamps are left out:
 * after recovery every snapshot is newer.
 */
#ifndef KD_TABLE_DELTA_IMAGE_H
#define KD_TABLE_DELTA_IMAGE_H

#include "table/table_internal.h"

typedef enum kdi_image_kind {
    KDI_IMAGE_CHUNK = 1,
    KDI_IMAGE_MARKS = 2,
    KDI_IMAGE_REMAP = 3,
    KDI_IMAGE_END = 4,
} kdi_image_kind;

typedef struct kdi_image_writer {
    kd_storage *storage;
    kd_arena *arena;
    kd_file *file;
    uint64_t unit;
    uint64_t offset;
    uint64_t frame_count;
    kd_buffer frame;
} kdi_image_writer;

kd_status kdi_image_begin(kd_ctx *ctx, kd_storage *storage, uint64_t unit,
                          kdi_image_writer *out_writer) KD_MUST_CHECK;
/* What `snapshot` sees of the table, as its units were in `units`. */
kd_status kdi_image_table(kd_ctx *ctx, kdi_image_writer *writer, const kd_table *table,
                          const kdi_unit_list *units, kd_snapshot snapshot) KD_MUST_CHECK;
/* Ends, syncs. `kdi_image_close` follows in any case. */
kd_status kdi_image_finish(kd_ctx *ctx, kdi_image_writer *writer) KD_MUST_CHECK;
void kdi_image_close(kdi_image_writer *writer);

/* Puts everything in the image into its tables. */
kd_status kdi_image_load(kd_ctx *ctx, kd_storage *storage, uint64_t unit) KD_MUST_CHECK;
kd_status kdi_image_path(kd_ctx *ctx, kd_arena *arena, const kd_storage *storage, uint64_t unit,
                         const char **out_path) KD_MUST_CHECK;
kd_status kdi_image_remove(kd_ctx *ctx, kd_storage *storage, uint64_t unit) KD_MUST_CHECK;

/* Reads all of an image and checks it; what its frames say of tables is the opening's to check.
 * `keeps` (may be NULL) is held and is unlocked once the file is open: it may be removed then. */
kd_status kdi_image_check(kd_ctx *ctx, const char *directory, uint64_t database_id, uint64_t unit,
                          kd_mutex *keeps, const kd_damage_watch *watch) KD_MUST_CHECK;

#endif
