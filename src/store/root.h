/*
 * The database root: the one file that says what a database consists of.
 *
 *   offset  size  field
 *        0     8  magic           "KADEROOT"
 *        8     4  format_version
 *       12     4  checksum        CRC-32C of the header, with 0 in this field, and the body
 *       16     8  database_id
 *       24     8  generation
 *       32     8  body_bytes      to the end of the file
 *       40     8  reserved        0
 *       48        body
 *
 * Written at checkpoint by atomic replacement: ROOT.new, sync, rename to ROOT,
 * directory sync. The body is the caller's (module table): opaque here.
 */
#ifndef KD_STORE_ROOT_H
#define KD_STORE_ROOT_H

#include "base/bytes.h"
#include "base/world.h"

enum { KD_ROOT_FORMAT_VERSION = 3 };

typedef struct kd_root {
    uint32_t format_version;
    uint64_t database_id; /* Random, made when the database was. */
    uint64_t generation;  /* Counts the writes of this root. */
    kd_slice body;
} kd_root;

/* `*out_found` is false for an empty or absent directory. A directory with other files but no root:
 * KD_INVALID, "is not a KadeDB database". Newer format: KD_UNSUPPORTED naming both versions.
 * Damage: KD_CORRUPT. */
kd_status kd_root_read(kd_ctx *ctx, kd_arena *arena, const char *directory, kd_root *out_root,
                       bool *out_found) KD_MUST_CHECK;
/* When it fails, `*out_old_stays` says that the old root is still the one that counts; without it,
 * either may be. */
kd_status kd_root_write(kd_ctx *ctx, const char *directory, const kd_root *root,
                        bool *out_old_stays) KD_MUST_CHECK;

#endif
