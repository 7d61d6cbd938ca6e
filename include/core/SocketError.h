/**
 * core/SocketError.h - what went wrong last on this thread, and what an error number means.
 */

#ifndef NETCONN_CORE_SOCKETERROR_H
#define NETCONN_CORE_SOCKETERROR_H

#include "core/SocketConfig.h"

#endif /* NETCONN_CORE_SOCKETERROR_H */
