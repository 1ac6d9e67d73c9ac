/*
 * Building a dictionary: distinct strings or integers get codes in the order in
 * which they come; sorting gives the rank of each code among the values.
 *
 * Lives in an arena and is thrown away with it. Module-internal.
 */
#ifndef KD_STORE_DICTIONARY_BUILDER_H
#define KD_STORE_DICTIONARY_BUILDER_H

#include "base/arena.h"
#include "types/str.h"

typedef struct kdi_dictionary {
    kd_arena *arena;
    bool of_strings;
    uint32_t count;
    uint32_t count_max;
    size_t text_bytes; /* Of all strings together. */
    kd_str *strings;
    int64_t *integers;
    size_t capacity;
    uint32_t *slots; /* Open addressing: code + 1, or 0. */
    uint32_t slot_mask;
} kdi_dictionary;

kd_status kdi_dictionary_init(kd_ctx *ctx, kdi_dictionary *dictionary, kd_arena *arena,
                              bool of_strings, uint32_t count_max) KD_MUST_CHECK;
/* `*out_full` when the value is new and count_max are there already; then no code is given. */
kd_status kdi_dictionary_add_string(kd_ctx *ctx, kdi_dictionary *dictionary, const kd_str *str,
                                    uint32_t *out_code, bool *out_full) KD_MUST_CHECK;
kd_status kdi_dictionary_add_integer(kd_ctx *ctx, kdi_dictionary *dictionary, int64_t value,
                                     uint32_t *out_code, bool *out_full) KD_MUST_CHECK;
/* `order[rank]` is the code of that rank, `rank[code]` the other way round; both of `count`. */
kd_status kdi_dictionary_sort(kd_ctx *ctx, const kdi_dictionary *dictionary, kd_arena *arena,
                              uint32_t **out_order, uint32_t **out_rank) KD_MUST_CHECK;

#endif
