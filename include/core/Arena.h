/**
 * core/Arena.h - memory that goes all at once.
 *
 * An arena may be used by several threads at a time; one of Arena_new_unlocked by one.
 */

#ifndef NETCONN_CORE_ARENA_H
#define NETCONN_CORE_ARENA_H

#include "core/Except.h"
#include "core/SocketHandles.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** There is no memory for an arena, or the request is out of range. */
extern const Except_T Arena_Failed;

/**
 * Makes an arena that several threads may use at a time. To be ended with Arena_dispose.
 *
 * Raises Arena_Failed when there is no memory.
 */
Arena_T Arena_new(void);

/** As Arena_new, for use by one thread at a time. */
Arena_T Arena_new_unlocked(void);

/**
 * Gives an arena's memory back, all of it, and stores NULL. What stands on it (pools, buffers) must be freed before.
 * NULL and a NULL arena are no-ops.
 */
void Arena_dispose(Arena_T *ap);

/**
 * `n` bytes of the arena, which nobody has written: aligned for any type (16), valid until the arena ends or is
 * cleared. Never NULL. `file` (of static storage) and `line` say where it was asked for; ALLOC gives them.
 *
 * Raises Arena_Failed, from there: `arena` is NULL, `n` is 0 or more than 256 MiB (EINVAL); there is no memory, or what
 * SocketConfig_set_max_memory allows is used up (ENOMEM).
 */
void *Arena_alloc(Arena_T arena, size_t n, const char *file, int line);

/**
 * `count` times `n` bytes of the arena, all zero; else as Arena_alloc. CALLOC gives `file` and `line`.
 *
 * Raises Arena_Failed as Arena_alloc, and when `count` is 0 or the product does not fit (EINVAL).
 */
void *Arena_calloc(Arena_T arena, size_t count, size_t n, const char *file, int line);

/** Gives all blocks back; the arena can be used on. NULL is a no-op. */
void Arena_clear(Arena_T arena);

/** As Arena_clear, but keeps some memory for the next blocks. NULL is a no-op. */
void Arena_reset(Arena_T arena);

#ifdef __cplusplus
}
#endif

/** `nbytes` of the arena; see Arena_alloc. */
#define ALLOC(arena, nbytes) Arena_alloc((arena), (nbytes), __FILE__, __LINE__)
/** `count` times `nbytes` of the arena, zeroed; see Arena_calloc. */
#define CALLOC(arena, count, nbytes) Arena_calloc((arena), (count), (nbytes), __FILE__, __LINE__)

#endif /* NETCONN_CORE_ARENA_H */
