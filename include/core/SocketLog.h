/**
 * core/SocketLog.h - the log: lines with a level and the name of the component that tells them.
 */

#ifndef NETCONN_CORE_SOCKETLOG_H
#define NETCONN_CORE_SOCKETLOG_H

#endif /* NETCONN_CORE_SOCKETLOG_H */
