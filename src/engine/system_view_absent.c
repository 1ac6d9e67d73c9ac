/*
 * PostgreSQL's catalogs of what KadeDB has none of: triggers, rules, publications, foreign servers,
 * and what else clients ask for; and dependencies, which are followed and not listed. They have
 * PostgreSQL 15's columns and no rows.
 */
#include "engine/system_view_internal.h"

#define PG_TRIGGER(X)       \
    X(oid, OID)             \
    X(tgrelid, OID)         \
    X(tgparentid, OID)      \
    X(tgname, TEXT)         \
    X(tgfoid, OID)          \
    X(tgtype, INT2)         \
    X(tgenabled, TEXT)      \
    X(tgisinternal, BOOL)   \
    X(tgconstrrelid, OID)   \
    X(tgconstrindid, OID)   \
    X(tgconstraint, OID)    \
    X(tgdeferrable, BOOL)   \
    X(tginitdeferred, BOOL) \
    X(tgnargs, INT2)        \
    X(tgattr, INT2_ARRAY)   \
    X(tgqual, TEXT) X(tgoldtable, TEXT) X(tgnewtable, TEXT)
#define PG_REWRITE(X)   \
    X(oid, OID)         \
    X(rulename, TEXT)   \
    X(ev_class, OID)    \
    X(ev_type, TEXT)    \
    X(ev_enabled, TEXT) \
    X(is_instead, BOOL) X(ev_qual, TEXT) X(ev_action, TEXT)
#define PG_POLICY(X)       \
    X(oid, OID)            \
    X(polname, TEXT)       \
    X(polrelid, OID)       \
    X(polcmd, TEXT)        \
    X(polpermissive, BOOL) \
    X(polroles, REGTYPE_ARRAY) X(polqual, TEXT) X(polwithcheck, TEXT)
#define PG_STATISTIC_EXT(X) \
    X(oid, OID)             \
    X(stxrelid, OID)        \
    X(stxname, TEXT)        \
    X(stxnamespace, OID)    \
    X(stxowner, OID)        \
    X(stxstattarget, INT4) X(stxkeys, INT2_ARRAY) X(stxkind, TEXT_ARRAY)
#define PG_PUBLICATION(X) \
    X(oid, OID)           \
    X(pubname, TEXT)      \
    X(pubowner, OID)      \
    X(puballtables, BOOL) \
    X(pubinsert, BOOL)    \
    X(pubupdate, BOOL)    \
    X(pubdelete, BOOL) X(pubtruncate, BOOL) X(pubviaroot, BOOL)
#define PG_PUBLICATION_REL(X) \
    X(oid, OID) X(prpubid, OID) X(prrelid, OID) X(prqual, TEXT) X(prattrs, INT2_ARRAY)
#define PG_PUBLICATION_NAMESPACE(X) X(oid, OID) X(pnpubid, OID) X(pnnspid, OID)
#define PG_SUBSCRIPTION(X) \
    X(oid, OID) X(subdbid, OID) X(subname, TEXT) X(subowner, OID) X(subenabled, BOOL)
#define PG_FOREIGN_TABLE(X) X(ftrelid, OID) X(ftserver, OID) X(ftoptions, TEXT_ARRAY)
#define PG_FOREIGN_SERVER(X) \
    X(oid, OID)              \
    X(srvname, TEXT)         \
    X(srvowner, OID)         \
    X(srvfdw, OID)           \
    X(srvtype, TEXT) X(srvversion, TEXT) X(srvacl, TEXT_ARRAY) X(srvoptions, TEXT_ARRAY)
#define PG_FOREIGN_DATA_WRAPPER(X) \
    X(oid, OID)                    \
    X(fdwname, TEXT)               \
    X(fdwowner, OID)               \
    X(fdwhandler, OID)             \
    X(fdwvalidator, OID) X(fdwacl, TEXT_ARRAY) X(fdwoptions, TEXT_ARRAY)
#define PG_USER_MAPPING(X) X(oid, OID) X(umuser, OID) X(umserver, OID) X(umoptions, TEXT_ARRAY)
#define PG_EVENT_TRIGGER(X) \
    X(oid, OID)             \
    X(evtname, TEXT)        \
    X(evtevent, TEXT)       \
    X(evtowner, OID) X(evtfoid, OID) X(evtenabled, TEXT) X(evttags, TEXT_ARRAY)
#define PG_RANGE(X)       \
    X(rngtypid, OID)      \
    X(rngsubtype, OID)    \
    X(rngmultitypid, OID) \
    X(rngcollation, OID) X(rngsubopc, OID) X(rngcanonical, REGPROC) X(rngsubdiff, REGPROC)
#define PG_SHDESCRIPTION(X) X(objoid, OID) X(classoid, OID) X(description, TEXT)
#define PG_SECLABEL(X) \
    X(objoid, OID) X(classoid, OID) X(objsubid, INT4) X(provider, TEXT) X(label, TEXT)
#define PG_LARGEOBJECT_METADATA(X) X(oid, OID) X(lomowner, OID) X(lomacl, TEXT_ARRAY)
#define PG_REPLICATION_SLOTS(X) \
    X(slot_name, TEXT)          \
    X(plugin, TEXT)             \
    X(slot_type, TEXT) X(datoid, OID) X(database, TEXT) X(active, BOOL) X(active_pid, INT4)
#define PG_STAT_REPLICATION(X) \
    X(pid, INT4)               \
    X(usesysid, OID)           \
    X(usename, TEXT)           \
    X(application_name, TEXT) X(client_addr, TEXT) X(state, TEXT) X(sync_state, TEXT)
#define PG_PREPARED_XACTS(X) \
    X(transaction, INT8) X(gid, TEXT) X(prepared, TIMESTAMPTZ) X(owner, TEXT) X(database, TEXT)
#define PG_RULES(X) X(schemaname, TEXT) X(tablename, TEXT) X(rulename, TEXT) X(definition, TEXT)

#define PG_DEPEND(X)  \
    X(classid, OID)   \
    X(objid, OID)     \
    X(objsubid, INT4) \
    X(refclassid, OID) X(refobjid, OID) X(refobjsubid, INT4) X(deptype, TEXT)

static kd_status no_rows(kd_ctx *ctx, kd_arena *arena, const kd_catalog_version *version,
                         void *session,
                         kd_status (*emit)(kd_ctx *ctx, void *object, const kd_value *values),
                         void *object)
{
    (void)ctx, (void)arena, (void)version, (void)session, (void)emit, (void)object;
    return KD_OK;
}

#define ABSENT(view_name, COLUMNS)                                             \
    static const char *const view_name##_names[] = {COLUMNS(KDI_COLUMN_NAME)}; \
    static const kd_type view_name##_types[] = {COLUMNS(KDI_COLUMN_TYPE)};

ABSENT(pg_trigger, PG_TRIGGER)
ABSENT(pg_rewrite, PG_REWRITE)
ABSENT(pg_policy, PG_POLICY)
ABSENT(pg_statistic_ext, PG_STATISTIC_EXT)
ABSENT(pg_publication, PG_PUBLICATION)
ABSENT(pg_publication_rel, PG_PUBLICATION_REL)
ABSENT(pg_publication_namespace, PG_PUBLICATION_NAMESPACE)
ABSENT(pg_subscription, PG_SUBSCRIPTION)
ABSENT(pg_foreign_table, PG_FOREIGN_TABLE)
ABSENT(pg_foreign_server, PG_FOREIGN_SERVER)
ABSENT(pg_foreign_data_wrapper, PG_FOREIGN_DATA_WRAPPER)
ABSENT(pg_user_mapping, PG_USER_MAPPING)
ABSENT(pg_event_trigger, PG_EVENT_TRIGGER)
ABSENT(pg_range, PG_RANGE)
ABSENT(pg_shdescription, PG_SHDESCRIPTION)
ABSENT(pg_seclabel, PG_SECLABEL)
ABSENT(pg_largeobject_metadata, PG_LARGEOBJECT_METADATA)
ABSENT(pg_replication_slots, PG_REPLICATION_SLOTS)
ABSENT(pg_stat_replication, PG_STAT_REPLICATION)
ABSENT(pg_prepared_xacts, PG_PREPARED_XACTS)
ABSENT(pg_rules, PG_RULES)
ABSENT(pg_depend, PG_DEPEND)

#define ENTRY(view_name)                                                                      \
    {                                                                                         \
        .schema = "pg_catalog", .name = #view_name,                                           \
        .column_count = sizeof view_name##_types / sizeof(kd_type),                           \
        .column_names = view_name##_names, .column_types = view_name##_types, .rows = no_rows \
    }

const kd_virtual_table *kdi_absent_views(uint32_t *out_count)
{
    static const kd_virtual_table views[] = {
        ENTRY(pg_trigger),
        ENTRY(pg_rewrite),
        ENTRY(pg_policy),
        ENTRY(pg_statistic_ext),
        ENTRY(pg_publication),
        ENTRY(pg_publication_rel),
        ENTRY(pg_publication_namespace),
        ENTRY(pg_subscription),
        ENTRY(pg_foreign_table),
        ENTRY(pg_foreign_server),
        ENTRY(pg_foreign_data_wrapper),
        ENTRY(pg_user_mapping),
        ENTRY(pg_event_trigger),
        ENTRY(pg_range),
        ENTRY(pg_shdescription),
        ENTRY(pg_seclabel),
        ENTRY(pg_largeobject_metadata),
        ENTRY(pg_replication_slots),
        ENTRY(pg_stat_replication),
        ENTRY(pg_prepared_xacts),
        ENTRY(pg_rules),
        ENTRY(pg_depend),
    };
    *out_count = sizeof views / sizeof views[0];
    return views;
}
