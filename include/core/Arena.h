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

#ifdef __cplusplus
}
#endif

/** `nbytes` of the arena; see Arena_alloc. */
#define ALLOC(arena, nbytes) Arena_alloc((arena), (nbytes), __FILE__, __LINE__)
/** `count` times `nbytes` of the arena, zeroed; see Arena_calloc. */
#define CALLOC(arena, count, nbytes) Arena_calloc((arena), (count), (nbytes), __FILE__, __LINE__)

#endif /* NETCONN_CORE_ARENA_H */
