/*
 * The words of the grammar. Every word is an identifier first; its class says
 * where it may still be used as a name.
 */
#ifndef KD_SQL_KEYWORD_INTERNAL_H
#define KD_SQL_KEYWORD_INTERNAL_H

#include "base/bytes.h"
#include "sql/keyword_table.h"

typedef enum kdi_keyword {
    KW_NO_WORD = 0,
#define X(name, word, kind, label) KW_##name,
    KDI_KEYWORDS(X)
#undef X
        KW_COUNT
} kdi_keyword;

/* PostgreSQL's four classes. */
typedef enum kdi_keyword_class {
    KDI_WORD_UNRESERVED,  /* A name anywhere. */
    KDI_WORD_COLUMN_NAME, /* A column's or table's name, not a function's or type's. */
    KDI_WORD_TYPE_NAME,   /* A function's or type's name, not a column's. */
    KDI_WORD_RESERVED,    /* A label after AS only. */
} kdi_keyword_class;

enum { KDI_KEYWORD_BYTES_MAX = 24 }; /* Longer than every word; a multiple of 8. */

/* `folded` is lower case and padded with zeros to KDI_KEYWORD_BYTES_MAX. */
kdi_keyword kdi_keyword_find(const char folded[KDI_KEYWORD_BYTES_MAX], size_t size_bytes);
kd_slice kdi_keyword_text(kdi_keyword keyword);
kdi_keyword_class kdi_keyword_kind(kdi_keyword keyword);
bool kdi_keyword_is_bare_label(kdi_keyword keyword);

#endif
