"""The planted faults: mistakes that storage engines have made, one at a time put into KadeDB.

Each names a file, a text that stands in it exactly once, and what is put in its place. A text that is no
longer there stops the run: then the code has changed and the fault has to be planted anew.
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Fault:
    name: str
    what: str
    path: str
    find: str
    put: str


FAULTS = [
    # --- The log
    Fault("log_sync_skipped", "blocks of the log are not written synchronously",
          "src/wal/wal_writer.c",
          "        flags |= KD_FILE_DSYNC;", "        flags |= 0;"),
    Fault("commit_before_sync", "a commit is acknowledged before its record is durable",
          "src/txn/txn.c",
          "    status = kd_wal_wait_durable(ctx, manager->wal, place.end);\n",
          "    status = KD_OK;\n"),
    Fault("torn_tail_accepted", "a block whose bytes do not match its checksum is read",
          "src/wal/wal_block.c",
          "kdi_block_header_is_intact(block) && header->checksum == block_checksum(block);",
          "kdi_block_header_is_intact(block) && header->checksum != 0;"),
    Fault("damage_taken_for_tear", "a damaged block in the middle is taken for the torn end",
          "src/wal/wal_reader.c",
          "            return place_corrupt(ctx, reader, \"a later block proves that it had been written\");",
          "            return KD_OK;"),
    Fault("incarnation_stays", "an opening does not begin a new incarnation: left blocks are live again",
          "src/wal/wal_writer.c", "    wal->at.incarnation++;\n", ""),
    Fault("recovered_not_synced", "what recovery read is called durable without a sync",
          "src/wal/wal.c", "    KD_TRY_OUT(recovered_sync(ctx, wal));\n", ""),
    Fault("last_record_left", "recovery stops one record before the end",
          "src/wal/wal_reader.c",
          "        if (record_bytes > bytes.size_bytes) {",
          "        if (record_bytes >= bytes.size_bytes) {"),
    Fault("log_cut_too_far", "a checkpoint cuts the log behind a transaction that is still open",
          "src/table/checkpoint.c",
          "    all->replay_position = kd_txn_oldest_part(storage->txns);\n    if (all->stamp < all->replay_position)\n",
          ""),
    # --- Transactions
    Fault("stale_read", "the newest commit is not seen", "src/table/table_internal.h",
          "    return stamp <= snapshot.stamp;", "    return stamp < snapshot.stamp;"),
    Fault("dirty_read", "rows in flight are seen by everybody", "src/table/table_internal.h",
          "        return snapshot.txn_no != 0 && kdi_stamp_txn(stamp) == snapshot.txn_no;",
          "        return snapshot.txn_no != 0;"),
    Fault("lost_update", "a snapshot's writer passes over a newer version",
          "src/table/row_write.c",
          "    if (kd_txn_isolation(meet->txn) != KD_READ_COMMITTED) {\n        if (meet->mode",
          "    if (kd_txn_isolation(meet->txn) == KD_SERIALIZABLE) {\n        if (meet->mode"),
    Fault("write_skew", "SERIALIZABLE does not look at what it read", "src/table/write_set.c",
          "    return kdi_serial_validate(ctx, writes);", "    (void)ctx;\n    return KD_OK;"),
    Fault("undo_not_applied", "a rolled back delete leaves its mark", "src/table/write_set.c",
          "    if (kdi_place_end_cell(&ctx, &place, &end) == KD_OK)\n        atomic_store(end, KD_STAMP_NONE);",
          "    if (kdi_place_end_cell(&ctx, &place, &end) == KD_OK)\n        (void)end;"),
    Fault("savepoint_forgotten", "what went back to a savepoint stays in the log", "src/txn/txn.c",
          "    redo_cut(txn, txn->savepoints[txn->savepoint_count - 1].redo_bytes);\n", ""),
    Fault("lock_lost_in_move", "a row's lock does not follow it into a segment",
          "src/table/row_move.c",
          "            remap->refs[ordinal] != KD_ROWREF_NONE)\n            return kd_row_lock_carry(",
          "            remap->refs[ordinal] == KD_ROWREF_NONE)\n            return kd_row_lock_carry("),
    Fault("lock_shared_too_freely", "two FOR UPDATE of one row do not conflict", "src/txn/row_lock.c",
          "    [KD_LOCK_UPDATE] = 15,", "    [KD_LOCK_UPDATE] = 7,"),
    Fault("unique_race", "a unique key is judged and entered without its latch", "src/table/unique.c",
          "        kd_index_latch_key(index->index, key);\n        kd_status status = key_judge(ctx, writes, table, index, key, self, &state);\n        if (status == KD_OK && state.conflict == KD_ROWREF_NONE && state.blocker == 0)\n            status = entry_put(ctx, index, key, self);\n        kd_index_unlatch_key(index->index, key);",
          "        kd_status status = key_judge(ctx, writes, table, index, key, self, &state);\n        if (status == KD_OK && state.conflict == KD_ROWREF_NONE && state.blocker == 0)\n            status = entry_put(ctx, index, key, self);"),
    # --- Tables
    Fault("delete_not_logged", "a delete leaves no record in the log", "src/table/row_write.c",
          "        status = kdi_redo_numbers(ctx, writes->txn, KDI_REDO_END, numbers, 3);",
          "        (void)numbers;"),
    Fault("mark_lost_in_flush", "the marks of rows that move are left behind", "src/table/row_move.c",
          "        if (end == KD_STAMP_NONE)\n            continue;",
          "        if (end == KD_STAMP_NONE || kdi_is_in_flight(end))\n            continue;"),
    Fault("compaction_keeps_dead", "compaction takes ended rows along as live ones",
          "src/table/compaction.c",
          "        if (kdi_version_is_seen(&in->build->live, begin, end))",
          "        if (kdi_version_is_seen(&in->build->live, begin, end) || row == 0)"),
    Fault("remap_forgotten", "a checkpoint does not write where moved rows went",
          "src/table/delta_image.c",
          "        KD_TRY(remap_write(ctx, writer, table, units->remaps[i]));", "        (void)remap_write;"),
    Fault("marks_not_in_image", "a checkpoint leaves out the marks of one vector",
          "src/table/delta_image.c",
          "        if (!kdi_stamp_seen(kdi_segment_end(segment, i), snapshot))",
          "        if (i == 0 || !kdi_stamp_seen(kdi_segment_end(segment, i), snapshot))"),
    Fault("root_not_synced", "the new root's name is not made durable", "src/store/root.c",
          "    return ctx->world->directory_sync(ctx, directory);", "    return KD_OK;"),
    Fault("checksum_not_compared", "a block of a segment is believed", "src/store/segment.c",
          "    if (stored != checksum || kdi_block_checksum(&identity, target, size_bytes) != checksum)",
          "    if (stored != checksum)"),
    Fault("segment_not_synced", "a segment is named before its bytes are durable",
          "src/store/file_sink.c",
          "KD_TRY(ctx->world->file_sync(ctx, sink->file));", "(void)0;"),
    # --- Indexes and constraints
    Fault("update_misses_index", "an update does not enter the new version into plain indexes",
          "src/table/unique.c",
          "    for (size_t i = 0; i < keys->count; i++)\n        KD_TRY(entry_put(",
          "    bool updates =\n        writes->count > 1 && writes->writes[writes->count - 2].kind == KDI_WRITE_END;\n"
          "    for (size_t i = updates ? 1 : 0; i < keys->count; i++)\n        KD_TRY(entry_put("),
    Fault("load_misses_index", "recovery does not enter a loaded segment into the indexes",
          "src/table/recovery.c",
          "    kd_status status = kdi_indexes_add_segment(ctx, table, segment);",
          "    kd_status status = KD_OK;"),
    Fault("index_mark_too_early", "an index is called changed before the entry is in it",
          "src/table/unique.c",
          "    KD_TRY(kd_index_insert(ctx, index->index, key, self));\n    atomic_store(&index->is_dirty, true);\n    return KD_OK;",
          "    atomic_store(&index->is_dirty, true);\n    return kd_index_insert(ctx, index->index, key, self);"),
    Fault("run_left_out", "a checkpoint's manifest forgets an index's oldest run",
          "src/index/index_checkpoint.c",
          "    KD_TRY(kd_buffer_append_u32(ctx, &out, version->run_count));\n    for (uint32_t i = 0; i < version->run_count; i++)",
          "    uint32_t count = version->run_count > 1 ? version->run_count - 1 : version->run_count;\n"
          "    KD_TRY(kd_buffer_append_u32(ctx, &out, count));\n    for (uint32_t i = 0; i < count; i++)"),
    Fault("foreign_key_skipped", "the children of a deleted row are not looked for",
          "src/engine/foreign_key.c", "    *out_exist = found > 0;", "    *out_exist = found > 1;"),
    Fault("foreign_key_unlocked", "the parent of a new row is not locked against its deletion",
          "src/engine/foreign_key.c",
          "        kd_write_outcome outcome;\n        KD_TRY(kd_table_lock_row(ctx, session->txn, storage, ref, KD_LOCK_KEY_SHARE, KD_WAIT,\n                                 &outcome));\n        if (outcome.result == KD_WRITE_DONE)\n            return KD_OK;",
          "        return KD_OK;"),
    # --- Backups
    Fault("backup_misses_segment", "a backup lacks the segments that only the log names",
          "src/backup/backup_take.c", "    KD_TRY(more_copy(ctx, run));\n", "    (void)more_copy;\n"),
    Fault("backup_not_synced", "a backup is described before its objects are durable",
          "src/backup/store_directory.c",
          "    KD_TRY(ctx->world->file_sync(ctx, storing->file));\n", ""),
    Fault("backup_takes_old_run", "a file of the same name and size counts as the one of the last backup",
          "src/backup/backup_take.c",
          "known->size_bytes != file->size_bytes ||\n        known->tail != file->tail)",
          "known->size_bytes != file->size_bytes)"),
]
