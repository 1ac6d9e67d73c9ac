/*
 * Names of types, both ways, and the physical types behind them.
 */
#include "types/type.h"

#include "types/interval.h"

#include <assert.h>

kd_physical kd_type_physical(kd_type type)
{
    if (type.is_array)
        return KD_PHYS_STR;
    switch ((kd_type_id)type.id) {
    case KD_TYPE_BOOL:
        return KD_PHYS_BOOL;
    case KD_TYPE_INT2:
        return KD_PHYS_I16;
    case KD_TYPE_INT4:
    case KD_TYPE_DATE:
    case KD_TYPE_ENUM:
    case KD_TYPE_VOID:
        return KD_PHYS_I32;
    case KD_TYPE_INT8:
    case KD_TYPE_OID:
    case KD_TYPE_TIME:
    case KD_TYPE_TIMESTAMP:
    case KD_TYPE_TIMESTAMPTZ:
    case KD_TYPE_TIMESTAMP_NS:
    case KD_TYPE_TIMETZ:
    case KD_TYPE_TID:
        return KD_PHYS_I64;
    case KD_TYPE_FLOAT4:
        return KD_PHYS_F32;
    case KD_TYPE_FLOAT8:
        return KD_PHYS_F64;
    case KD_TYPE_NUMERIC:
        if (!kd_numeric_is_fixed(type))
            return KD_PHYS_STR;
        return kd_numeric_precision(type) <= 18 ? KD_PHYS_I64 : KD_PHYS_I128;
    case KD_TYPE_UUID:
        return KD_PHYS_I128;
    case KD_TYPE_INTERVAL:
        return KD_PHYS_INTERVAL;
    case KD_TYPE_UNKNOWN:
    case KD_TYPE_TEXT:
    case KD_TYPE_VARCHAR:
    case KD_TYPE_CHAR:
    case KD_TYPE_BYTEA:
    case KD_TYPE_JSON:
    case KD_TYPE_JSONB:
    case KD_TYPE_RECORD:
    case KD_TYPE_BIT:
    case KD_TYPE_VARBIT:
    case KD_TYPE_JSONPATH:
    case KD_TYPE_COUNT:
        break;
    }
    return KD_PHYS_STR;
}

uint32_t kd_physical_bytes(kd_physical physical)
{
    static const uint8_t bytes[KD_PHYS_COUNT] = {
        [KD_PHYS_BOOL] = 1, [KD_PHYS_I16] = 2,   [KD_PHYS_I32] = 4,
        [KD_PHYS_I64] = 8,  [KD_PHYS_I128] = 16, [KD_PHYS_F32] = 4,
        [KD_PHYS_F64] = 8,  [KD_PHYS_STR] = 16,  [KD_PHYS_INTERVAL] = 16,
    };
    assert(physical < KD_PHYS_COUNT);
    return bytes[physical];
}

bool kd_type_is_ordinal(kd_type type)
{
    kd_physical physical = kd_type_physical(type);
    return !type.is_array &&
           (physical == KD_PHYS_I16 || physical == KD_PHYS_I32 || physical == KD_PHYS_I64);
}

bool kd_type_is_string(kd_type type)
{
    return !type.is_array && (type.id == KD_TYPE_TEXT || type.id == KD_TYPE_VARCHAR ||
                              type.id == KD_TYPE_CHAR || type.id == KD_TYPE_UNKNOWN);
}

bool kd_type_is_integer(kd_type type)
{
    return !type.is_array && (type.id == KD_TYPE_INT2 || type.id == KD_TYPE_INT4 ||
                              type.id == KD_TYPE_INT8 || type.id == KD_TYPE_OID);
}

bool kd_type_is_number(kd_type type)
{
    return kd_type_is_integer(type) ||
           (!type.is_array &&
            (type.id == KD_TYPE_FLOAT4 || type.id == KD_TYPE_FLOAT8 || type.id == KD_TYPE_NUMERIC));
}

bool kd_type_is_timestamp(kd_type type)
{
    return !type.is_array && (type.id == KD_TYPE_TIMESTAMP || type.id == KD_TYPE_TIMESTAMPTZ ||
                              type.id == KD_TYPE_TIMESTAMP_NS);
}

/* Canonical and internal names, by id. */
static const struct type_names {
    const char *canonical;
    const char *internal;
    const char *internal_array;
} type_names[KD_TYPE_COUNT] = {
    [KD_TYPE_UNKNOWN] = {"unknown", "unknown", "_unknown"},
    [KD_TYPE_BOOL] = {"boolean", "bool", "_bool"},
    [KD_TYPE_INT2] = {"smallint", "int2", "_int2"},
    [KD_TYPE_INT4] = {"integer", "int4", "_int4"},
    [KD_TYPE_INT8] = {"bigint", "int8", "_int8"},
    [KD_TYPE_FLOAT4] = {"real", "float4", "_float4"},
    [KD_TYPE_FLOAT8] = {"double precision", "float8", "_float8"},
    [KD_TYPE_NUMERIC] = {"numeric", "numeric", "_numeric"},
    [KD_TYPE_TEXT] = {"text", "text", "_text"},
    [KD_TYPE_VARCHAR] = {"character varying", "varchar", "_varchar"},
    [KD_TYPE_CHAR] = {"character", "bpchar", "_bpchar"},
    [KD_TYPE_BYTEA] = {"bytea", "bytea", "_bytea"},
    [KD_TYPE_DATE] = {"date", "date", "_date"},
    [KD_TYPE_TIME] = {"time without time zone", "time", "_time"},
    [KD_TYPE_TIMESTAMP] = {"timestamp without time zone", "timestamp", "_timestamp"},
    [KD_TYPE_TIMESTAMPTZ] = {"timestamp with time zone", "timestamptz", "_timestamptz"},
    [KD_TYPE_TIMESTAMP_NS] = {"timestamp_ns", "timestamp_ns", "_timestamp_ns"},
    [KD_TYPE_INTERVAL] = {"interval", "interval", "_interval"},
    [KD_TYPE_UUID] = {"uuid", "uuid", "_uuid"},
    [KD_TYPE_JSON] = {"json", "json", "_json"},
    [KD_TYPE_JSONB] = {"jsonb", "jsonb", "_jsonb"},
    [KD_TYPE_ENUM] = {"enum", "enum", "_enum"},
    [KD_TYPE_OID] = {"oid", "oid", "_oid"},
    [KD_TYPE_VOID] = {"void", "void", "_void"},
    [KD_TYPE_RECORD] = {"record", "record", "_record"},
    [KD_TYPE_BIT] = {"bit", "bit", "_bit"},
    [KD_TYPE_VARBIT] = {"bit varying", "varbit", "_varbit"},
    [KD_TYPE_JSONPATH] = {"jsonpath", "jsonpath", "_jsonpath"},
    [KD_TYPE_TIMETZ] = {"time with time zone", "timetz", "_timetz"},
    [KD_TYPE_TID] = {"tid", "tid", "_tid"},
};

static const struct reg_names {
    uint32_t kind;
    const char *name;
    const char *array;
} reg_names[] = {
    {KD_REG_CLASS, "regclass", "_regclass"},
    {KD_REG_TYPE, "regtype", "_regtype"},
    {KD_REG_PROC, "regproc", "_regproc"},
    {KD_REG_PROCEDURE, "regprocedure", "_regprocedure"},
    {KD_REG_NAMESPACE, "regnamespace", "_regnamespace"},
    {KD_REG_ROLE, "regrole", "_regrole"},
};
enum { REG_COUNT = sizeof reg_names / sizeof reg_names[0] };

/* NULL: a type that is none of these. */
static const struct reg_names *reg_of(kd_type type)
{
    for (int i = 0; type.id == KD_TYPE_OID && i < REG_COUNT; i++)
        if (reg_names[i].kind == type.object)
            return &reg_names[i];
    return NULL;
}

static kd_status interval_format(kd_ctx *ctx, kd_type type, kd_buffer *out)
{
    static const char *const names[6] = {"year", "month", "day", "hour", "minute", "second"};
    uint32_t fields = kd_interval_fields(type.modifier);
    uint32_t digits = kd_interval_digits(type.modifier);
    KD_TRY(kd_buffer_append_text(ctx, out, "interval"));
    if (fields != 0) {
        int first = __builtin_ctz(fields), last = 31 - __builtin_clz(fields);
        KD_TRY(kd_buffer_append_format(ctx, out, " %s", names[first]));
        if (last > first)
            KD_TRY(kd_buffer_append_format(ctx, out, " to %s", names[last]));
    }
    return digits == KD_INTERVAL_DIGITS_ALL ? KD_OK
                                            : kd_buffer_append_format(ctx, out, "(%u)", digits);
}

static kd_status modifier_format(kd_ctx *ctx, kd_type type, kd_buffer *out)
{
    switch ((kd_type_id)type.id) {
    case KD_TYPE_NUMERIC:
        return kd_buffer_append_format(ctx, out, "numeric(%d,%d)", kd_numeric_precision(type),
                                       kd_numeric_scale(type));
    case KD_TYPE_VARCHAR:
    case KD_TYPE_CHAR:
    case KD_TYPE_BIT:
    case KD_TYPE_VARBIT:
        return kd_buffer_append_format(ctx, out, "%s(%d)", type_names[type.id].canonical,
                                       type.modifier);
    case KD_TYPE_TIME:
    case KD_TYPE_TIMESTAMP:
        return kd_buffer_append_format(ctx, out, "%s(%d) without time zone",
                                       type_names[type.id].internal, type.modifier);
    case KD_TYPE_TIMESTAMPTZ:
        return kd_buffer_append_format(ctx, out, "timestamp(%d) with time zone", type.modifier);
    case KD_TYPE_TIMETZ:
        return kd_buffer_append_format(ctx, out, "time(%d) with time zone", type.modifier);
    case KD_TYPE_INTERVAL:
        return interval_format(ctx, type, out);
    case KD_TYPE_TIMESTAMP_NS:
        return kd_buffer_append_format(ctx, out, "%s(%d)", type_names[type.id].canonical,
                                       type.modifier);
    default:
        return kd_buffer_append_text(ctx, out, type_names[type.id].canonical);
    }
}

kd_status kd_type_format(kd_ctx *ctx, kd_type type, kd_buffer *out)
{
    if (type.id >= KD_TYPE_COUNT)
        return kd_buffer_append_text(ctx, out, "???");
    const struct reg_names *reg = reg_of(type);
    if (reg != NULL)
        KD_TRY(kd_buffer_append_text(ctx, out, reg->name));
    else if (type.modifier >= 0)
        KD_TRY(modifier_format(ctx, type, out));
    else
        KD_TRY(kd_buffer_append_text(ctx, out, type_names[type.id].canonical));
    return type.is_array ? kd_buffer_append_text(ctx, out, "[]") : KD_OK;
}

const char *kd_type_internal_name(kd_type type)
{
    if (type.id >= KD_TYPE_COUNT)
        return "???";
    const struct reg_names *reg = reg_of(type);
    if (reg != NULL)
        return type.is_array ? reg->array : reg->name;
    return type.is_array ? type_names[type.id].internal_array : type_names[type.id].internal;
}

static const struct type_spelling {
    const char *name;
    uint8_t id;
} type_spellings[] = {
    {"bool", KD_TYPE_BOOL},
    {"boolean", KD_TYPE_BOOL},
    {"int2", KD_TYPE_INT2},
    {"smallint", KD_TYPE_INT2},
    {"int", KD_TYPE_INT4},
    {"int4", KD_TYPE_INT4},
    {"integer", KD_TYPE_INT4},
    {"int8", KD_TYPE_INT8},
    {"bigint", KD_TYPE_INT8},
    {"float4", KD_TYPE_FLOAT4},
    {"real", KD_TYPE_FLOAT4},
    {"float", KD_TYPE_FLOAT8},
    {"float8", KD_TYPE_FLOAT8},
    {"double precision", KD_TYPE_FLOAT8},
    {"numeric", KD_TYPE_NUMERIC},
    {"decimal", KD_TYPE_NUMERIC},
    {"dec", KD_TYPE_NUMERIC},
    {"text", KD_TYPE_TEXT},
    {"varchar", KD_TYPE_VARCHAR},
    {"character varying", KD_TYPE_VARCHAR},
    {"char varying", KD_TYPE_VARCHAR},
    {"national character varying", KD_TYPE_VARCHAR},
    {"national char varying", KD_TYPE_VARCHAR},
    {"nchar varying", KD_TYPE_VARCHAR},
    {"char", KD_TYPE_CHAR},
    {"character", KD_TYPE_CHAR},
    {"bpchar", KD_TYPE_CHAR},
    {"nchar", KD_TYPE_CHAR},
    {"national character", KD_TYPE_CHAR},
    {"national char", KD_TYPE_CHAR},
    {"bytea", KD_TYPE_BYTEA},
    {"date", KD_TYPE_DATE},
    {"time", KD_TYPE_TIME},
    {"time without time zone", KD_TYPE_TIME},
    {"timetz", KD_TYPE_TIMETZ},
    {"time with time zone", KD_TYPE_TIMETZ},
    {"timestamp", KD_TYPE_TIMESTAMP},
    {"timestamp without time zone", KD_TYPE_TIMESTAMP},
    {"timestamptz", KD_TYPE_TIMESTAMPTZ},
    {"timestamp with time zone", KD_TYPE_TIMESTAMPTZ},
    {"timestamp_ns", KD_TYPE_TIMESTAMP_NS},
    {"interval", KD_TYPE_INTERVAL},
    {"uuid", KD_TYPE_UUID},
    {"json", KD_TYPE_JSON},
    {"jsonb", KD_TYPE_JSONB},
    {"oid", KD_TYPE_OID},
    {"void", KD_TYPE_VOID},
    {"record", KD_TYPE_RECORD},
    {"bit", KD_TYPE_BIT},
    {"bit varying", KD_TYPE_VARBIT},
    {"varbit", KD_TYPE_VARBIT},
    {"jsonpath", KD_TYPE_JSONPATH},
    {"tid", KD_TYPE_TID},
    {"unknown", KD_TYPE_UNKNOWN},
    {"name", KD_TYPE_TEXT}, /* Catalog views' identifiers. */
};

bool kd_type_find(kd_slice name, kd_type *out_type)
{
    *out_type = kd_type_of(KD_TYPE_UNKNOWN);
    bool is_array = false;
    if (name.size_bytes > 1 && name.data[0] == '_') {
        is_array = true;
        name.data++;
        name.size_bytes--;
    } else if (name.size_bytes > 2 && memcmp(name.data + name.size_bytes - 2, "[]", 2) == 0) {
        is_array = true;
        name.size_bytes -= 2;
    }
    for (size_t i = 0; i < sizeof type_spellings / sizeof type_spellings[0]; i++) {
        if (kd_slice_equal(name, kd_slice_of(type_spellings[i].name))) {
            *out_type = kd_type_of((kd_type_id)type_spellings[i].id);
            out_type->is_array = is_array;
            return true;
        }
    }
    for (int i = 0; i < REG_COUNT; i++) {
        if (kd_slice_equal(name, kd_slice_of(reg_names[i].name))) {
            *out_type = kd_type_of(KD_TYPE_OID);
            out_type->object = reg_names[i].kind;
            out_type->is_array = is_array;
            return true;
        }
    }
    return false;
}
