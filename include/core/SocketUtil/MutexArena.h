/**
 * core/SocketUtil/MutexArena.h - core/Arena.h, whose arenas have a lock.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_MUTEXARENA_H
#define NETCONN_CORE_SOCKETUTIL_MUTEXARENA_H

#include "core/Arena.h"

#endif /* NETCONN_CORE_SOCKETUTIL_MUTEXARENA_H */
