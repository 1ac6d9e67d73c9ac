/*
 * The log: one stream of bytes to which every change of the database is appended
 * before it is acknowledged, kept in numbered files of one directory.
 *
 * A POSITION counts payload bytes since the log began (block headers and padding
 * take none), is 64 bits wide, and only ever grows. A record's position is that of
 * its first byte; the position of a commit record is the transaction's stamp, so
 * the order of stamps is the order of the log. Positions below
 * KD_WAL_POSITION_FIRST never occur and are free for special meanings.
 *
 * RECORD, the only thing the log knows about its contents:
 *
 *   offset  size  field
 *        0     4  payload length n, at most KD_WAL_PAYLOAD_BYTES_MAX
 *        4     1  kind, chosen by the users of the log; never 0
 *        5     n  payload
 *
 * FILE "<16 hex digits of the number>.log": a header block, then blocks back to
 * back, each beginning at a multiple of 4 KiB and never crossing the end of the
 * file. A file is filled to its last byte before the next one begins. Files are
 * written with zeros before they are used; a file that is no longer needed becomes
 * "spare-<16 hex digits>.log" and is renamed when the log needs its next file.
 *
 *   offset  size  field of the file header, padded with zeros to 4 KiB
 *        0     8  magic "KADELOG\0"
 *        8     4  format version, 1
 *       12     4  CRC-32C of the 4 KiB with this field zero
 *       16     8  log id: which database the file belongs to
 *       24     8  file number, the same as in the name (a spare still has its old one)
 *       32     8  file size in bytes
 *       40     8  position of the first payload byte in this file
 *       48     8  durable position when this header was written
 *       56     4  incarnation of the writer
 *       60     4  link: the checksum of the last block before this file, or 0
 *
 *   offset  size  field of a block (one group of records, as it was written)
 *        0     4  magic "KDLB"
 *        4     4  CRC-32C of the whole block, padding included, with this field zero
 *        8     8  log id
 *       16     8  file number
 *       24     8  position of the first payload byte
 *       32     8  durable position: everything before it was on disk when this was written
 *       40     4  payload length; the block ends at the next multiple of 4 KiB
 *       44     4  link: the CRC-32C field of the block before, or 0 at the log's begin
 *       48     4  incarnation: counts the openings of this log for writing
 *       52     4  flags: 1 = opening (a record cut off before it is void), 2 = closing
 *       56     4  zero
 *       60     4  CRC-32C of bytes 8..59, rotated right by 15 bits
 *       64     n  payload; records continue from block to block
 *
 * No block is ever written twice. The END of the log is the first place where no
 * valid block continues the chain of position, link and incarnation. What stands
 * there is a torn write of the last crash, unless any later block or file header
 * says that it had been durable: then it is corruption, reported with file and
 * offset (XX001), and never taken for the end.
 */
#ifndef KD_WAL_WAL_H
#define KD_WAL_WAL_H

#include "base/bytes.h"
#include "base/heap.h"
#include "base/world.h"

enum {
    KD_WAL_FORMAT_VERSION = 1,
    KD_WAL_BLOCK_ALIGN_BYTES = 4096,
    KD_WAL_FRAME_BYTES = 5,
    KD_WAL_POSITION_FIRST = 1024,
    KD_WAL_PAYLOAD_BYTES_MAX = 1 << 30,
    /* An append or reservation up to this size becomes durable as a whole: the durable position
     * never lies inside it, so that waiting for its first byte waits for its last. */
    KD_WAL_WHOLE_BYTES = 256 * 1024,
};

typedef struct kd_wal kd_wal;

typedef struct kd_wal_record {
    uint64_t position; /* Of the frame's first byte. */
    uint64_t end;      /* Behind the last byte. */
    uint8_t kind;
    kd_slice payload; /* Valid during the visit only. */
} kd_wal_record;

typedef kd_status kd_wal_visit(kd_ctx *ctx, void *object, const kd_wal_record *record);

/* A filled file, to be copied elsewhere. The file does not change while the call runs. A failure
 * keeps the file; it is offered again. */
typedef kd_status kd_wal_archive_file(kd_ctx *ctx, void *object, const char *path, uint64_t file_no,
                                      uint64_t start_position, uint64_t end_position);

typedef struct kd_wal_options {
    const char *directory; /* NULL: a log in name only, for databases in memory. */
    uint64_t log_id;       /* The database's id; files of another id are refused (55000). */
    bool create;           /* The log may be absent, and begins then. Otherwise absence is XX001. */
    bool read_only;        /* Nothing is written; appends fail with 25006. */
    uint64_t start_position; /* Where recovery begins: a record's position, or the next position
                                that the log had when it was noted. 0: the log's begin. A log
                                that is created begins here. */
    uint64_t known_durable_position; /* What the database root knows to be durable: a log that ends
                                        before it is corrupt. 0 when unknown. */
    uint64_t file_bytes; /* 0: 64 MiB. A multiple of 4 KiB, at least 64 KiB. For new files. */
    size_t buffer_bytes; /* 0: 16 MiB. A power of two, at least 1 MiB. */
    bool no_sync;        /* Synced by kd_wal_flush and when a file is full, else only written. */
    unsigned spare_files_max;     /* Recycled files kept ready; 0: 4. */
    kd_wal_archive_file *archive; /* May be NULL. */
    void *archive_object;
} kd_wal_options;

/*
 * Opens the log, gives every complete record from `start_position` to `visit` (may be NULL) in
 * order, and makes it ready for appends behind the valid end. `options` is copied, the strings in
 * it too. `account` outlives the log. A failing visit ends the opening with its status.
 */
kd_status kd_wal_open(kd_ctx *ctx, kd_account *account, const kd_wal_options *options,
                      kd_wal_visit *visit, void *object, kd_wal **out_wal) KD_MUST_CHECK;
/* Writes what is buffered and a closing block. The log is gone afterwards, whatever the status. */
kd_status kd_wal_close(kd_ctx *ctx, kd_wal *wal) KD_MUST_CHECK; /* NULL is allowed. */
/* Gives the memory and files back without writing anything, as a crash would. NULL is allowed. */
void kd_wal_abandon(kd_world *world, kd_wal *wal);

/*
 * Frames. A user collects the records of one append in a buffer and hands its bytes over:
 *
 *     size_t mark;
 *     KD_TRY(kd_wal_record_begin(ctx, &buffer, MY_KIND, &mark));
 *     ... kd_buffer_append_...(ctx, &buffer, ...) ...
 *     KD_TRY(kd_wal_record_end(ctx, &buffer, mark));
 */
kd_status kd_wal_record_begin(kd_ctx *ctx, kd_buffer *buffer, uint8_t kind,
                              size_t *out_mark) KD_MUST_CHECK;
kd_status kd_wal_record_end(kd_ctx *ctx, kd_buffer *buffer, size_t mark) KD_MUST_CHECK;

/*
 * Appends whole records (one or more). Returns as soon as the bytes are in the log's buffer; they
 * are NOT durable yet. Waits only while the buffer is full; appends larger than the buffer are
 * streamed. Records of one append are contiguous. Out parameters may be NULL. Thread-safe.
 * Fails with 58030 once the log has failed, and with 53100 when the disk has no room for it: then
 * nothing was appended, and a later append succeeds as soon as there is room again.
 */
kd_status kd_wal_append(kd_ctx *ctx, kd_wal *wal, const void *records, size_t size_bytes,
                        uint64_t *out_position, uint64_t *out_end) KD_MUST_CHECK;

/*
 * The same in two steps, for records that contain their own position. Between them the caller
 * fills in what it just learned and nothing else: later appends become durable only after it. A
 * reservation that was given out must be filled, and stays where it is until then.
 */
typedef struct kd_wal_reservation kd_wal_reservation;
struct kd_wal_reservation {
    uint64_t position;
    uint64_t end;
    uint64_t filled; /* The log's own, like what follows. */
    uint64_t pledged_before_bytes;
    kd_wal_reservation *previous;
    kd_wal_reservation *next;
};
/* Room for a later reservation of up to this size, which then never meets a full disk: for those
 * who do something before it that cannot be taken back. Ends with kd_wal_release, or is handed to
 * kd_wal_reserve as `held_bytes` (0: none), which ends it in any case. */
kd_status kd_wal_hold(kd_ctx *ctx, kd_wal *wal, size_t size_bytes) KD_MUST_CHECK;
void kd_wal_release(kd_wal *wal, size_t held_bytes);
/* Fails as kd_wal_append does. `on_reserved` (may be NULL) runs under the lock that orders
 * reservations, so that a caller can enter its stamp in a list of its own in log order. It must not
 * wait nor call the log. */
kd_status kd_wal_reserve(kd_ctx *ctx, kd_wal *wal, size_t size_bytes, size_t held_bytes,
                         void (*on_reserved)(void *object, uint64_t position, uint64_t end),
                         void *object, kd_wal_reservation *out_reservation) KD_MUST_CHECK;
/* Ends the reservation in any case. Fails only when the log has failed. */
kd_status kd_wal_fill(kd_ctx *ctx, kd_wal *wal, kd_wal_reservation *reservation,
                      const void *records) KD_MUST_CHECK;

/*
 * Returns when every byte before `position` is durable (with no_sync: is written, which survives a
 * killed process but no power cut). Group commit without a delay: the first one
 * to wait writes everything that is buffered, the others wait for it. A failed write or sync is
 * final: this and every later call fails with 58030, nothing is retried, nothing is acknowledged.
 * To wait for one append, give its end, or its position + 1 when it has at most KD_WAL_WHOLE_BYTES.
 */
kd_status kd_wal_wait_durable(kd_ctx *ctx, kd_wal *wal, uint64_t position) KD_MUST_CHECK;
/* Makes everything appended so far durable, with no_sync too: for checkpoints, and for background
 * ticks of relaxed transactions. */
kd_status kd_wal_flush(kd_ctx *ctx, kd_wal *wal) KD_MUST_CHECK;
uint64_t kd_wal_durable_position(const kd_wal *wal); /* One atomic load. */
uint64_t kd_wal_next_position(kd_wal *wal);          /* Where the next append will begin. */

/* Gives the records between `from_position` (a record's position, or the log's begin: 0) and the
 * durable position at the time of the call. KD_INVALID 58P01 when they were truncated. */
kd_status kd_wal_replay(kd_ctx *ctx, kd_wal *wal, uint64_t from_position, kd_wal_visit *visit,
                        void *object) KD_MUST_CHECK;

/* A place in the stored log between two blocks, and what must continue it there. */
typedef struct kd_wal_place {
    uint64_t file_no;
    uint64_t offset;
    uint64_t file_bytes;
    uint64_t position;
    uint32_t link;
    uint32_t incarnation;
} kd_wal_place;

/*
 * The files that hold the log from `from_position` (as above) to where it is durable now, oldest
 * first; the last one counts only up to `size_bytes`. A copy of them, of that many bytes each, is a
 * log that ends there, at `*out_end`. Every block is checked on the way. A slot has to keep them.
 */
typedef struct kd_wal_piece {
    char name[32]; /* In the log's directory. */
    uint64_t size_bytes;
} kd_wal_piece;
kd_status kd_wal_pieces(kd_ctx *ctx, kd_arena *arena, kd_wal *wal, uint64_t from_position,
                        kd_wal_piece **out_pieces, size_t *out_count,
                        kd_wal_place *out_end) KD_MUST_CHECK;

/*
 * The log as it is stored, for whoever copies it elsewhere bit by bit: what follows a place, up to
 * `end_position`, which is durable. Each visit gets one block, or the header of a file before its
 * first one; `at` has moved behind it. Files that hold those bytes at those offsets are the log. A
 * slot has to keep it: 58P01 when it was cut. 55000 when the log does not continue that place: it
 * is that of another history of the database, or damaged.
 */
typedef kd_status kd_wal_copy_visit(kd_ctx *ctx, void *object, const kd_wal_place *from,
                                    const kd_wal_place *to, kd_slice bytes);
kd_status kd_wal_copy(kd_ctx *ctx, kd_wal *wal, kd_wal_place *at, uint64_t end_position,
                      kd_wal_copy_visit *visit, void *object) KD_MUST_CHECK;

/* Shortens a log that nobody has open, so that it ends at `position`, where a record begins, or its
 * end. `from_position`: as start_position in kd_wal_options, at or before it. */
kd_status kd_wal_cut(kd_ctx *ctx, kd_account *account, const char *directory, uint64_t log_id,
                     uint64_t from_position, uint64_t position) KD_MUST_CHECK;

/*
 * Consumer slots: names that keep the log from `position` on. Set again to move on. A slot that
 * would keep more than `limit_bytes` (0: no limit) is dropped by the next truncation, and counted.
 * Slots live as long as the opened log; who needs them longer sets them again after opening.
 */
kd_status kd_wal_slot_set(kd_ctx *ctx, kd_wal *wal, const char *name, uint64_t position,
                          uint64_t limit_bytes) KD_MUST_CHECK;
void kd_wal_slot_drop(kd_world *world, kd_wal *wal, const char *name);
/* `*out_found` is false when there is no such slot, or it went over its limit. */
void kd_wal_slot_find(kd_wal *wal, const char *name, uint64_t *out_position, bool *out_found);

/* Offers every filled file that was not archived yet to the archive. */
kd_status kd_wal_archive(kd_ctx *ctx, kd_wal *wal) KD_MUST_CHECK;
/* Recycles files that lie wholly before `position`, every slot and the archive. One at a time. */
kd_status kd_wal_truncate_before(kd_ctx *ctx, kd_wal *wal, uint64_t position) KD_MUST_CHECK;

/*
 * Makes a spare file ready when the current file is more than half full and there is none, so
 * that no commit waits for a file to be written with zeros. For background ticks; does nothing
 * when nothing is due. A full disk (53100) is reported here first, and does the log no harm.
 */
kd_status kd_wal_prepare(kd_ctx *ctx, kd_wal *wal) KD_MUST_CHECK;

typedef struct kd_wal_statistics {
    uint64_t oldest_position;
    uint64_t durable_position;
    uint64_t next_position;
    uint64_t append_count;
    uint64_t group_count;   /* Groups written and made durable. */
    uint64_t written_bytes; /* Headers and padding included. */
    uint64_t buffer_waits;  /* Appends that found the buffer full. */
    uint64_t files_created;
    uint64_t files_recycled;
    uint64_t slots_lost; /* Dropped over their limit. */
    unsigned file_count;
    unsigned spare_count;
    bool has_failed;
} kd_wal_statistics;
kd_wal_statistics kd_wal_read_statistics(kd_wal *wal);

#endif
