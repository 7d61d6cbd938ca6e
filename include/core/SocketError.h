/**
 * core/SocketError.h - what went wrong last on this thread, and what an error number means.
 */

#ifndef NETCONN_CORE_SOCKETERROR_H
#define NETCONN_CORE_SOCKETERROR_H

#include "core/SocketConfig.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What Socket_GetLastError and Socket_geterrno give: one for each thread. To be read. */
extern __thread char socket_error_buf[1024];
extern __thread int socket_last_errno;

/**
 * What went wrong last on this thread, as one line: the reason of the exception that told it, too. Never NULL; empty
 * before the first error. Valid until the thread's next error.
 */
const char *Socket_GetLastError(void);

/** The error number that came with that message; 0 where there was none. */
int Socket_geterrno(void);

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_CORE_SOCKETERROR_H */
