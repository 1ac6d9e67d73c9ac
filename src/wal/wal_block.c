/*
 * The stored form of file headers and blocks: sealing and checking.
 */
#include "wal/wal_internal.h"

#include "base/assert.h"
#include "base/checksum.h"

static const char file_magic[8] = {'K', 'A', 'D', 'E', 'L', 'O', 'G', '\0'};
static const char block_magic[4] = {'K', 'D', 'L', 'B'};

/* Over everything but the field itself, which counts as zero. */
static uint32_t checksum_without(const char *bytes, size_t size_bytes, size_t field_offset)
{
    static const uint32_t zero;
    uint32_t crc = kd_crc32c(0, bytes, field_offset);
    crc = kd_crc32c(crc, &zero, sizeof zero);
    size_t rest_offset = field_offset + sizeof zero;
    return kd_crc32c(crc, bytes + rest_offset, size_bytes - rest_offset);
}

static uint32_t file_checksum(const void *page)
{
    return checksum_without(page, KDI_WAL_HEADER_BYTES, offsetof(kdi_file_header, checksum));
}

void kdi_file_header_seal(void *page)
{
    kdi_file_header *header = page;
    memcpy(header->magic, file_magic, sizeof file_magic);
    header->version = KD_WAL_FORMAT_VERSION;
    header->checksum = file_checksum(page);
}

bool kdi_file_header_is_intact(const void *page)
{
    const kdi_file_header *header = page;
    return memcmp(header->magic, file_magic, sizeof file_magic) == 0 &&
           header->checksum == file_checksum(page);
}

/*
 * Rotated, because a CRC followed by itself cancels out: the block's own checksum, which runs over
 * this one, would be the same whatever the header says, and the chain of links would tell nothing.
 */
static uint32_t header_checksum(const void *block)
{
    size_t first = offsetof(kdi_block_header, log_id);
    uint32_t crc = kd_crc32c(0, (const char *)block + first,
                             offsetof(kdi_block_header, header_checksum) - first);
    return crc >> 15 | crc << 17;
}

static uint32_t block_checksum(const void *block)
{
    const kdi_block_header *header = block;
    return checksum_without(block, kdi_block_bytes(header->payload_bytes),
                            offsetof(kdi_block_header, checksum));
}

void kdi_block_seal(void *block)
{
    kdi_block_header *header = block;
    kd_assert(header->payload_bytes <= KDI_BLOCK_PAYLOAD_MAX);
    memcpy(header->magic, block_magic, sizeof block_magic);
    header->zero = 0;
    header->header_checksum = header_checksum(block);
    header->checksum = block_checksum(block);
}

bool kdi_block_header_is_intact(const void *block)
{
    const kdi_block_header *header = block;
    return memcmp(header->magic, block_magic, sizeof block_magic) == 0 &&
           header->header_checksum == header_checksum(block) &&
           header->payload_bytes <= KDI_BLOCK_PAYLOAD_MAX;
}

bool kdi_block_is_intact(const void *block)
{
    const kdi_block_header *header = block;
    return kdi_block_header_is_intact(block) && header->checksum == block_checksum(block);
}
