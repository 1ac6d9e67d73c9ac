/*
 * CRC-32C (Castagnoli, RFC 3720): the checksum of every stored byte.
 *
 * Uses the SSE 4.2 instruction where the processor has it (chosen at run time),
 * a table otherwise; both give the same values.
 */
#ifndef KD_BASE_CHECKSUM_H
#define KD_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Start with `crc` = 0; the result of one call may be passed on to continue. */
uint32_t kd_crc32c(uint32_t crc, const void *data, size_t size_bytes);

/* The same without the instruction: what other processors run, and tests compare. */
uint32_t kd_crc32c_by_table(uint32_t crc, const void *data, size_t size_bytes);

#endif
