/*
 * A second process on one database: it becomes a client of the process that has
 * the database open, over a local socket in the database directory.
 *
 * The module has no calls of its own beyond this one: it registers itself as the engine's way
 * to other processes (engine/conversation.h), and kade_open does the rest. Programs
 * that link the module need not call it; a constructor does.
 */
#ifndef KD_LINK_LINK_H
#define KD_LINK_LINK_H

void kd_link_register(void);

#endif
