/*
 * What the files of the log share: the stored structs, the log itself, and the parts
 * it consists of (directory, reader, writer).
 *
 * Who may touch what: fields under "lock" are guarded by it. The writer's fields belong
 * to the one thread that has set is_writing under the lock (the leader), or to open and
 * close, which are alone.
 */
#ifndef KD_WAL_WAL_INTERNAL_H
#define KD_WAL_WAL_INTERNAL_H

#include "base/thread.h"
#include "wal/wal.h"

#include <stdatomic.h>

enum {
    KDI_WAL_HEADER_BYTES = 4096,
    KDI_BLOCK_HEADER_BYTES = 64,
    KDI_BLOCK_BYTES_MAX = 1 << 20, /* Header and padding included. */
    KDI_BLOCK_PAYLOAD_MAX = KDI_BLOCK_BYTES_MAX - KDI_BLOCK_HEADER_BYTES,
    KDI_WINDOW_BYTES = 4 << 20, /* Of a reader: direct reads of 1 MiB reach half the speed. */
    KDI_ZEROS_BYTES = 256 * 1024,
    KDI_PREWRITE_BYTES_MAX = 4 << 20,
    KDI_PLEDGE_PIECE_BYTES = 8192, /* Padding and headers of KD_WAL_WHOLE_BYTES of payload. */
    KDI_SLOT_COUNT_MAX = 64,
    KDI_PATH_BYTES = 4096,
};

enum { KDI_BLOCK_OPENING = 1, KDI_BLOCK_CLOSING = 2 };

/* Drawn in wal.h. */
typedef struct kdi_file_header {
    char magic[8];
    uint32_t version;
    uint32_t checksum;
    uint64_t log_id;
    uint64_t file_no;
    uint64_t file_bytes;
    uint64_t start_position;
    uint64_t durable_position;
    uint32_t incarnation;
    uint32_t link;
} kdi_file_header;
_Static_assert(sizeof(kdi_file_header) == 64, "on-disk layout");
_Static_assert(offsetof(kdi_file_header, log_id) == 16, "on-disk layout");
_Static_assert(offsetof(kdi_file_header, link) == 60, "on-disk layout");

typedef struct kdi_block_header {
    char magic[4];
    uint32_t checksum;
    uint64_t log_id;
    uint64_t file_no;
    uint64_t position;
    uint64_t durable_position;
    uint32_t payload_bytes;
    uint32_t link;
    uint32_t incarnation;
    uint32_t flags;
    uint32_t zero;
    uint32_t header_checksum;
} kdi_block_header;
_Static_assert(sizeof(kdi_block_header) == KDI_BLOCK_HEADER_BYTES, "on-disk layout");
_Static_assert(offsetof(kdi_block_header, position) == 24, "on-disk layout");
_Static_assert(offsetof(kdi_block_header, header_checksum) == 60, "on-disk layout");

static inline uint64_t kdi_block_bytes(uint64_t payload_bytes)
{
    return (KDI_BLOCK_HEADER_BYTES + payload_bytes + KD_WAL_BLOCK_ALIGN_BYTES - 1) &
           ~(uint64_t)(KD_WAL_BLOCK_ALIGN_BYTES - 1);
}

/* Format: wal_block.c. `page` has KDI_WAL_HEADER_BYTES; `block` has its padded size. */
void kdi_file_header_seal(void *page);
/* Magic and checksum only: whose it is, and of which version, is for the caller to say. */
bool kdi_file_header_is_intact(const void *page);
void kdi_block_seal(void *block);
/* A block header that was written as such some time; says nothing about the payload. */
bool kdi_block_header_is_intact(const void *block);
bool kdi_block_is_intact(const void *block);

/* A file as the directory shows it. */
typedef struct kdi_wal_file {
    uint64_t file_no;
    uint64_t start_position; /* Meaningful when is_valid. */
    uint64_t durable_position;
    uint64_t file_bytes;
    uint32_t incarnation;
    uint32_t link;
    bool is_valid; /* The header is intact, of this log, and of this name. */
    bool is_archived;
} kdi_wal_file;

/* In order of file number. */
typedef struct kdi_wal_directory {
    kd_world *world;
    kd_account *account;
    const char *path;
    uint64_t log_id;
    kdi_wal_file *files;
    size_t file_count;
    size_t file_capacity;
    uint64_t *spares; /* The numbers in their names. */
    size_t spare_count;
    size_t spare_capacity;
    uint64_t next_spare_no;
} kdi_wal_directory;

/* wal_directory.c. Paths go into a buffer of KDI_PATH_BYTES. */
void kdi_wal_file_name(uint64_t file_no, char out_name[32]);
void kdi_wal_file_path(const kdi_wal_directory *directory, uint64_t file_no, char *out_path);
void kdi_wal_spare_path(const kdi_wal_directory *directory, uint64_t spare_no, char *out_path);
kd_status kdi_wal_directory_load(kd_ctx *ctx, kdi_wal_directory *directory) KD_MUST_CHECK;
void kdi_wal_directory_clear(kdi_wal_directory *directory);
kd_status kdi_wal_directory_add(kd_ctx *ctx, kdi_wal_directory *directory,
                                const kdi_wal_file *file) KD_MUST_CHECK;
kd_status kdi_wal_directory_add_spare(kd_ctx *ctx, kdi_wal_directory *directory,
                                      uint64_t spare_no) KD_MUST_CHECK;
/* NULL when there is none of that number. */
kdi_wal_file *kdi_wal_directory_find(kdi_wal_directory *directory, uint64_t file_no);

/* Reads blocks in order: wal_reader.c. */
typedef struct kdi_wal_reader {
    kdi_wal_directory *directory; /* Not changed while reading. */
    kd_wal_place at;
    kd_file *file;
    char *window; /* Some of the file from window_offset. */
    void *window_memory;
    size_t window_capacity; /* At least KDI_BLOCK_BYTES_MAX. */
    uint64_t window_offset;
    size_t window_bytes;
    /* The record being put together. */
    char *pending;
    size_t pending_bytes;
    size_t pending_capacity;
    uint64_t pending_position;
    uint64_t from_position; /* Bytes before it are skipped. */
    kd_wal_visit *visit;
    void *object;
} kdi_wal_reader;

kd_status kdi_wal_reader_open(kd_ctx *ctx, kdi_wal_reader *reader, kdi_wal_directory *directory,
                              uint64_t from_position, kd_wal_visit *visit,
                              void *object) KD_MUST_CHECK;
/* The same, but it begins at a place between two blocks that a reader has left; XX001 when its file
 * is not there. Records are not visited. */
kd_status kdi_wal_reader_open_at(kd_ctx *ctx, kdi_wal_reader *reader, kdi_wal_directory *directory,
                                 const kd_wal_place *at) KD_MUST_CHECK;
void kdi_wal_reader_close(kdi_wal_reader *reader);
/* The block at the reader's place, in the next file if need be; NULL when none continues the chain
 * there. It stands until the next call. */
kd_status kdi_wal_reader_block(kd_ctx *ctx, kdi_wal_reader *reader,
                               const kdi_block_header **out_block) KD_MUST_CHECK;
void kdi_wal_reader_pass(kdi_wal_reader *reader, const kdi_block_header *block);
/* Bytes of the file that the reader is in. NULL when it ends before. */
kd_status kdi_wal_reader_bytes(kd_ctx *ctx, kdi_wal_reader *reader, uint64_t offset,
                               size_t size_bytes, const char **out_bytes) KD_MUST_CHECK;
/* Visits records until no block continues the chain, or until `end_position` is reached. */
kd_status kdi_wal_reader_run(kd_ctx *ctx, kdi_wal_reader *reader,
                             uint64_t end_position) KD_MUST_CHECK;
/* KD_CORRUPT when something later says that what is at the reader's end had been durable. */
kd_status kdi_wal_reader_check_end(kd_ctx *ctx, kdi_wal_reader *reader) KD_MUST_CHECK;

typedef struct kdi_wal_slot {
    char name[64]; /* Empty when free. */
    uint64_t position;
    uint64_t limit_bytes;
} kdi_wal_slot;

struct kd_wal {
    kd_world *world;
    kd_account *account;
    kd_wal_options options;
    bool is_memory; /* No directory: nothing is stored. */

    char padding_before[64]; /* Read by every commit, so alone on its cache line. */
    atomic_uint_fast64_t durable_position;
    char padding_after[64];

    kd_mutex lock;
    /* Guarded by lock. */
    kd_cond group_done[2]; /* By the parity of the group that is waited for. */
    kd_cond space;         /* The buffer has room again. */
    uint64_t next_position;
    uint64_t written_position;      /* Everything before it left the buffer. */
    kd_wal_reservation *first_open; /* Reservations not yet filled, in order. */
    kd_wal_reservation *last_open;
    bool is_writing;
    uint64_t group_no;  /* Of the group being written, or the last one. */
    uint64_t group_end; /* Where it ends. */
    unsigned waiter_count;
    bool has_failed;
    kd_error error; /* What made it fail. */
    kdi_wal_directory directory;
    kdi_wal_slot slots[KDI_SLOT_COUNT_MAX];
    uint64_t reading_positions[KDI_SLOT_COUNT_MAX]; /* Running replays; UINT64_MAX when free. */
    uint64_t truncated_position; /* Everything before it is gone, or about to go. */
    bool is_truncating;
    bool is_preparing;
    uint64_t used_bytes; /* Of the current file, when the last group was written. */
    /* Room in prepared files behind the last group, and what reservations may take of it in the
     * worst case, counted from the log's opening: all of them, and those that left the buffer. */
    uint64_t room_bytes;
    uint64_t pledged_bytes;
    uint64_t pledged_written_bytes;
    uint64_t held_bytes; /* For reservations to come. */
    kd_wal_statistics statistics;

    char *buffer; /* A ring: position p stands at p % buffer_bytes. */
    size_t buffer_bytes;

    /* The writer's. */
    kd_wal_place at;
    kd_file *file;
    uint64_t ahead_no;        /* Files before this one are written with zeros to their ends, */
    uint64_t prepared_bytes;  /* and this one up to here. */
    uint64_t synced_position; /* What the next block header may call durable. */
    char *block;              /* KDI_BLOCK_BYTES_MAX, aligned. */
    char *zeros;              /* KDI_ZEROS_BYTES, aligned, behind the block. */
    void *block_memory;       /* What holds both. */
};

/* wal.c: the files as they are now, none of which goes from `from_position` (0: from the log's
 * begin) on until the end. `*out_slot` is -1 when it fails. */
kd_status kdi_wal_reading_begin(kd_ctx *ctx, kd_wal *wal, uint64_t from_position,
                                kdi_wal_directory *out_files, int *out_slot) KD_MUST_CHECK;
void kdi_wal_reading_end(kd_wal *wal, int slot, kdi_wal_directory *files);

/* Memory that direct I/O takes; `*out_memory` is what is given back to the heap. */
char *kdi_aligned_alloc(kd_ctx *ctx, kd_account *account, size_t size_bytes,
                        void **out_memory) KD_MUST_CHECK;

/* wal_writer.c: called by the writer only. */
kd_status kdi_wal_writer_start(kd_ctx *ctx, kd_wal *wal, const kd_wal_place *end) KD_MUST_CHECK;
kd_status kdi_wal_writer_create(kd_ctx *ctx, kd_wal *wal, uint64_t position) KD_MUST_CHECK;
/* Bytes for blocks in prepared files. */
uint64_t kdi_wal_writer_room(const kd_wal *wal);
/* One step more of them. After a failure that `*out_passes` (the disk is full) the next try starts
 * anew. */
kd_status kdi_wal_writer_extend(kd_ctx *ctx, kd_wal *wal, bool *out_passes) KD_MUST_CHECK;
/* Writes the buffer's bytes up to `end` as blocks, for which there is room; durable on return
 * (unless no_sync). */
kd_status kdi_wal_writer_write(kd_ctx *ctx, kd_wal *wal, uint64_t end) KD_MUST_CHECK;
/* For no_sync: what was written becomes durable. */
kd_status kdi_wal_writer_sync(kd_ctx *ctx, kd_wal *wal) KD_MUST_CHECK;
kd_status kdi_wal_writer_finish(kd_ctx *ctx, kd_wal *wal) KD_MUST_CHECK;

#endif
