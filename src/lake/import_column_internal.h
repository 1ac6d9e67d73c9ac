/*
 * Columns being filled from text: a FLAT vector and the fast parser of its type.
 *
 * A fast parser takes the plain spelling of a value and answers false for everything else; then
 * kd_value_parse decides, and has the error's text.
 */
#ifndef KD_LAKE_IMPORT_COLUMN_INTERNAL_H
#define KD_LAKE_IMPORT_COLUMN_INTERNAL_H

#include "lake/import.h"

typedef struct kdi_import_column kdi_import_column;
struct kdi_import_column {
    kd_type type;
    kd_vector vector;
    uint64_t *validity; /* Room for KD_BATCH_ROWS; the vector points here when a row is NULL. */
    bool is_skipped;
    bool is_forced_text;
    bool is_text; /* Bytes go in as they are: texts without a length limit. */
    bool (*parse_fast)(const kdi_import_column *column, kd_slice text, uint32_t row);
};

kd_status kdi_import_columns_create(kd_ctx *ctx, kd_arena *arena, const kd_import_column *columns,
                                    uint32_t column_count,
                                    kdi_import_column **out_columns) KD_MUST_CHECK;
/* Ready for the next batch: no row is NULL. */
void kdi_import_columns_begin(kdi_import_column *columns, uint32_t column_count);
void kdi_import_column_set_null(kdi_import_column *column, uint32_t row);
/* `text` lives as long as the batch; `is_ascii` says that it needs no check. */
kd_status kdi_import_column_set(kd_ctx *ctx, kd_arena *arena, const kd_text_settings *settings,
                                kdi_import_column *column, uint32_t row, kd_slice text,
                                bool is_ascii) KD_MUST_CHECK;

/* Takes the failure out of `ctx` and lists it; the texts are copied into `arena`. */
kd_status kdi_import_rejects_add(kd_ctx *ctx, kd_arena *arena, kd_import_rejects *rejects,
                                 const kd_error *error, uint64_t line, const char *column,
                                 kd_slice record) KD_MUST_CHECK;

/* The narrowest type that holds every text seen: sniffing. */
typedef struct kdi_type_guess {
    uint64_t seen_count;
    bool can_bool, can_integer, can_double, can_numeric, can_date, can_time, can_timestamp,
        can_uuid;
    bool is_big; /* An integer beyond the safe range of `integer`. */
} kdi_type_guess;

kdi_type_guess kdi_type_guess_begin(void);
void kdi_type_guess_add(kdi_type_guess *guess, kd_slice text);
kd_type kdi_type_guess_end(const kdi_type_guess *guess);

#endif
