/*
 * What the tests of the log share: numbered records whose content follows from their
 * number and length, and a visitor that checks them.
 */
#ifndef KD_TEST_WAL_FIXTURE_H
#define KD_TEST_WAL_FIXTURE_H

#include "test.h"
#include "wal/wal.h"

enum { FIXTURE_LOG_ID = 77, FIXTURE_KIND = 3 };

/* A record's payload: number (8 bytes), then bytes that follow from it. */
static inline void fixture_payload(uint64_t number, char *payload, size_t size_bytes)
{
    kd_store_u64(payload, number);
    for (size_t i = 8; i < size_bytes; i++)
        payload[i] = (char)(number * 31 + i * 7);
}

static inline void fixture_record(kd_ctx *ctx, kd_buffer *buffer, uint64_t number,
                                  size_t payload_bytes)
{
    size_t mark;
    char *at;
    CHECK(payload_bytes >= 8);
    CHECK_STATUS(ctx, kd_wal_record_begin(ctx, buffer, FIXTURE_KIND, &mark));
    CHECK_STATUS(ctx, kd_buffer_reserve(ctx, buffer, payload_bytes, &at));
    fixture_payload(number, at, payload_bytes);
    buffer->size_bytes += payload_bytes;
    CHECK_STATUS(ctx, kd_wal_record_end(ctx, buffer, mark));
}

/* The number of a record, after its content was checked. */
static inline uint64_t fixture_check(const kd_wal_record *record)
{
    CHECK_EQ(record->kind, FIXTURE_KIND);
    CHECK(record->payload.size_bytes >= 8);
    CHECK_EQ(record->end - record->position, KD_WAL_FRAME_BYTES + record->payload.size_bytes);
    uint64_t number = kd_load_u64(record->payload.data);
    for (size_t i = 8; i < record->payload.size_bytes; i++)
        if (record->payload.data[i] != (char)(number * 31 + i * 7))
            test_fail(__FILE__, __LINE__, "record %llu differs at byte %zu",
                      (unsigned long long)number, i);
    return number;
}

#endif
