/*
 * A database in this process, and the sessions on it.
 *
 * kade.h is a thin translation of database.h, session.h and statement.h; so are link and, later,
 * the server. Everything here takes a kd_ctx of the calling thread whose `cancelled` points at the
 * session's flag while a statement runs (kd_session_ctx gives it).
 */
#ifndef KD_ENGINE_DATABASE_H
#define KD_ENGINE_DATABASE_H

#include "catalog/catalog.h"
#include "exec/execute.h"

typedef struct kd_database kd_database;

typedef struct kd_database_options {
    bool read_only;
    bool must_exist;              /* 3D000 instead of creating. */
    uint64_t memory_budget_bytes; /* 0: 60 % of the machine or cgroup. */
    unsigned worker_count;        /* 0: one per core. */
    kd_durability durability;     /* Of commits, unless a session says otherwise. */
    bool no_sync;                 /* Only checkpoints and closing force anything to the disk. */
    const char *temp_directory;   /* NULL: inside the database directory. */
    uint32_t owner_timeout_ms;    /* As in kade_open_options, as is the next one. */
    const char *settings;
    bool no_background; /* Tests: no flush, compaction or checkpoint unless told to. */
    /* Tests: as in kd_storage_options; 0: the usual sizes. */
    uint64_t wal_file_bytes, checkpoint_log_bytes, delta_flush_bytes, redo_stream_bytes;
    uint64_t index_entries_in_memory; /* As in kd_storage_options. */
    uint64_t bulk_bytes_min; /* Tests: COPY of smaller files goes through the delta; 0: 4 MiB. */
} kd_database_options;

/* `path` may be ":memory:". `options` may be NULL. */
kd_status kd_database_open(kd_ctx *ctx, const char *path, const kd_database_options *options,
                           kd_database **out_database) KD_MUST_CHECK;
/* Ends all sessions, checkpoints, closes. The database is gone in any case; a failure tells that
 * the last checkpoint was not written (nothing is lost: the log has it). */
kd_status kd_database_close(kd_ctx *ctx, kd_database *database) KD_MUST_CHECK;
/* As a crash would: nothing is written. For tests. */
void kd_database_abandon(kd_database *database);

kd_storage *kd_database_storage(kd_database *database);
kd_catalog *kd_database_catalog(kd_database *database);
kd_registry *kd_database_registry(kd_database *database);
kd_governor *kd_database_governor(kd_database *database);

/* Settings of kade serve (setting.c tells each). Texts live as long as the database. */
typedef struct kd_server_settings {
    kd_slice listen_addresses, unix_socket_directories;
    uint16_t port; /* 0: one that is free. */
    uint64_t authentication_timeout_ns, shutdown_timeout_ns;
    uint32_t session_max; /* max_connections */
    bool uses_tls, needs_tls_1_3;
    kd_slice certificate_file, key_file, ca_file;
} kd_server_settings;
void kd_database_server_settings(kd_database *database, kd_server_settings *out_settings);
const char *kd_database_path(const kd_database *database);
const char *kd_database_name(const kd_database *database);

#endif
