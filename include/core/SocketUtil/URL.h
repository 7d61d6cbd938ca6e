/**
 * core/SocketUtil/URL.h - stands for itself: programs need nothing of it.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_URL_H
#define NETCONN_CORE_SOCKETUTIL_URL_H

#endif /* NETCONN_CORE_SOCKETUTIL_URL_H */
