/**
 * core/SocketUtil/ByteOrder.h - bytes of the network and of the machine: htons(3) and its kind.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_BYTEORDER_H
#define NETCONN_CORE_SOCKETUTIL_BYTEORDER_H

#include <arpa/inet.h>
#include <stdint.h>

#endif /* NETCONN_CORE_SOCKETUTIL_BYTEORDER_H */
