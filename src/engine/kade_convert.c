/*
 * Values between the API's forms and the engine's: kade.h counts days and
 * microseconds from 1970, the engine from 2000; infinities stay what they are.
 */
#include "engine/kade_internal.h"

#include "types/datetime.h"

int32_t kdi_date_from_unix(int32_t days)
{
    if (days == INT32_MAX || days == INT32_MIN)
        return days;
    int64_t date = (int64_t)days + KD_UNIX_EPOCH_DAYS;
    return date <= INT32_MIN ? KD_DATE_NEGATIVE_INFINITY : (int32_t)date;
}

int32_t kdi_date_to_unix(int32_t date)
{
    if (!kd_date_is_finite(date))
        return date;
    int64_t days = (int64_t)date - KD_UNIX_EPOCH_DAYS;
    return days >= INT32_MAX ? INT32_MAX : (int32_t)days;
}

int64_t kdi_timestamp_from_unix(int64_t micros)
{
    if (micros == INT64_MAX || micros == INT64_MIN)
        return micros;
    int64_t timestamp;
    if (__builtin_add_overflow(micros, KD_UNIX_EPOCH_US, &timestamp))
        return KD_TIMESTAMP_NEGATIVE_INFINITY;
    return timestamp;
}

int64_t kdi_timestamp_to_unix(int64_t timestamp)
{
    if (!kd_timestamp_is_finite(timestamp))
        return timestamp;
    int64_t micros;
    if (__builtin_sub_overflow(timestamp, KD_UNIX_EPOCH_US, &micros))
        return INT64_MAX;
    return micros;
}

kd_i128 kdi_uuid_from_bytes(const uint8_t bytes[16])
{
    kd_u128 number = 0;
    for (int i = 0; i < 16; i++)
        number = number << 8 | bytes[i];
    return (kd_i128)(number ^ (kd_u128)1 << 127);
}

void kdi_uuid_to_bytes(kd_i128 uuid, uint8_t bytes[16])
{
    kd_u128 number = (kd_u128)uuid ^ (kd_u128)1 << 127;
    for (int i = 15; i >= 0; i--) {
        bytes[i] = (uint8_t)number;
        number >>= 8;
    }
}

kd_value kdi_value_interval(kade_interval interval)
{
    return (kd_value){.type = kd_type_of(KD_TYPE_INTERVAL),
                      .as.interval = {.micros = interval.micros,
                                      .days = interval.days,
                                      .months = interval.months}};
}
