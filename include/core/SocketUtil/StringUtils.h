/**
 * core/SocketUtil/StringUtils.h - the headers of strings.
 */

#ifndef NETCONN_CORE_SOCKETUTIL_STRINGUTILS_H
#define NETCONN_CORE_SOCKETUTIL_STRINGUTILS_H

#include <stddef.h>
#include <string.h>

#endif /* NETCONN_CORE_SOCKETUTIL_STRINGUTILS_H */
