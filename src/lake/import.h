/*
 * What the import readers (csv.h, ndjson.h) share: the columns they fill, and what
 * becomes of rows that cannot be read.
 */
#ifndef KD_LAKE_IMPORT_H
#define KD_LAKE_IMPORT_H

#include "lake/text_source.h"
#include "types/vector.h"

typedef struct kd_import_column {
    kd_slice name;
    kd_type type;
    bool is_skipped;     /* In the file, but nobody wants it: its vector is a NULL constant. */
    bool is_forced_text; /* CSV: an empty or null-looking field is a text, never NULL. */
} kd_import_column;

typedef enum kd_import_on_error {
    KD_IMPORT_STOP = 0, /* The first bad row fails the call. */
    KD_IMPORT_REJECT,   /* Bad rows are left out and listed. */
} kd_import_on_error;

/* One row that was left out. */
typedef struct kd_import_reject {
    uint64_t line;      /* Where the record begins, from 1. */
    const char *column; /* NULL when no single column is to blame. */
    const char *reason;
    char sqlstate[6];
    kd_slice record; /* The record's text, cut after 1,000 bytes. */
} kd_import_reject;

/* A list in an arena of the worker that found them. */
typedef struct kd_import_rejects {
    kd_import_reject *items;
    size_t count;
    size_t capacity;
} kd_import_rejects;

#endif
