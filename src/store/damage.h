/*
 * What a check finds. A check goes piece by piece through what is stored (a block, a dictionary, a
 * footer), so that it goes on behind what it finds, stops in between, and reads no faster than it
 * may.
 */
#ifndef KD_STORE_DAMAGE_H
#define KD_STORE_DAMAGE_H

#include "base/world.h"

enum { KD_DAMAGE_FILE_BYTES = 64 };

typedef struct kd_damage {
    char file[KD_DAMAGE_FILE_BYTES]; /* Below the database's directory; "": it is in none. */
    uint64_t offset, size_bytes;     /* Of the piece in the file; size 0: all of the file. */
    uint64_t table_no, index_no;     /* 0: none, or not known. */
    int64_t column_no;               /* The table's number of the column; -1: none. */
    int64_t first_row;               /* In the segment; -1: no rows of one. */
    uint64_t row_count;
    bool is_note;     /* Nothing stored is wrong: what a reader of the report should know. */
    kd_status status; /* KD_CORRUPT, or KD_IO where the disk does not give the bytes. */
} kd_damage;

typedef struct kd_damage_watch {
    kd_status (*found)(kd_ctx *ctx, void *object, const kd_damage *damage, const char *what);
    /* So many bytes were read; may wait, and fails to end the check. */
    kd_status (*read)(kd_ctx *ctx, void *object, uint64_t bytes);
    void *object;
} kd_damage_watch;

static inline kd_damage kd_damage_none(void)
{
    return (kd_damage){.column_no = -1, .first_row = -1};
}

/* Whether a failure is about what is stored: bytes that are wrong or that the disk does not give.
 */
static inline bool kd_is_damage(kd_status status)
{
    return status == KD_CORRUPT || status == KD_IO;
}

/* Passes a check's outcome on: damage goes to `watch`, which may end the check; other failures come
 * back. */
kd_status kd_damage_tell(kd_ctx *ctx, const kd_damage_watch *watch, kd_status status,
                         kd_damage *damage) KD_MUST_CHECK;

#endif
