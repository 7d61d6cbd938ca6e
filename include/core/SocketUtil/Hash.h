/**
 * core/SocketUtil/Hash.h - stands for itself: programs need nothing of it.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_HASH_H
#define NETCONN_CORE_SOCKETUTIL_HASH_H

#endif /* NETCONN_CORE_SOCKETUTIL_HASH_H */
