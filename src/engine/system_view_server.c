/*
 * System views of what the server is and does: settings, databases, sessions.
 */
#include "engine/system_view_internal.h"

#include "engine/configuration.h"

#include <assert.h>
#include <stdio.h>

#define PG_SETTINGS(X)      \
    X(name, TEXT)           \
    X(setting, TEXT)        \
    X(unit, TEXT)           \
    X(category, TEXT)       \
    X(short_desc, TEXT)     \
    X(extra_desc, TEXT)     \
    X(context, TEXT)        \
    X(vartype, TEXT)        \
    X(source, TEXT)         \
    X(min_val, TEXT)        \
    X(max_val, TEXT)        \
    X(enumvals, TEXT_ARRAY) \
    X(boot_val, TEXT)       \
    X(reset_val, TEXT) X(sourcefile, TEXT) X(sourceline, INT4) X(pending_restart, BOOL)

static kd_status put_number_text(kdi_sys_view *view, int64_t number)
{
    char *text = kd_format_text(view->ctx, view->arena, "%lld", (long long)number);
    if (text == NULL)
        return KD_NOMEM;
    kdi_put_literal(view, text);
    return KD_OK;
}

static void put_text_or_null(kdi_sys_view *view, const char *text)
{
    if (text == NULL)
        kdi_put_null(view);
    else
        kdi_put_literal(view, text);
}

static kd_status pg_settings(kdi_sys_view *view)
{
    /* By kd_setting_context. */
    static const char *const contexts[] = {"user", "sighup", "postmaster", "internal"};
    kd_setting_info info;
    for (uint32_t i = 0; kd_setting_at(i, &info); i++) {
        kd_slice value;
        KD_TRY(kdi_session_show(view->ctx, view->arena, view->session, kd_slice_of(info.name),
                                &value));
        bool is_pending;
        const char *source = kdi_configuration_source(view->session->database->configuration,
                                                      kd_slice_of(info.name), &is_pending);
        kdi_put_literal(view, info.name);
        kdi_put_text(view, value);
        put_text_or_null(view, info.unit);
        kdi_put_literal(view, "Settings");
        kdi_put_literal(view, info.description == NULL ? "" : info.description);
        kdi_put_null(view);
        kdi_put_literal(view, contexts[info.context]);
        kdi_put_literal(view, info.kind);
        kdi_put_literal(view, source);
        if (strcmp(info.kind, "integer") == 0) {
            KD_TRY(put_number_text(view, info.min));
            KD_TRY(put_number_text(view, info.max));
        } else {
            kdi_put_nulls(view, 2);
        }
        kdi_put_null(view);
        put_text_or_null(view, info.default_text);
        put_text_or_null(view, info.default_text);
        kdi_put_nulls(view, 2);
        kdi_put_bool(view, is_pending);
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

#define PG_DATABASE(X)     \
    X(oid, OID)            \
    X(datname, TEXT)       \
    X(datdba, OID)         \
    X(encoding, INT4)      \
    X(datcollate, TEXT)    \
    X(datctype, TEXT)      \
    X(datistemplate, BOOL) \
    X(datallowconn, BOOL)  \
    X(datconnlimit, INT4)  \
    X(dattablespace, OID)  \
    X(datlocprovider, TEXT) X(daticulocale, TEXT) X(datcollversion, TEXT) X(datacl, TEXT_ARRAY)

static kd_status pg_database(kdi_sys_view *view)
{
    kdi_put_oid(view, KDI_DATABASE_NO);
    kdi_put_literal(view, view->session->database->name);
    kdi_put_oid(view, KDI_OWNER_NO);
    kdi_put_int4(view, 6); /* UTF8 */
    kdi_put_literal(view, "C");
    kdi_put_literal(view, "C");
    kdi_put_bool(view, false);
    kdi_put_bool(view, true);
    kdi_put_int4(view, -1);
    kdi_put_oid(view, 1663);
    kdi_put_char(view, 'c');
    kdi_put_nulls(view, 3);
    return kdi_sys_emit(view);
}

#define PG_AM(X) X(oid, OID) X(amname, TEXT) X(amhandler, TEXT) X(amtype, TEXT)

static kd_status pg_am(kdi_sys_view *view)
{
    static const struct {
        uint32_t number;
        const char *name;
        char type;
    } methods[] = {{2, "heap", 't'},
                   {403, "btree", 'i'},
                   {405, "hash", 'i'},
                   {2742, "gin", 'i'},
                   {3580, "brin", 'i'}};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        kdi_put_oid(view, methods[i].number);
        kdi_put_literal(view, methods[i].name);
        kdi_put_literal(view, "-");
        kdi_put_char(view, methods[i].type);
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

KDI_VIEW(pg_settings, PG_SETTINGS)
KDI_VIEW(pg_database, PG_DATABASE)
/* All texts are ordered by their bytes; the names are PostgreSQL's. */
#define PG_COLLATION(X)          \
    X(oid, OID)                  \
    X(collname, TEXT)            \
    X(collnamespace, OID)        \
    X(collowner, OID)            \
    X(collprovider, TEXT)        \
    X(collisdeterministic, BOOL) \
    X(collencoding, INT4)        \
    X(collcollate, TEXT) X(collctype, TEXT) X(colliculocale, TEXT) X(collversion, TEXT)

static kd_status pg_collation(kdi_sys_view *view)
{
    static const struct {
        uint32_t number;
        const char *name;
        char provider;
    } collations[] = {{100, "default", 'd'}, {950, "C", 'c'}, {951, "POSIX", 'c'}};
    const kd_object *schema = kd_catalog_find_schema(view->version, KD_SLICE("pg_catalog"));
    for (size_t i = 0; i < sizeof collations / sizeof *collations; i++) {
        kdi_put_oid(view, collations[i].number);
        kdi_put_literal(view, collations[i].name);
        kdi_put_oid(view, schema == NULL ? 0 : schema->object_no);
        kdi_put_oid(view, KDI_OWNER_NO);
        kdi_put_char(view, collations[i].provider);
        kdi_put_bool(view, true);
        kdi_put_int4(view, -1);
        kdi_put_nulls(view, 4);
        KD_TRY(kdi_sys_emit(view));
    }
    return KD_OK;
}

#define PG_EXTENSION(X) \
    X(oid, OID) X(extname, TEXT) X(extowner, OID) X(extnamespace, OID) X(extversion, TEXT)

static kd_status pg_extension(kdi_sys_view *view)
{
    (void)view; /* There are none. */
    return KD_OK;
}

KDI_VIEW(pg_collation, PG_COLLATION)
KDI_VIEW(pg_extension, PG_EXTENSION)
KDI_VIEW(pg_am, PG_AM)

const kd_virtual_table *kdi_server_views(uint32_t *out_count)
{
    static const kd_virtual_table views[] = {
        KDI_VIEW_ENTRY("pg_catalog", "pg_settings", pg_settings),
        KDI_VIEW_ENTRY("pg_catalog", "pg_database", pg_database),
        KDI_VIEW_ENTRY("pg_catalog", "pg_am", pg_am),
        KDI_VIEW_ENTRY("pg_catalog", "pg_collation", pg_collation),
        KDI_VIEW_ENTRY("pg_catalog", "pg_extension", pg_extension),
    };
    *out_count = sizeof views / sizeof views[0];
    return views;
}
