/*
 * What a call that the engine runs by itself says of its routine: `data` of the functions
 * kade_call_routine and kade_routine_rows that are called for it.
 */
#ifndef KD_SQL_ROUTINE_TARGET_H
#define KD_SQL_ROUTINE_TARGET_H

#include "types/record.h"

typedef struct kd_routine_target {
    uint32_t routine_no;
    bool is_row;           /* One row is several columns, */
    kd_record_shape shape; /* these. */
} kd_routine_target;

#endif
