/*
 * Looking words up: one multiplication and, nearly always, one comparison.
 */
#include "sql/keyword_internal.h"

typedef struct keyword_row {
    const char *text;
    uint8_t size_bytes;
    uint8_t kind;
    bool is_bare_label;
} keyword_row;

static const keyword_row rows[KW_COUNT] = {[KW_NO_WORD] = {"", 0, KDI_WORD_UNRESERVED, true},
#define X(name, word, kind, label) [KW_##name] = {word, sizeof word - 1, KDI_WORD_##kind, label},
                                           KDI_KEYWORDS(X)
#undef X
};

enum { SLOT_COUNT = 2048, SLOT_BITS = 11 };

static const uint16_t slots[SLOT_COUNT] = {KDI_KEYWORD_SLOTS};

kdi_keyword kdi_keyword_find(const char folded[KDI_KEYWORD_BYTES_MAX], size_t size_bytes)
{
    const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t mixed = (kd_load_u64(folded) ^ (kd_load_u64(folded + 8) * factor)) * factor;
    for (size_t slot = mixed >> (64 - SLOT_BITS); slots[slot] != 0;
         slot = (slot + 1) % SLOT_COUNT) {
        const keyword_row *row = &rows[slots[slot]];
        if (row->size_bytes == size_bytes && memcmp(row->text, folded, size_bytes) == 0)
            return (kdi_keyword)slots[slot];
    }
    return KW_NO_WORD;
}

kd_slice kdi_keyword_text(kdi_keyword keyword)
{
    return (kd_slice){rows[keyword].text, rows[keyword].size_bytes};
}

kdi_keyword_class kdi_keyword_kind(kdi_keyword keyword)
{
    return (kdi_keyword_class)rows[keyword].kind;
}

bool kdi_keyword_is_bare_label(kdi_keyword keyword)
{
    return rows[keyword].is_bare_label;
}
