/*
 * Postings being collected: for each key the references that have it, in memory, until they are put
 * into an inverted index. A reference costs a byte or two where they come in order.
 */
#ifndef KD_TABLE_POSTING_SET_H
#define KD_TABLE_POSTING_SET_H

#include "base/bytes.h"

typedef struct kdi_posting_set kdi_posting_set;

kd_status kdi_posting_set_create(kd_ctx *ctx, kd_arena *parent,
                                 kdi_posting_set **out_set) KD_MUST_CHECK;
void kdi_posting_set_destroy(kdi_posting_set *set); /* NULL is allowed. */
/* Again and again the same reference for a key counts once. */
kd_status kdi_posting_set_add(kd_ctx *ctx, kdi_posting_set *set, kd_slice key,
                              uint64_t ref) KD_MUST_CHECK;
uint64_t kdi_posting_set_count(const kdi_posting_set *set);
size_t kdi_posting_set_bytes(const kdi_posting_set *set);
/* No more is added: what there is comes in the order of (key, reference): a kd_index_source. */
kd_status kdi_posting_set_sort(kd_ctx *ctx, kdi_posting_set *set) KD_MUST_CHECK;
kd_status kdi_posting_set_next(kd_ctx *ctx, void *set, kd_slice *out_key, uint64_t *out_ref,
                               bool *out_end) KD_MUST_CHECK;

#endif
