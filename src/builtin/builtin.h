/*
 * The built-in functions, operators, aggregates, casts and table functions.
 *
 * Each file describes one family in static tables of the structs of
 * catalog/function.h; kd_builtin_register adds them all. Functions follow PostgreSQL 15: names,
 * argument types, results, errors.
 *
 * A numeric argument may be held in 64 or 128 bits or as variable-length bytes, as
 * env->argument_types tells; results declared numeric are variable-length.
 */
#ifndef KD_BUILTIN_BUILTIN_H
#define KD_BUILTIN_BUILTIN_H

#include "catalog/function.h"

kd_status kd_builtin_register(kd_ctx *ctx, kd_registry *registry) KD_MUST_CHECK;

#endif
