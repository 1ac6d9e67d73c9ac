/*
 * The record of schema changes: the table pg_catalog.kade_schema_changes, one row for every
 * statement that made, changed or dropped an object, written by the transaction that did so: what
 * is rolled back is not in it.
 *
 * The newest KD_SCHEMA_CHANGES_KEPT rows stay; older ones go when the database is opened.
 * Changes of temporary objects are not recorded.
 */
#ifndef KD_ENGINE_SCHEMA_CHANGE_H
#define KD_ENGINE_SCHEMA_CHANGE_H

#include "engine/define_internal.h"

enum { KD_SCHEMA_CHANGES_KEPT = 10000 };

/* Makes the table in a database that has none, and takes old rows from it. */
kd_status kdi_schema_changes_open(kd_ctx *ctx, kd_database *database) KD_MUST_CHECK;
/* The run puts an object into the catalog, or takes it out. */
kd_status kdi_schema_change_note(kd_ctx *ctx, kd_run *run, const kd_object *object) KD_MUST_CHECK;
/* The run's definition is done: writes its row, if it changed anything. */
kd_status kdi_schema_change_write(kd_ctx *ctx, kd_run *run) KD_MUST_CHECK;

#endif
