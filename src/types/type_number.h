/*
 * Types as PostgreSQL's catalog and protocol number them: pg_type.oid, atttypmod, typlen.
 *
 * Types that PostgreSQL has go by its numbers; timestamp_ns has one that it leaves free. Enums and
 * rows of the catalog are numbered as their objects there, and arrays of them with one bit more.
 */
#ifndef KD_TYPES_TYPE_NUMBER_H
#define KD_TYPES_TYPE_NUMBER_H

#include "types/type.h"

/* Arrays of the catalog's enums and rows: their element's number with this bit. */
#define KD_TYPE_NUMBER_ARRAY_BIT ((uint64_t)1 << 30)

/* 0 for a type without a number of its own: an enum or row that is not named. */
uint64_t kd_type_number(kd_type type);
/* The modifier as pg_attribute.atttypmod has it. */
int32_t kd_type_modifier_number(kd_type type);
/* Bytes as pg_type.typlen has them: -1 varies, -2 a text that ends in a zero byte. */
int kd_type_length_number(kd_type type);
/* A type by its number, with a modifier of pg_attribute's; false for numbers that only a catalog
 * can tell, or nobody. */
bool kd_type_of_number(uint64_t number, int32_t modifier, kd_type *out_type);

#endif
