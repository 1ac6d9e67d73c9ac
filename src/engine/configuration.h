/*
 * What a database is set to: the values of its settings, where they come from and where they
 * are kept.
 *
 * Values come from three places, each before the next: what is built in, the file
 * "settings.conf" in the database's directory, which ALTER SYSTEM writes, and the options of the
 * opening. The file has one setting a line:
 *
 *     # a comment
 *     checkpoint_timeout = '10min'
 *     max_connections = 50
 *
 * A quote within quotes is doubled. New sessions begin with the database's values.
 */
#ifndef KD_ENGINE_CONFIGURATION_H
#define KD_ENGINE_CONFIGURATION_H

#include "engine/engine_internal.h"

/* Reads the file, then `options` (in the same form, NULL: none). F0000 tells the line at fault. */
kd_status kdi_configuration_open(kd_ctx *ctx, kd_database *database, const char *options,
                                 kdi_configuration **out_configuration) KD_MUST_CHECK;
void kdi_configuration_close(kdi_configuration *configuration); /* NULL is allowed. */

/* Puts the values into effect for the database: once its parts are open. */
void kdi_configuration_apply(kd_database *database);

/* What a session begins with, and what RESET gives it back. Texts live as long as the database. */
void kdi_configuration_defaults(kdi_configuration *configuration, kd_isolation isolation,
                                kd_settings *out_settings);
/* Values of the database's own settings (context DATABASE and OPENING). */
typedef struct kdi_limits {
    int64_t max_connections;
    uint64_t connection_timeout_ns;
    uint64_t wal_buffer_bytes;
} kdi_limits;
kdi_limits kdi_configuration_limits(kdi_configuration *configuration);
/* SHOW of any setting, for a session. */
kd_status kdi_session_show(kd_ctx *ctx, kd_arena *arena, kd_session *session, kd_slice name,
                           kd_slice *out_value) KD_MUST_CHECK;
/* Where the value comes from: "default", "configuration file", "command line" (the options). */
const char *kdi_configuration_source(kdi_configuration *configuration, kd_slice name,
                                     bool *out_pending_restart);

/* ALTER SYSTEM and ALTER DATABASE: SET and RESET. */
kd_status kdi_alter_configuration(kd_ctx *ctx, kd_run *run, const kd_ast_set *ast) KD_MUST_CHECK;

#endif
