/*
 * What the files of the engine share: the structs of databases, sessions,
 * prepared statements and runs, and who does what.
 *
 *   database.c, session.c, setting.c   the objects and their lives
 *   statement.c                        prepare, plan, run, end; autocommit; retries
 *   transaction.c                      BEGIN .. ROLLBACK, savepoints, deferred work
 *   row_set.c                          results that are made row by row (SHOW, EXPLAIN, RETURNING)
 *   table_writer.c                     rows into tables: defaults, checks, partitions
 *   table_key.c                        unique keys over all partitions
 *   foreign_key.c                      references both ways
 *   plan_cache.c, plan_choice.c        plans kept by text; plans for any values, or for some
 *   cursor.c, named.c                  cursors; PREPARE, EXECUTE
 *   dml.c, modifying_with.c            INSERT, UPDATE, DELETE, MERGE; those in WITH
 *   utility.c                          everything else, by kind of statement
 *   define_*.c                         CREATE, ALTER, DROP
 */
#ifndef KD_ENGINE_ENGINE_INTERNAL_H
#define KD_ENGINE_ENGINE_INTERNAL_H

#include "engine/activity.h"
#include "engine/plan_cache.h"
#include "engine/setting.h"
#include "engine/statement.h"
#include "base/map.h"
#include "base/thread.h"
#include "base/world_memory.h"
#include "exec/row_log.h"
#include "security/authorize.h"
#include "sql/ast_session.h"
#include "sql/binder.h"

enum { KDI_TAG_BYTES = 64, KDI_NAME_BYTES = 64 };
enum { KDI_KNOWN_ROWS = 8 }; /* Of one statement: how often it may be planned anew. */

typedef struct kdi_configuration kdi_configuration; /* configuration.h */
typedef struct kdi_statement_log kdi_statement_log; /* statement_log.h */
typedef struct kdi_notify_hub kdi_notify_hub;       /* notify.h */

/* For pg_stat_database. */
typedef struct kdi_transaction_counts {
    uint64_t committed, rolled_back, deadlocks;
} kdi_transaction_counts;

struct kd_database {
    kd_world *world;
    kd_arena *arena;
    kd_governor *governor;
    kd_storage *storage;
    struct kd_archive *archive; /* NULL in memory. */
    kd_registry *registry;
    kd_catalog *catalog;
    kd_workers *workers;
    struct kdi_sample_store *samples; /* For the planner: sample_store.c. */
    struct kdi_result_cache *results; /* result_cache.c */
    struct kdi_view_contents *views;  /* view_content.c */
    kdi_configuration *configuration;
    kdi_statement_log *statement_log;
    kdi_notify_hub *notify;
    struct kdi_advisory_locks *advisory; /* advisory_lock.h */
    kd_durability durability;
    uint64_t bulk_bytes_min; /* COPY of larger files goes straight into segments. */
    const char *spill_directory;
    const char *path;
    char name[KDI_NAME_BYTES];
    bool read_only;
    bool is_memory;
    atomic_uint_least64_t analyses;         /* Plans from before the last ANALYZE are made anew. */
    atomic_uint_least64_t function_changes; /* And those from before a function was registered. */
    atomic_int_least64_t usage_reset_us;    /* pg_stat_reset(), since 1970; 0: never. */
    kd_mutex mutex;                         /* Guards the session list. */
    kd_session *first_session;
    int64_t session_count;
    uint32_t last_session_no;
    kdi_transaction_counts ended;        /* Of sessions that are closed. */
    kdi_transaction_counts before_reset; /* Not told any more. */
    kd_cond session_ended;
    kd_mutex watch_mutex; /* Guards the rest: see watchdog.c. Taken before `mutex`. */
    kd_cond watch_changed;
    kd_thread *watcher;
    uint32_t watched_count; /* Statements with a deadline, and idle sessions with one. */
    bool watch_stops;
};

/* A check put off to the end of the statement or transaction: see deferred.c. */
typedef struct kdi_deferred kdi_deferred;

typedef enum kdi_constraint_mode {
    KDI_CONSTRAINTS_AS_DECLARED = 0,
    KDI_CONSTRAINTS_DEFERRED,
    KDI_CONSTRAINTS_IMMEDIATE,
} kdi_constraint_mode;

/* A constraint that may be deferred: a unique key, or foreign keys by name. */
typedef struct kdi_constraint_id {
    uint64_t index_no; /* 0: foreign keys. */
    kd_slice name;
} kdi_constraint_id;

typedef struct kdi_constraint_choice {
    struct kdi_constraint_choice *next;
    kdi_constraint_id id;
    bool deferred;
} kdi_constraint_choice;

/* When constraints are checked in this transaction, and what waits for its end. Lists only grow at
 * their heads, so that a savepoint keeps them by keeping this. In the transaction's arena. */
typedef struct kdi_constraint_times {
    kdi_constraint_mode mode;       /* SET CONSTRAINTS ALL, */
    kdi_constraint_choice *choices; /* and of single ones after it, newest first. */
    kdi_deferred *at_commit;        /* Newest first. */
} kdi_constraint_times;

/* A name of SQL's: prepared statements, cursors, savepoints. */
typedef struct kdi_named kdi_named;
struct kdi_named {
    kdi_named *next;
    kd_slice name;
    kd_prepared *prepared; /* PREPARE; cursors: the query's. */
    kd_slice statement;    /* PREPARE's own text, and when it was run, in us since 1970. */
    int64_t made_us;
    kd_run *run; /* Cursors. */
    uint32_t savepoint;
    kdi_constraint_times constraints; /* Savepoints: as they were, */
    struct kdi_said *said;            /* and what NOTIFY had said. */
    bool hold;
    bool has_committed; /* The transaction that declared it WITH HOLD. */
    kd_arena *arena;    /* Holds this struct. */
};

typedef struct kdi_short_read kdi_short_read;
typedef struct kdi_short_write kdi_short_write;

typedef struct kdi_file_schema kdi_file_schema;

/* The last value that nextval gave this session, per sequence. */
typedef struct kdi_sequence_value {
    struct kdi_sequence_value *next;
    uint32_t object_no;
    int64_t value;
} kdi_sequence_value;

/* How far the session's statement is; other sessions look at it too. */
typedef struct kdi_progress {
    atomic_uint_least64_t started_ns; /* 0: nothing is running. */
    uint64_t told_ns;                 /* When the session's owner was told last. */
    kd_progress work;
} kdi_progress;

/* A routine whose statements are being made or run (routine.c): what their parameters are. */
typedef struct kdi_routine_frame {
    const struct kdi_routine_frame *outer;
    uint32_t routine_no;
    kd_slice name;
    uint32_t count; /* Parameters. */
    const kd_slice *names;
    const kd_type *types;
    uint32_t depth;
} kdi_routine_frame;

struct kd_session {
    kd_database *database;
    const kdi_routine_frame *routine; /* NULL: none. */
    kd_session *next;                 /* In the database's list. */
    uint32_t session_no;              /* Counted from the database's opening. */
    kd_arena *arena;
    kd_ctx ctx;
    atomic_bool cancelled;
    atomic_bool timed_out;             /* The watchdog set `cancelled`. */
    atomic_uint_least64_t deadline_ns; /* Of the statement that runs; 0: none. */
    bool is_idle;                      /* The watchdog may end it: see watchdog.h. */
    uint64_t idle_deadline_ns;         /* While it is; guarded by the database's watch_mutex. */
    const char *ended_sqlstate;        /* It was idle for too long; NULL: it was not. */
    kd_isolation isolation;            /* As it was opened with. */
    kd_session_hooks hooks;
    char user_name[KDI_NAME_BYTES]; /* Who opened it; other threads read it. */
    uint32_t login_role_no;         /* That role. */
    uint32_t acting_role_no;        /* Whose rights count for now: kdi_act_as; 0: its own. */
    int32_t connection_limit;       /* Of it; -1: none. */
    uint32_t role_setting_count;    /* ALTER ROLE ... SET, as at the opening. */
    const kd_role_setting *role_settings;
    kd_random_seed random_seed;
    char current_schema[KDI_NAME_BYTES]; /* The first of the search path that exists. */
    uint32_t temp_schema_no; /* Of temporary tables: made with the first, dropped at the end. */
    char temp_schema[KDI_NAME_BYTES];
    kd_settings settings; /* In force now. */
    /* Kept from the first change in a transaction on; see kdi_settings_keep. */
    bool settings_kept;
    kd_settings committed;     /* What stays when SET LOCAL ends. */
    kd_settings at_begin;      /* What a rollback restores. */
    uint64_t settings_stamp;   /* Of those that change what a text means; 0: not computed. */
    uint64_t settings_changes; /* How often any of them may have changed. */
    kd_txn *txn;               /* NULL between transactions. */
    kd_session_state state;
    bool read_only;     /* The database is, or the session's owner wants it so. */
    bool is_internal;   /* Not counted by max_connections. */
    bool is_explicit;   /* BEGIN was said, */
    bool is_block;      /* or not: see kd_conversation_begin_block. */
    bool has_queried;   /* A query has run since: its isolation is settled. */
    bool has_on_commit; /* It has made temporary tables with ON COMMIT. */
    bool has_let_go;    /* FAILED, and its work is undone already. */
    kdi_constraint_times constraints;
    struct kdi_said *said;     /* By NOTIFY and LISTEN in this transaction, newest first, */
    kd_arena *said_arena;      /* in here. */
    void *advisory;            /* Locks on numbers: advisory_lock.c. */
    atomic_bool is_terminated; /* By pg_terminate_backend(): see watchdog.h. */
    kdi_deferred *due;         /* Checks for the end of the statement, newest first. */
    kdi_named *prepared;
    kdi_plan_cache plans;
    kdi_named *cursors;
    kdi_named *savepoints; /* In the transaction's arena, newest first. */
    kdi_sequence_value *sequence_values;
    kdi_file_schema *file_schemas; /* What was found in files; see file_function.c. */
    uint64_t file_stamp;           /* Grows when a file was found changed: plans are stale. */
    int64_t last_sequence_value;
    bool has_last_sequence_value;
    kd_run *runs; /* Open ones, newest first. */
    uint64_t statement_count;
    /* Transactions; only who has the session adds. */
    atomic_uint_least64_t committed_count, rolled_back_count;
    kdi_progress progress;
    kdi_activity activity;
    kd_text_settings text; /* Of the statement being made or run; see kdi_session_facts. */
    kd_session_facts facts;
    kd_catalog_version *catalog; /* Pinned while a statement is bound or run. */
};

/* What kind of work a statement is. */
typedef enum kdi_class {
    KDI_EMPTY = 0,
    KDI_QUERY,       /* Bound and planned: SELECT, INSERT, UPDATE, DELETE, MERGE. */
    KDI_TRANSACTION, /* BEGIN and its family: handled outside any transaction. */
    KDI_UTILITY,     /* Everything else. */
} kdi_class;

struct kd_prepared {
    kd_session *session;
    kd_arena *arena;         /* Holds this struct and what outlives plans. */
    kd_slice text;           /* The whole text; positions refer to it. */
    kd_slice statement_text; /* The statement's part. */
    kd_statement statement;  /* Syntax tree, in plan_arena (it is parsed again for a new plan). */
    kdi_class class;
    kd_arena *plan_arena;
    kd_catalog_version *catalog; /* Pinned: what the plan was made for. */
    uint64_t settings_stamp;
    kd_bound_statement *bound;
    kd_statement_plan *plan;
    kdi_plan_sources sources;
    kdi_plan_choice choice;
    kdi_plan_place place;         /* Among the session's kept ones, while nobody has it. */
    bool is_by_text;              /* The text says all of it: it may be kept under it. */
    bool is_repeatable;           /* Its rows follow from stored ones: see result_key.c. */
    bool reads_now;               /* Its constants hold for this moment alone: 'today'. */
    kdi_short_read *short_read;   /* NULL: the plan is no single point read. */
    kdi_short_write *short_write; /* NULL: the statement does more than write one row. */
    uint32_t declared_count;
    kd_type *declared;
    uint32_t parameter_count;
    kd_type *parameter_types;
    uint32_t column_count;
    const kd_rel_column *columns;
    kd_known_rows known[KDI_KNOWN_ROWS]; /* What runs found that the planner had not expected. */
    uint32_t known_count;
    uint64_t replans;        /* Runs that went on with another plan: see replan.h. */
    bool is_of_cursor;       /* Its rows say where they are, behind these columns. */
    kd_plan_actual *actuals; /* Where EXPLAIN ANALYZE wants the figures of its run; else NULL. */
};

/* Rows made one by one, held in an arena, read as batches. */
typedef struct kdi_row_set {
    kd_arena *arena;
    uint32_t column_count;
    const kd_rel_column *columns;
    struct kdi_row_chunk *first, *last, *reading;
    uint64_t row_count;
} kdi_row_set;

struct kd_run {
    kd_prepared *prepared;
    kd_session *session;
    kd_run *next; /* In the session's list. */
    kd_arena *arena;
    const kd_bound_statement *bound; /* What is run: the statement's, or made for this run. */
    const kd_statement_plan *plan;
    kd_arena *own_arena;            /* Of a plan made for this run; NULL: there was none. */
    kd_execution *execution;        /* Queries. */
    struct kdi_replan *replan;      /* NULL: they are run as they are planned. See replan.h. */
    struct kdi_result *result;      /* Or its rows, kept from before: */
    uint32_t result_next;           /* the next batch of those. */
    struct kdi_result_draft *draft; /* Its rows are to be kept. */
    kd_slice result_key;            /* Empty: they are not. */
    kdi_row_set *rows;              /* Statements whose rows are made: RETURNING, SHOW. */
    kd_row_log *log;                /* Copies of rows: EXECUTE, FETCH. */
    uint64_t log_next;
    kd_catalog_version *catalog; /* Pinned for as long as the run. */
    kd_text_settings text;       /* The run's own: worker threads read them. */
    kd_session_facts facts;
    kd_value *parameters;
    uint32_t parameter_count;
    uint32_t column_count; /* Of this run: EXECUTE and FETCH have those of another statement. */
    const kd_rel_column *columns;
    bool owns_transaction; /* The statement is its own transaction. */
    bool is_done;
    bool is_short;     /* Lives in its prepared statement: see short_path.h. */
    bool is_open;      /* Of a short one: between begin and end. */
    bool reads_latest; /* Referential checks: the newest committed state. */
    /* Statements in WITH that write, and the main one after them: what they returned, and that
     * nothing written by them is seen. */
    bool hides_own_work;
    bool is_engines;     /* Not a user's statement. */
    bool is_maintenance; /* A definition's check of rows: maintenance_work_mem is its limit. */
    kd_given_rows *given;
    uint32_t given_count;
    int64_t affected;
    char tag[KDI_TAG_BYTES];
    uint64_t started_ns;
    const char *phase;          /* What its progress is told as; NULL: part of another's work. */
    const char *changed_object; /* See schema_change.h. */
    int changed_rank;
    bool is_watched;         /* It has a statement_timeout: see watchdog.c. */
    kd_plan_actual *actuals; /* EXPLAIN ANALYZE. */
    kd_scan_skips skips;     /* With skip_damaged_rows. */
};

/* --- session.c ---------------------------------------------------------------------------------
 */

void kdi_session_notice(kd_session *session, const char *severity, const char *sqlstate,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Text settings and facts of a statement against one catalog version. */
void kdi_session_facts(kd_session *session, kd_catalog_version *catalog, kd_text_settings *out_text,
                       kd_session_facts *out_facts);
/* The text settings alone, without asking the clock. */
void kdi_session_text(const kd_session *session, kd_catalog_version *catalog,
                      kd_text_settings *out_text);
/* The session's schema of temporary objects, made when it is not there. */
kd_status kdi_temp_schema(kd_ctx *ctx, kd_run *run, uint32_t *out_schema_no) KD_MUST_CHECK;
/* Temporary schemas that a crash left behind. */
kd_status kdi_drop_stale_schemas(kd_ctx *ctx, kd_database *database) KD_MUST_CHECK;
/* Runs a statement of the engine's own in a session of its own. */
kd_status kdi_session_run(kd_ctx *ctx, kd_session *session, kd_slice text) KD_MUST_CHECK;
/* What SET and RESET change, as at the session's opening. */
void kdi_session_defaults(const kd_session *session, kd_settings *out_settings);
/* Options for the binder: search path, system views, catalog. Valid while `facts` is. */
kd_status kdi_bind_options(kd_ctx *ctx, kd_arena *arena, kd_session *session,
                           const kd_catalog_version *catalog, const kd_session_facts *facts,
                           kd_bind_options *out_options) KD_MUST_CHECK;

/* What SHOW and current_setting name besides settings; and of that what never changes. */
bool kdi_show_fixed(kd_slice name, kd_slice *out_value);
bool kdi_show_special(kd_session *session, kd_slice name, kd_slice *out_value);

/* --- object_name.c -------------------------------------------------------------------------------
 */

/* For text settings: the number of what `text` names, of the kind that regclass and its kin say. */
kd_status kdi_reg_no(kd_ctx *ctx, const kd_text_settings *settings, kd_type type, kd_slice text,
                     int64_t *out_no) KD_MUST_CHECK;
kd_status kdi_reg_name(kd_ctx *ctx, const kd_text_settings *settings, kd_type type, int64_t no,
                       kd_buffer *out) KD_MUST_CHECK;

/* --- transaction.c ------------------------------------------------------------------------------
 */

/* Begins the statement's own transaction where none is open. */
kd_status kdi_transaction_ensure(kd_ctx *ctx, kd_session *session, bool *out_owns) KD_MUST_CHECK;
/* The snapshot of a statement that begins in the session's transaction. What those see that are
 * open still (`others_are_open`) stays. */
void kdi_statement_begin(kd_session *session, bool others_are_open);
/* Unless others are open, the transaction holds nothing for statements any more. */
void kdi_statement_end(kd_session *session);
/* Commits with everything that waits for it; the transaction is over in any case. */
kd_status kdi_transaction_commit(kd_ctx *ctx, kd_session *session) KD_MUST_CHECK;
void kdi_transaction_rollback(kd_session *session);
/* A transaction around several statements that nobody has begun: see kd_conversation_begin_block.
 */
kd_status kdi_block_begin(kd_ctx *ctx, kd_session *session) KD_MUST_CHECK;
kd_status kdi_block_end(kd_ctx *ctx, kd_session *session) KD_MUST_CHECK;
/* The same for one that only looked, which counts as none. */
void kdi_transaction_discard(kd_session *session);
/* Of user's sessions, since pg_stat_reset(), which begins anew. */
kdi_transaction_counts kdi_transactions_counted(kd_database *database);
void kdi_transactions_count_anew(kd_database *database);
/* A FAILED transaction without savepoints undoes its work at once, so that nobody waits for its
 * locks until the session says ROLLBACK; a new one stands in its place till then. */
void kdi_transaction_let_go(kd_session *session);
/* A statement failed, if only to parse or bind: inside an explicit transaction that fails, too. */
/* 25P02 */
kd_status kdi_aborted(kd_ctx *ctx);
void kdi_note_failure(kd_session *session);
/* What lost against another transaction is tried again this often, after a pause each time. The
 * other's rows are stamped before its commit is seen by new snapshots: the log's write lies
 * between. Trying again at once would use up the attempts in that time. `attempt` counts from 0. */
enum { KDI_CONFLICT_RETRIES = 100 };
void kdi_conflict_pause(kd_ctx *ctx, int attempt);
/* Called before a setting is changed, in a transaction: most transactions change none. */
void kdi_settings_keep(kd_session *session);
/* SET TRANSACTION: the open transaction's isolation and access. */
kd_status kdi_set_transaction(kd_ctx *ctx, kd_session *session, const kd_ast_set *ast,
                              char tag[KDI_TAG_BYTES]) KD_MUST_CHECK;
/* BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE, ROLLBACK TO; fills the tag. */
kd_status kdi_transaction_command(kd_ctx *ctx, kd_session *session,
                                  const kd_ast_transaction *command,
                                  char tag[KDI_TAG_BYTES]) KD_MUST_CHECK;

/* --- row_set.c ----------------------------------------------------------------------------------
 */

kd_status kdi_row_set_create(kd_ctx *ctx, kd_arena *arena, const kd_rel_column *columns,
                             uint32_t column_count, kdi_row_set **out_rows) KD_MUST_CHECK;
/* Values are copied. */
kd_status kdi_row_set_add(kd_ctx *ctx, kdi_row_set *rows, const kd_value *values) KD_MUST_CHECK;
/* The selected rows of a batch, copied. */
kd_status kdi_row_set_add_batch(kd_ctx *ctx, kdi_row_set *rows,
                                const kd_batch *batch) KD_MUST_CHECK;
/* The rows as batches that stay as long as the row set does. */
kd_status kdi_row_set_batches(kd_ctx *ctx, kdi_row_set *rows,
                              kd_given_rows *out_batches) KD_MUST_CHECK;
/* From the start to the end, once (or again after rewind). */
void kdi_row_set_next(kdi_row_set *rows, kd_batch *out_batch, bool *out_end);
void kdi_row_set_rewind(kdi_row_set *rows);
/* Result columns from literals: name, type, name, type ... */
kd_status kdi_columns(kd_ctx *ctx, kd_arena *arena, const char *const *names, const kd_type *types,
                      uint32_t count, kd_rel_column **out_columns) KD_MUST_CHECK;
/* Makes `columns` the run's result and gives an empty row set for it. */
/* The run's rows are copied into a log. */
kd_status kdi_run_start_log(kd_ctx *ctx, kd_run *run, const kd_rel_column *columns,
                            uint32_t column_count) KD_MUST_CHECK;
kd_status kdi_row_log_create(kd_ctx *ctx, kd_session *session, kd_arena *arena,
                             const kd_rel_column *columns, uint32_t column_count,
                             kd_row_log **out_log) KD_MUST_CHECK;
/* Takes a run that has begun out of the session's list: it is neither timed nor cancelled until it
 * is asked for rows again. */
void kdi_run_park(kd_run *run);
kd_status kdi_run_start_rows(kd_ctx *ctx, kd_run *run, const kd_rel_column *columns,
                             uint32_t column_count, kdi_row_set **out_rows) KD_MUST_CHECK;

/* --- statement.c --------------------------------------------------------------------------------
 */

/* An execution of the run's plan (or another one of its catalog version). */
/* The figures of an execution that is about to be destroyed. NULLs are allowed. */
void kdi_keep_actuals(kd_plan_actual *actuals, const kd_statement_plan *plan,
                      kd_execution *execution);
kd_status kdi_run_execute(kd_ctx *ctx, kd_run *run, const kd_statement_plan *plan,
                          kd_execution **out_execution) KD_MUST_CHECK;
bool kdi_plan_scans_only(const kd_statement_plan *plan);
/* A plan of `prepared` for the run, in `arena`, by what it or earlier runs counted. */
kd_status kdi_run_plan_known(kd_ctx *ctx, kd_run *run, kd_prepared *prepared, kd_arena *arena,
                             const kd_known_rows *known, uint32_t known_count,
                             const kd_bound_statement **out_bound,
                             const kd_statement_plan **out_plan) KD_MUST_CHECK;
/* For EXPLAIN: gives the run the plan (and the values) that a run of another statement would get.
 */
kd_status kdi_run_plan_other(kd_ctx *ctx, kd_run *run, kd_prepared *prepared,
                             const kd_value *parameters, uint32_t parameter_count) KD_MUST_CHECK;
/* For EXPLAIN and PREPARE: a statement whose plan is made now, whatever plans are kept, and that is
 * not kept either. */
kd_status kdi_prepared_anew(kd_ctx *ctx, kd_session *session, kd_slice text, const kd_type *types,
                            uint32_t type_count, kd_prepared **out_prepared) KD_MUST_CHECK;
/* Frees a statement, which kd_prepared_destroy may keep for the next use of its text. */
void kdi_prepared_release(kd_prepared *prepared);
/* Runs SQL inside the session's transaction and gives its first value (for referential actions and
 * internal look-ups). `out_affected` may be NULL. */
kd_status kdi_run_internal(kd_ctx *ctx, kd_session *session, kd_slice text,
                           const kd_value *parameters, uint32_t parameter_count,
                           int64_t *out_affected) KD_MUST_CHECK;
/* A query over rows that are there, on behalf of a definition: it tells its progress. */
kd_status kdi_query_check(kd_ctx *ctx, kd_session *session, kd_slice text,
                          int64_t *out_found) KD_MUST_CHECK;

/* --- dml.c -----------------------------------------------------------------------------
 */

/* Carries out the run's INSERT, UPDATE, DELETE or MERGE; RETURNING rows go to the run's row set. */
kd_status kdi_dml_run(kd_ctx *ctx, kd_run *run) KD_MUST_CHECK;

/* One statement of a run: the whole of it, or one of those in WITH. */
typedef struct kdi_dml_job {
    const kd_statement_plan *plan;
    kd_map *written;       /* References that the run has written. */
    kdi_row_set *source;   /* The query's rows, if they were read before; else NULL. */
    kdi_row_set *returned; /* Out: NULL where there is no RETURNING. */
    int64_t affected;      /* Out. */
} kdi_dml_job;
kd_status kdi_dml_one(kd_ctx *ctx, kd_run *run, kdi_dml_job *job) KD_MUST_CHECK;
/* Reads the query of a statement to its end. */
kd_status kdi_dml_read(kd_ctx *ctx, kd_run *run, const kd_statement_plan *plan,
                       kdi_row_set **out_rows) KD_MUST_CHECK;

/* --- modifying_with.c ---------------------------------------------------------------------------
 */

/* A statement with data-modifying WITH queries: those first, then the statement itself. */
kd_status kdi_modifying_with_run(kd_ctx *ctx, kd_run *run, kd_map *written) KD_MUST_CHECK;

/* --- utility.c ----------------------------------------------------------------------------------
 */

/* The result columns that a utility statement will have, where they are known before it runs. */
kd_status kdi_utility_describe(kd_ctx *ctx, kd_prepared *prepared) KD_MUST_CHECK;
/* Runs it: sets the run's tag, rows and number. */
kd_status kdi_utility_run(kd_ctx *ctx, kd_run *run) KD_MUST_CHECK;

void kdi_set_tag(kd_run *run, const char *tag);
/* RESET ALL: all but the roles. */
void kdi_reset_settings(kd_session *session);
/* The values of SET, as texts; none: RESET. */
kd_status kdi_setting_values(kd_ctx *ctx, const kd_ast_set *ast,
                             kd_slice values[KD_SEARCH_PATH_MAX],
                             uint32_t *out_count) KD_MUST_CHECK;
/* "SELECT 3": the words and the run's number of rows. */
void kdi_set_tag_count(kd_run *run, const char *words);

/* --- named.c, explain.c
 * --------------------------------------------------------------------------- */

/* PREPARE, EXECUTE, DEALLOCATE, DECLARE, FETCH, CLOSE, DISCARD. */
/* --- cursor.c ----------------------------------------------------------------------------------
 */

kd_status kdi_cursor_command(kd_ctx *ctx, kd_run *run, const kd_ast_node *node) KD_MUST_CHECK;
/* WHERE CURRENT OF: where the row of `table`, or of a table that it is a partition of, is that the
 * cursor stands on. Not found: there is none any more, or no such row took part. */
kd_status kdi_cursor_place(kd_ctx *ctx, kd_session *session, kd_slice name,
                           const kd_catalog_version *catalog, const kd_table_entry *table,
                           kd_rowref *out_place, bool *out_found) KD_MUST_CHECK;
/* A query whose rows say where they are, as far as they are rows of tables (statement.c). */
kd_status kdi_prepared_of_cursor(kd_ctx *ctx, kd_session *session, kd_slice text,
                                 kd_prepared **out_prepared) KD_MUST_CHECK;
/* Reads open cursors to their ends: before something is written, or those WITH HOLD at commit. */
kd_status kdi_cursors_settle(kd_ctx *ctx, kd_session *session, bool only_held) KD_MUST_CHECK;
/* Those WITH HOLD stay from now on. */
void kdi_cursors_committed(kd_session *session);
/* All, or those that end with their transaction. */
void kdi_cursors_close(kd_session *session, bool all);

/* An open cursor; NULL where there is none of that name. */
const kdi_named *kdi_find_cursor(const kd_session *session, kd_slice name);
/* A statement of PREPARE; NULL where there is none of that name. */
const kdi_named *kdi_find_prepared(const kd_session *session, kd_slice name);
/* What EXECUTE runs: the statement and its arguments' values, in the run's arena. */
kd_status kdi_execute_target(kd_ctx *ctx, kd_run *run, const kd_ast_execute *ast,
                             kd_prepared **out_prepared, kd_value **out_values) KD_MUST_CHECK;
kd_status kdi_named_command(kd_ctx *ctx, kd_run *run, const kd_ast_node *node) KD_MUST_CHECK;
kd_status kdi_explain(kd_ctx *ctx, kd_run *run, const kd_ast_explain *ast) KD_MUST_CHECK;
/* DESCRIBE and SUMMARIZE. */
kd_status kdi_do_describe(kd_ctx *ctx, kd_run *run, const kd_ast_describe *ast) KD_MUST_CHECK;

/* --- define_*.c: one function per statement; `run` gives session, catalog and arena
 * ---------------- */

kd_status kdi_create_schema(kd_ctx *ctx, kd_run *run,
                            const kd_ast_create_schema *ast) KD_MUST_CHECK;
kd_status kdi_create_table(kd_ctx *ctx, kd_run *run, const kd_ast_create_table *ast) KD_MUST_CHECK;
/* CREATE TABLE AS, SELECT ... INTO, CREATE MATERIALIZED VIEW. */
kd_status kdi_create_table_as(kd_ctx *ctx, kd_run *run,
                              const kd_ast_create_table_as *ast) KD_MUST_CHECK;
kd_status kdi_create_index(kd_ctx *ctx, kd_run *run, const kd_ast_create_index *ast) KD_MUST_CHECK;
kd_status kdi_do_reindex(kd_ctx *ctx, kd_run *run, const kd_ast_reindex *ast) KD_MUST_CHECK;
kd_status kdi_create_view(kd_ctx *ctx, kd_run *run, const kd_ast_create_view *ast) KD_MUST_CHECK;
kd_status kdi_create_sequence(kd_ctx *ctx, kd_run *run,
                              const kd_ast_create_sequence *ast) KD_MUST_CHECK;
/* A statement inside another, of a routine or a check. Rows go to `take`; their bytes are the
 * statement's. */
typedef kd_status (*kdi_take_row)(kd_ctx *ctx, void *object, const kd_value *values,
                                  uint32_t count);
typedef struct kdi_nested {
    kd_slice text;
    const kd_value *parameters;
    const kd_type *types;
    uint32_t parameter_count;
    bool reads_latest; /* Sees what was done since the outer statement began. */
    /* Not NULL: the engine's own, and what its progress says. No row is skipped, none kept. */
    const char *phase;
    kdi_take_row take; /* NULL: rows are dropped. */
    void *object;
} kdi_nested;
kd_status kdi_alter_owner(kd_ctx *ctx, kd_run *run, const kd_ast_alter_owner *ast) KD_MUST_CHECK;
kd_status kdi_run_nested(kd_ctx *ctx, kd_session *session, const kdi_nested *nested) KD_MUST_CHECK;
kd_status kdi_register_routine_functions(kd_ctx *ctx, kd_registry *registry) KD_MUST_CHECK;
kd_status kdi_run_call(kd_ctx *ctx, kd_run *run, const kd_ast_call_procedure *ast) KD_MUST_CHECK;
kd_status kdi_create_routine(kd_ctx *ctx, kd_run *run,
                             const kd_ast_create_routine *ast) KD_MUST_CHECK;
kd_status kdi_alter_routine(kd_ctx *ctx, kd_run *run,
                            const kd_ast_alter_routine *ast) KD_MUST_CHECK;
kd_status kdi_create_composite(kd_ctx *ctx, kd_run *run,
                               const kd_ast_create_composite *ast) KD_MUST_CHECK;
kd_status kdi_alter_composite(kd_ctx *ctx, kd_run *run,
                              const kd_ast_alter_composite *ast) KD_MUST_CHECK;
kd_status kdi_create_enum(kd_ctx *ctx, kd_run *run, const kd_ast_create_enum *ast) KD_MUST_CHECK;
kd_status kdi_create_domain(kd_ctx *ctx, kd_run *run,
                            const kd_ast_create_domain *ast) KD_MUST_CHECK;
kd_status kdi_alter_table(kd_ctx *ctx, kd_run *run, const kd_ast_alter_table *ast) KD_MUST_CHECK;
kd_status kdi_alter_sequence(kd_ctx *ctx, kd_run *run,
                             const kd_ast_alter_sequence *ast) KD_MUST_CHECK;
kd_status kdi_alter_enum(kd_ctx *ctx, kd_run *run, const kd_ast_alter_enum *ast) KD_MUST_CHECK;
kd_status kdi_alter_domain(kd_ctx *ctx, kd_run *run, const kd_ast_alter_domain *ast) KD_MUST_CHECK;
kd_status kdi_rename(kd_ctx *ctx, kd_run *run, const kd_ast_rename *ast) KD_MUST_CHECK;
kd_status kdi_set_schema(kd_ctx *ctx, kd_run *run,
                         const kd_ast_alter_set_schema *ast) KD_MUST_CHECK;
kd_status kdi_drop(kd_ctx *ctx, kd_run *run, const kd_ast_drop *ast) KD_MUST_CHECK;
kd_status kdi_comment(kd_ctx *ctx, kd_run *run, const kd_ast_comment *ast) KD_MUST_CHECK;
kd_status kdi_truncate(kd_ctx *ctx, kd_run *run, const kd_ast_truncate *ast) KD_MUST_CHECK;
kd_status kdi_refresh(kd_ctx *ctx, kd_run *run, const kd_ast_refresh *ast) KD_MUST_CHECK;

/* --- copy.c --------------------------------------------------------------------------------------
 */

kd_status kdi_copy(kd_ctx *ctx, kd_run *run, const kd_ast_copy *ast) KD_MUST_CHECK;

/* --- system_view.c, session_function.c
 * ------------------------------------------------------------- */

const kd_virtual_tables *kdi_system_views(void);
/* nextval, currval, current_setting, pg_get_expr, ...: functions that need the session. */
kd_status kdi_register_session_functions(kd_ctx *ctx, kd_registry *registry) KD_MUST_CHECK;

/* --- table_writer.c ------------------------------------------------------------------------------
 */

/*
 * Writes rows to one table (or partitioned parent): fills defaults and generated
 * columns, checks NOT NULL and CHECK, routes to partitions, keeps foreign keys.
 * Rows are batches in the table's shape order (visible and hidden columns).
 */
typedef struct kdi_table_writer kdi_table_writer;

/* `given`: shape positions that the caller will supply; the others get their defaults. */
kd_status kdi_table_writer_create(kd_ctx *ctx, kd_arena *arena, kd_run *run,
                                  const kd_table_entry *table, const uint32_t *given,
                                  uint32_t given_count,
                                  kdi_table_writer **out_writer) KD_MUST_CHECK;
/* Makes a writer of an earlier transaction one of the session's present transaction. The catalog's
 * version is the same and nothing that the writer evaluates depends on the run. */
kd_status kdi_table_writer_enter(kd_ctx *ctx, kdi_table_writer *writer) KD_MUST_CHECK;
/* Inserts the selected rows; `input` has the given columns in order. `out_full` (may be NULL) gets
 * the rows as written, in shape order, valid until the next call. */
kd_status kdi_table_writer_insert(kd_ctx *ctx, kdi_table_writer *writer, const kd_batch *input,
                                  kd_batch *out_full) KD_MUST_CHECK;
/* Whether a table is the other one, or a partition somewhere below it. */
bool kdi_is_part_of(const kd_catalog_version *catalog, const kd_table_entry *table,
                    uint32_t ancestor_no);
/* Where a row was written. */
typedef struct kdi_row_place {
    kd_rowref ref;
    uint32_t object_no; /* Of the table, or of the partition. */
} kdi_row_place;
/* From now on kdi_table_writer_insert notes where each row of a batch went, by its number in the
 * batch: room for KD_BATCH_ROWS, which is there as long as the writer. */
void kdi_table_writer_note_places(kdi_table_writer *writer, kdi_row_place *places);
/* The table that the last single row was written to: the writer's own, or a partition. */
const kd_table_entry *kdi_table_writer_last(const kdi_table_writer *writer);
/* ON CONFLICT is about these indexes (positions in the table's list); none: about any. */
kd_status kdi_table_writer_arbitrate(kd_ctx *ctx, kdi_table_writer *writer,
                                     const uint32_t *positions, uint32_t count) KD_MUST_CHECK;
/* One row: `values` in shape order are filled in place where not given. With `tells_conflict` a key
 * that is taken in one of the arbiters is told instead of failing; the row in the way is NONE when
 * it is one of a partition that the table does not hold. */
kd_status kdi_table_writer_insert_row(kd_ctx *ctx, kdi_table_writer *writer, kd_value *values,
                                      bool tells_conflict,
                                      kd_insert_outcome *out_outcome) KD_MUST_CHECK;
/* Changes one row: `old_values` in shape order; `positions`/`values` are the assignments.
 * `new_values` (shape order) gets the row as written. KD_WRITE_CHANGED is for the caller to handle.
 */
kd_status kdi_table_writer_update(kd_ctx *ctx, kdi_table_writer *writer, kd_rowref ref,
                                  const kd_value *old_values, const uint32_t *positions,
                                  const kd_value *values, uint32_t count, kd_value *new_values,
                                  kd_write_outcome *out_outcome) KD_MUST_CHECK;
kd_status kdi_table_writer_delete(kd_ctx *ctx, kdi_table_writer *writer, kd_rowref ref,
                                  const kd_value *old_values,
                                  kd_write_outcome *out_outcome) KD_MUST_CHECK;
/* The partition (a leaf) that the references to come are of, as far as the caller knows; 0:
 * unknown. Of no effect but speed. */
void kdi_table_writer_expect(kdi_table_writer *writer, uint32_t partition_no);
/* Rows of the table itself, by reference, in shape order, in `arena`. For a parent the reference is
 * of the partition that holds it. */
kd_status kdi_table_writer_fetch(kd_ctx *ctx, kdi_table_writer *writer, kd_rowref ref,
                                 kd_snapshot snapshot, kd_arena *arena, kd_value *out_values,
                                 bool *out_visible) KD_MUST_CHECK;
/* The value that DEFAULT means for a shape position, in `arena`. */
kd_status kdi_table_writer_default(kd_ctx *ctx, kdi_table_writer *writer, uint32_t position,
                                   kd_arena *arena, kd_value *out_value) KD_MUST_CHECK;

/* The text of an expression over a table's row in its shape; NULL: over nothing. */
kd_status kdi_compile_text(kd_ctx *ctx, kd_arena *arena, kd_run *run, kd_slice text,
                           const kd_table_entry *table, kd_type type,
                           kd_compiled_expr **out_compiled) KD_MUST_CHECK;

/* Puts "Failing row contains (...)" on the error just recorded. */
void kdi_table_writer_describe(kd_ctx *ctx, kdi_table_writer *writer, const kd_value *values);

/* What rows must be for a partition that is written by its own name, by the bounds of all its
 * ancestors; a default partition must not hold what a sibling may. `values` in the table's shape.
 */
typedef struct kdi_bounds kdi_bounds;
kd_status kdi_bounds_create(kd_ctx *ctx, kd_arena *arena, kd_run *run, const kd_table_entry *table,
                            const kdi_bounds **out_bounds) KD_MUST_CHECK;
kd_status kdi_bounds_hold(kd_ctx *ctx, const kdi_bounds *bounds, kd_arena *arena,
                          const kd_value *values, bool *out_holds) KD_MUST_CHECK;

/* --- foreign_key.c
 * -------------------------------------------------------------------------------- */

/* "schema"."table", for statements of the engine's own. */
kd_status kdi_append_table(kd_ctx *ctx, kd_buffer *out, const kd_catalog_version *catalog,
                           const kd_table_entry *table) KD_MUST_CHECK;
/* What follows SELECT's list in a query of the child's rows that have no row to refer to. */
kd_status kdi_foreign_append_missing(kd_ctx *ctx, kd_buffer *out, const kd_catalog_version *catalog,
                                     const kd_table_entry *child, const kd_foreign_key *key,
                                     const kd_table_entry *target) KD_MUST_CHECK;
/* The foreign keys that refer to a table. */
typedef struct kdi_referrer {
    const kd_table_entry *table;
    const kd_foreign_key *key;
} kdi_referrer;
kd_status kdi_foreign_referrers(kd_ctx *ctx, kd_arena *arena, const kd_catalog_version *catalog,
                                const kd_table_entry *table, kdi_referrer **out_referrers,
                                uint32_t *out_count) KD_MUST_CHECK;
/* A row of `table` is there with these values (shape order): what it refers to must exist, now or,
 * at the latest, at the end of the statement (of the transaction, for deferred keys). `old_values`
 * may be NULL; keys that it shares with the new values need no check. */
kd_status kdi_foreign_check_row(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                                const kd_value *old_values,
                                const kd_value *new_values) KD_MUST_CHECK;
/* A row of `table` went (`new_values` NULL) or changed: the actions of those who refer to it. */
kd_status kdi_foreign_act(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                          const kdi_referrer *referrers, uint32_t referrer_count,
                          const kd_value *old_values, const kd_value *new_values) KD_MUST_CHECK;
/* The rows of a partition are about to leave the tables above it: 23503 when somebody refers to one
 * of them. The partition's writers are locked out, and its rows have left their keys. */
kd_status kdi_foreign_check_leaving(kd_ctx *ctx, kd_run *run,
                                    const kd_table_entry *partition) KD_MUST_CHECK;
/* Looks at a reference again that was put off; `arena` is scratch. */
kd_status kdi_foreign_look_again(kd_ctx *ctx, kd_session *session, kd_arena *arena,
                                 const kd_catalog_version *catalog,
                                 const kdi_deferred *it) KD_MUST_CHECK;

/* --- deferred.c
 * ----------------------------------------------------------------------------------- */

typedef enum kdi_deferred_kind {
    KDI_DEFERRED_PARENT,   /* A row refers: what to must be there. */
    KDI_DEFERRED_CHILDREN, /* A row went: nobody may refer to it. */
    KDI_DEFERRED_KEY,      /* A unique key may be taken. */
} kdi_deferred_kind;

struct kdi_deferred {
    kdi_deferred *next;
    kdi_deferred_kind kind;
    uint32_t child_no; /* References: the table that refers, its key, the values. */
    uint32_t count;
    kdi_constraint_id id;
    kd_value *values;
    const kd_key_doubt *doubt; /* Keys. */
};

/* Whether a constraint is judged at the commit, by its declaration and SET CONSTRAINTS. */
bool kdi_constraint_is_deferred(const kd_session *session, const kdi_constraint_id *id,
                                bool deferrable, bool initially_deferred);
/* Puts a check off to the end of the statement or transaction. It is copied; what it points at
 * lives as long as the transaction. */
kd_status kdi_deferred_add(kd_ctx *ctx, kd_session *session, const kdi_deferred *check,
                           bool to_commit) KD_MUST_CHECK;
/* Makes the checks that are due at the end of a statement; with `at_commit` all. Those for the
 * commit stay noted when one fails. */
kd_status kdi_deferred_run(kd_ctx *ctx, kd_session *session, bool at_commit) KD_MUST_CHECK;
/* SET CONSTRAINTS name IMMEDIATE: the checks of one constraint that were put off to the commit. */
kd_status kdi_deferred_run_only(kd_ctx *ctx, kd_session *session,
                                const kdi_constraint_id *id) KD_MUST_CHECK;
/* 55006 when checks of the table's rows still wait for the commit: a command that changes or drops
 * it would leave them nothing to look at. */
kd_status kdi_deferred_refuse(kd_ctx *ctx, kd_run *run, const kd_table_entry *table,
                              const char *command) KD_MUST_CHECK;

#endif
