/*
 * PostgreSQL's numbers of types, their modifiers and lengths.
 */
#include "types/type_number.h"

/* Numbers of the type and of its arrays, by kd_type_id: PostgreSQL's where it has the type. */
static const struct {
    uint16_t number, array_number;
} type_numbers[KD_TYPE_COUNT] = {
    [KD_TYPE_UNKNOWN] = {705, 0},
    [KD_TYPE_BOOL] = {16, 1000},
    [KD_TYPE_INT2] = {21, 1005},
    [KD_TYPE_INT4] = {23, 1007},
    [KD_TYPE_INT8] = {20, 1016},
    [KD_TYPE_FLOAT4] = {700, 1021},
    [KD_TYPE_FLOAT8] = {701, 1022},
    [KD_TYPE_NUMERIC] = {1700, 1231},
    [KD_TYPE_TEXT] = {25, 1009},
    [KD_TYPE_VARCHAR] = {1043, 1015},
    [KD_TYPE_CHAR] = {1042, 1014},
    [KD_TYPE_BYTEA] = {17, 1001},
    [KD_TYPE_DATE] = {1082, 1182},
    [KD_TYPE_TIME] = {1083, 1183},
    [KD_TYPE_TIMESTAMP] = {1114, 1115},
    [KD_TYPE_TIMESTAMPTZ] = {1184, 1185},
    [KD_TYPE_TIMESTAMP_NS] = {9114, 9115},
    [KD_TYPE_INTERVAL] = {1186, 1187},
    [KD_TYPE_UUID] = {2950, 2951},
    [KD_TYPE_JSON] = {114, 199},
    [KD_TYPE_JSONB] = {3802, 3807},
    [KD_TYPE_OID] = {26, 1028},
    [KD_TYPE_VOID] = {2278, 0},
    [KD_TYPE_RECORD] = {2249, 2287},
    [KD_TYPE_BIT] = {1560, 1561},
    [KD_TYPE_VARBIT] = {1562, 1563},
    [KD_TYPE_JSONPATH] = {4072, 4073},
    [KD_TYPE_TIMETZ] = {1266, 1270},
    [KD_TYPE_TID] = {27, 1010},
};

static const struct {
    uint16_t number, array_number;
} reg_numbers[] = {
    {KD_REG_PROC, 1008}, {KD_REG_PROCEDURE, 2207}, {KD_REG_CLASS, 2210},
    {KD_REG_TYPE, 2211}, {KD_REG_NAMESPACE, 4090}, {KD_REG_ROLE, 4097},
};

static uint64_t reg_array_number(uint32_t kind)
{
    for (size_t i = 0; i < sizeof reg_numbers / sizeof *reg_numbers; i++)
        if (reg_numbers[i].number == kind)
            return reg_numbers[i].array_number;
    return 0;
}

uint64_t kd_type_number(kd_type type)
{
    bool is_row =
        type.id == KD_TYPE_RECORD && type.object != 0 && (type.object & KD_ROW_IS_LOCAL) == 0;
    if (type.id == KD_TYPE_ENUM || is_row)
        return type.is_array ? type.object | KD_TYPE_NUMBER_ARRAY_BIT : type.object;
    if (type.id == KD_TYPE_OID && type.object != 0)
        return type.is_array ? reg_array_number(type.object) : type.object;
    if (type.id >= KD_TYPE_COUNT)
        return 2276; /* "any": pseudo types of functions. */
    return type.is_array ? type_numbers[type.id].array_number : type_numbers[type.id].number;
}

int32_t kd_type_modifier_number(kd_type type)
{
    if (type.modifier < 0)
        return -1;
    switch (type.id) {
    case KD_TYPE_NUMERIC:
        return (kd_numeric_precision(type) << 16 | (kd_numeric_scale(type) & 0x7ff)) + 4;
    case KD_TYPE_VARCHAR:
    case KD_TYPE_CHAR:
        return type.modifier + 4;
    default:
        return type.modifier;
    }
}

static int32_t own_modifier(kd_type type, int32_t modifier)
{
    if (modifier < 0)
        return -1;
    switch (type.id) {
    case KD_TYPE_NUMERIC:
        if (modifier < 4)
            return -1;
        return kd_type_numeric((modifier - 4) >> 16, (((modifier - 4) & 0x7ff) ^ 1024) - 1024)
            .modifier;
    case KD_TYPE_VARCHAR:
    case KD_TYPE_CHAR:
        return modifier < 4 ? -1 : modifier - 4;
    default:
        return modifier;
    }
}

int kd_type_length_number(kd_type type)
{
    kd_physical physical = kd_type_physical(type);
    if (type.id == KD_TYPE_NUMERIC || type.is_array)
        return -1;
    switch (type.id) {
    case KD_TYPE_UNKNOWN:
        return -2;
    case KD_TYPE_OID:
    case KD_TYPE_VOID:
        return 4;
    case KD_TYPE_TIMETZ:
        return 12;
    case KD_TYPE_TID:
        return 6;
    default:
        return physical == KD_PHYS_STR ? -1 : (int)kd_physical_bytes(physical);
    }
}

bool kd_type_of_number(uint64_t number, int32_t modifier, kd_type *out_type)
{
    for (int id = 0; id < KD_TYPE_COUNT; id++) {
        bool is_array = type_numbers[id].array_number == number;
        if (number == 0 || (type_numbers[id].number != number && !is_array))
            continue;
        *out_type = kd_type_of((kd_type_id)id);
        out_type->is_array = is_array;
        out_type->modifier = own_modifier(*out_type, modifier);
        return true;
    }
    for (size_t i = 0; i < sizeof reg_numbers / sizeof *reg_numbers; i++) {
        bool is_array = reg_numbers[i].array_number == number;
        if (reg_numbers[i].number != number && !is_array)
            continue;
        *out_type = kd_type_of(KD_TYPE_OID);
        out_type->object = reg_numbers[i].number;
        out_type->is_array = is_array;
        return true;
    }
    return false;
}
