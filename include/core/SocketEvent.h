/**
 * core/SocketEvent.h - what happens to sockets, told to whoever registered for it.
 */

#ifndef NETCONN_CORE_SOCKETEVENT_H
#define NETCONN_CORE_SOCKETEVENT_H

#endif /* NETCONN_CORE_SOCKETEVENT_H */
