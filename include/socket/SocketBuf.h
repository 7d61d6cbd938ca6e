/**
 * socket/SocketBuf.h - a ring buffer in an arena.
 */

#ifndef NETCONN_SOCKET_SOCKETBUF_H
#define NETCONN_SOCKET_SOCKETBUF_H

#include "core/Arena.h"
#include "core/Except.h"
#include "core/SocketConfig.h"
#include "core/SocketHandles.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A call on a ring buffer failed. */
extern const Except_T SocketBuf_Failed;

/**
 * Makes an empty buffer of `capacity` bytes: 512 to 1 MiB. Its memory is the arena's, all of it, and goes with it.
 *
 * Raises SocketBuf_Failed: a NULL arena, another capacity (EINVAL), an arena that gives no more (ENOMEM).
 */
SocketBuf_T SocketBuf_new(Arena_T arena, size_t capacity);

/**
 * Stores NULL. The memory stays with the arena, and so does what is in it: SocketBuf_secureclear first where that
 * matters.
 */
void SocketBuf_release(SocketBuf_T *buf);

/**
 * Appends what there is room for, up to `len` bytes; how many that were. Never grows.
 *
 * Raises SocketBuf_Failed when `data` is NULL and `len` is not 0.
 */
size_t SocketBuf_write(SocketBuf_T buf, const void *data, size_t len);

/**
 * Takes up to `len` bytes from the start; how many that were.
 *
 * Raises SocketBuf_Failed when `data` is NULL and `len` is not 0.
 */
size_t SocketBuf_read(SocketBuf_T buf, void *data, size_t len);

/** As SocketBuf_read, but the bytes stay. */
size_t SocketBuf_peek(SocketBuf_T buf, void *data, size_t len);

/**
 * Drops `len` bytes at the start.
 *
 * Raises SocketBuf_Failed, and drops none, when there are fewer.
 */
void SocketBuf_consume(SocketBuf_T buf, size_t len);

/** How many bytes can be read. */
size_t SocketBuf_available(SocketBuf_T buf);

/** How many bytes can be written. */
size_t SocketBuf_space(SocketBuf_T buf);

/** 1 when nothing can be read, else 0. */
int SocketBuf_empty(SocketBuf_T buf);

/** 1 when nothing can be written, else 0. */
int SocketBuf_full(SocketBuf_T buf);

/** Drops the content; its bytes stay in the memory until others take their place. */
void SocketBuf_clear(SocketBuf_T buf);

/** Drops the content and overwrites all memory of the buffer. */
void SocketBuf_secureclear(SocketBuf_T buf);

/**
 * Sees to it that at least `min_space` bytes can be written: grows where there is less room. What it grew out of is
 * overwritten, and stays the arena's.
 *
 * Raises SocketBuf_Failed (ENOMEM), and leaves the buffer as it was, when the arena does not give so much.
 */
void SocketBuf_reserve(SocketBuf_T buf, size_t min_space);

/** As SocketBuf_reserve: 1 when there is room for `min_space` bytes now, 0 when the arena does not give so much. */
int SocketBuf_ensure(SocketBuf_T buf, size_t min_space);

/** Moves the content so that all of it, and all of the room, lies in one piece. */
void SocketBuf_compact(SocketBuf_T buf);

/**
 * The start of the content, and in `len` how much of it lies there in one piece (the rest follows when this was
 * consumed); NULL and 0 when it is empty. Valid until the buffer is changed.
 *
 * Raises SocketBuf_Failed when `len` is NULL.
 */
const void *SocketBuf_readptr(SocketBuf_T buf, size_t *len);

/**
 * Where the next bytes go, and in `len` how many fit there in one piece; NULL and 0 when the buffer is full. Write them
 * there, then tell SocketBuf_written. Valid until the buffer is changed.
 *
 * Raises SocketBuf_Failed when `len` is NULL.
 */
void *SocketBuf_writeptr(SocketBuf_T buf, size_t *len);

/**
 * `len` bytes were written to where SocketBuf_writeptr said.
 *
 * Raises SocketBuf_Failed, and counts none, when that is more than it said.
 */
void SocketBuf_written(SocketBuf_T buf, size_t len);

/**
 * Where these `n` bytes are in the content for the first time, counted from its start; -1 when they are not, 0 for
 * none.
 *
 * Raises SocketBuf_Failed when `needle` is NULL and `n` is not 0.
 */
ssize_t SocketBuf_find(SocketBuf_T buf, const void *needle, size_t n);

/**
 * Takes a line and its newline, and stores it without, NUL-terminated; its length. -1 while no newline is there, and
 * then nothing is taken. Of a line that is longer than `max - 1` bytes these are taken, and the rest is the next
 * line's.
 *
 * Raises SocketBuf_Failed when `line` is NULL or `max` is 0.
 */
ssize_t SocketBuf_readline(SocketBuf_T buf, char *line, size_t max);

/**
 * Takes bytes from the start and fills the entries in order; how many bytes that were.
 *
 * Raises SocketBuf_Failed: a negative count, a NULL entry of some length, lengths that overflow.
 */
ssize_t SocketBuf_readv(SocketBuf_T buf, const struct iovec *iov, int count);

/**
 * Appends the entries' bytes in order, as far as there is room; how many bytes that were.
 *
 * Raises SocketBuf_Failed: a negative count, a NULL entry of some length, lengths that overflow.
 */
ssize_t SocketBuf_writev(SocketBuf_T buf, const struct iovec *iov, int count);

/** Whether what the buffer knows of itself fits together; false for NULL. For tests and assertions. */
bool SocketBuf_check_invariants(SocketBuf_T buf);

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_SOCKET_SOCKETBUF_H */
