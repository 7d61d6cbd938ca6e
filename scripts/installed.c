/*
 * What scripts/use-installed.sh compiles: a connection that is refused goes through loop, state machine and sockets, and
 * needs no peer. Nothing listens on port 1 of this address of the loopback range. A socket that cannot be made goes through
 * exceptions, whose objects and stack are data that the program and the library share.
 */
#include "net_conn.h"
#include "netconn.h"
#include "socket/Socket.h"
#if SOCKET_HAS_TLS
#include "tls/SocketTLSContext.h"
#endif

#include <stdio.h>
#include <string.h>

static int result = 1;

static void on_ready(struct net_conn *c, void *arg) { (void)c, (void)arg; }

static void on_error(struct net_conn *c, void *arg) {
    (void)arg;
    puts(conn_get_error_msg(c));
    if (conn_get_error(c) == CONN_ERR_CONNECT && strstr(conn_get_error_msg(c), "127.77.1.9:1 ")) result = 0;
    conn_close(c);
}

static int catches(void) {
    volatile int caught = 0;
    TRY
        Socket_new(-1, -1, -1);
    EXCEPT (Socket_Failed)
        caught = Except_frame.exception->type == &Socket_Failed;
    END_TRY;
    return caught;
}

int main(void) {
    struct ev_loop *loop = evloop_get_default();
    if (!catches()) return 4;
    if (strcmp(netconn_version(), NETCONN_VERSION) != 0) return 3;
    if (!conn_new(loop, "127.77.1.9", "1", false, on_ready, on_error, NULL)) return 2;
    evloop_run(loop);
    netconn_cleanup();
    return result;
}
