/* Socket.h: options, time-outs, state and what is counted. */
#include "../harness.h"
#include "../support/aborts.h"
#include "../support/raises.h"
#include "core/SocketUtil.h"
#include "socket/Socket.h"

#include <limits.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

static Socket_T server, client, accepted;

static void connected(void) {
    server = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(server, "127.0.0.1", 0);
    Socket_listen(server, 5);
    client = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(client, "127.0.0.1", Socket_getlocalport(server));
    accepted = Socket_accept(server);
}

static void ended(void) {
    Socket_free(&accepted);
    Socket_free(&client);
    Socket_free(&server);
    CHECK_INT(Socket_debug_live_count(), 0);
}

static int option(Socket_T s, int level, int name) {
    int value = -1;
    socklen_t len = sizeof value;
    getsockopt(Socket_fd(s), level, name, &value, &len);
    return value;
}

TEST(modes_and_flags) {
    connected();
    Socket_setnonblocking(client);
    Socket_setnonblocking(client);
    CHECK_INT(fcntl(Socket_fd(client), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    Socket_setcloexec(client, 0);
    CHECK_INT(fcntl(Socket_fd(client), F_GETFD) & FD_CLOEXEC, 0);
    Socket_setcloexec(client, 1);
    CHECK_INT(fcntl(Socket_fd(client), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    Socket_setreuseaddr(client);
    CHECK_INT(option(client, SOL_SOCKET, SO_REUSEADDR) != 0, 1);
    Socket_setreuseport(client);
    CHECK_INT(option(client, SOL_SOCKET, SO_REUSEPORT) != 0, 1);
    Socket_setnodelay(client, 1);
    CHECK_INT(Socket_getnodelay(client), 1);
    Socket_setnodelay(client, 0);
    CHECK_INT(Socket_getnodelay(client), 0);
    CHECK_INT(Socket_cork(client, 1), 0);
    CHECK_INT(option(client, IPPROTO_TCP, TCP_CORK), 1);
    CHECK_INT(Socket_cork(client, 0), 0);
    ended();
}

TEST(the_kernels_time_out) {
    connected();
    CHECK_INT(Socket_gettimeout(client), 0);
    Socket_settimeout(client, 7);
    CHECK_INT(Socket_gettimeout(client), 7);
    struct timeval time;
    socklen_t len = sizeof time;
    getsockopt(Socket_fd(client), SOL_SOCKET, SO_SNDTIMEO, &time, &len);
    CHECK_INT(time.tv_sec, 7);
    CHECK_RAISES_ERRNO(Socket_settimeout(client, -1), Socket_Failed, EINVAL, "-1 s");
    Socket_settimeout(client, 0);
    CHECK_INT(Socket_gettimeout(client), 0);
    ended();
}

TEST(keepalive) {
    connected();
    int idle = 9, interval = 9, count = 9;
    Socket_getkeepalive(client, &idle, &interval, &count);
    CHECK_INT(idle + interval + count, 0);
    Socket_setkeepalive(client, 60, 10, 3);
    Socket_getkeepalive(client, &idle, &interval, &count);
    CHECK_INT(idle, 60);
    CHECK_INT(interval, 10);
    CHECK_INT(count, 3);
    Socket_getkeepalive(client, NULL, NULL, NULL);
    CHECK_RAISES_ERRNO(Socket_setkeepalive(client, 0, 1, 1), Socket_Failed, EINVAL, "idle 0");
    CHECK_RAISES_ERRNO(Socket_setkeepalive(client, 1, -1, 1), Socket_Failed, EINVAL, "interval -1");
    CHECK_RAISES_ERRNO(Socket_setkeepalive(client, 1, 1, 33), Socket_Failed, EINVAL, "count 33");
    CHECK_RAISES_ERRNO(Socket_setkeepalive(client, 1, 3601, 1), Socket_Failed, EINVAL, "interval 3601");
    CHECK_RAISES_ERRNO(Socket_setkeepalive(client, INT_MAX, 1, 1), Socket_Failed, EINVAL, "idle");
    ended();
}

TEST(sizes_of_buffers) {
    connected();
    Socket_setrcvbuf(client, 20000);
    Socket_setsndbuf(client, 30000);
    // Linux doubles them.
    CHECK_CMP(Socket_getrcvbuf(client), >=, 20000);
    CHECK_CMP(Socket_getsndbuf(client), >=, 30000);
    CHECK_INT(Socket_getrcvbuf(client), option(client, SOL_SOCKET, SO_RCVBUF));
    CHECK_RAISES_ERRNO(Socket_setrcvbuf(client, 511), Socket_Failed, EINVAL, "511");
    CHECK_RAISES_ERRNO(Socket_setsndbuf(client, 1048577), Socket_Failed, EINVAL, "1048577");
    ended();
}

TEST(control_of_congestion) {
    connected();
    char name[64] = "", cut[3];
    CHECK_INT(Socket_getcongestion(client, name, sizeof name), 0);
    CHECK_CMP(strlen(name), >, 0);
    CHECK_INT(Socket_getcongestion(client, cut, sizeof cut), 0);
    CHECK_INT(strlen(cut), 2);
    CHECK_INT(strncmp(cut, name, 2), 0);
    Socket_setcongestion(client, name);
    CHECK_INT(Socket_getcongestion(client, NULL, 5), -1);
    CHECK_INT(Socket_getcongestion(client, name, 0), -1);
    CHECK_RAISES_ERRNO(Socket_setcongestion(client, NULL), Socket_Failed, EINVAL, "NULL");
    CHECK_RAISES_ERRNO(Socket_setcongestion(client, ""), Socket_Failed, EINVAL, "name");
    char too_long[65];
    memset(too_long, 'x', 64);
    too_long[64] = 0;
    CHECK_RAISES_ERRNO(Socket_setcongestion(client, too_long), Socket_Failed, EINVAL, "64 bytes");
    CHECK_RAISES_ERRNO(Socket_setcongestion(client, "nonesuch"), Socket_Failed, ENOENT, "nonesuch");
    ended();
    Socket_T s = Socket_new(AF_UNIX, SOCK_STREAM, 0);
    errno = 0;
    CHECK_INT(Socket_getcongestion(s, name, sizeof name), -1);
    CHECK_INT(errno, EOPNOTSUPP);
    Socket_free(&s);
}

static void sets_no_user_timeout(void *arg) {
    (void)arg;
    Socket_setusertimeout(Socket_new(AF_INET, SOCK_STREAM, 0), 0);
}

TEST(further_times_of_tcp) {
    connected();
    CHECK_INT(Socket_getusertimeout(client), 0);
    Socket_setusertimeout(client, 12345);
    CHECK_INT(Socket_getusertimeout(client), 12345);
    CHECK_RAISES_ERRNO(Socket_setusertimeout(client, 1u + INT_MAX), Socket_Failed, EINVAL, "INT_MAX");
    CHECK_ABORTS(sets_no_user_timeout, NULL, "Socket_setusertimeout", "timeout_ms");
    Socket_setdeferaccept(server, 5);
    CHECK_CMP(Socket_getdeferaccept(server), >=, 5);
    Socket_setdeferaccept(server, 0);
    CHECK_INT(Socket_getdeferaccept(server), 0);
    CHECK_RAISES_ERRNO(Socket_setdeferaccept(server, -1), Socket_Failed, EINVAL, "-1");
    CHECK_RAISES_ERRNO(Socket_setdeferaccept(server, 3601), Socket_Failed, EINVAL, "3601");
    Socket_setfastopen(server, 1);
    CHECK_INT(Socket_getfastopen(server), 1);
    Socket_setfastopen(server, 0);
    CHECK_INT(Socket_getfastopen(server), 0);
    ended();
    Socket_T s = Socket_new(AF_UNIX, SOCK_STREAM, 0);
    CHECK_INT(Socket_getusertimeout(s), 0);
    CHECK_INT(Socket_getfastopen(s), -1);
    CHECK_RAISES(Socket_setnodelay(s, 1), Socket_Failed);
    CHECK_RAISES(Socket_getnodelay(s), Socket_Failed);
    CHECK_RAISES(Socket_setkeepalive(s, 1, 1, 1), Socket_Failed);
    CHECK_RAISES(Socket_setfastopen(s, 1), Socket_Failed);
    CHECK_RAISES(Socket_setusertimeout(s, 1), Socket_Failed);
    CHECK_INT(Socket_cork(s, 1), -1);
    Socket_free(&s);
}

TEST(a_direction_is_shut) {
    connected();
    Socket_shutdown(client, SHUT_WR);
    char byte;
    CHECK_RAISES(Socket_recv(accepted, &byte, 1), Socket_Closed);
    CHECK_INT(Socket_send(accepted, "x", 1), 1);
    CHECK_INT(Socket_recv(client, &byte, 1), 1);
    CHECK_RAISES_ERRNO(Socket_send(client, "x", 1), Socket_Closed, EPIPE, "closed");
    Socket_shutdown(accepted, SHUT_RDWR);
    CHECK_RAISES_ERRNO(Socket_shutdown(client, 77), Socket_Failed, EINVAL, "77");
    ended();
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    CHECK_RAISES_ERRNO(Socket_shutdown(s, SHUT_RD), Socket_Failed, ENOTCONN, "shutdown");
    Socket_free(&s);
}

#define CHECK_TIMEOUTS(t, connect, dns, operation)                                                                     \
    do {                                                                                                               \
        CHECK_INT((t).connect_timeout_ms, connect);                                                                    \
        CHECK_INT((t).dns_timeout_ms, dns);                                                                            \
        CHECK_INT((t).operation_timeout_ms, operation);                                                                \
    } while (0)

TEST(times_of_a_socket_begin_as_the_defaults) {
    SocketTimeouts_T t, first = {SOCKET_DEFAULT_CONNECT_TIMEOUT_MS, SOCKET_DEFAULT_DNS_TIMEOUT_MS, SOCKET_DEFAULT_OPERATION_TIMEOUT_MS};
    Socket_timeouts_getdefaults(&t);
    CHECK_TIMEOUTS(t, 30000, 5000, 0);
    Socket_T old = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_timeouts_setdefaults(&(SocketTimeouts_T){1, -2, 3});
    Socket_timeouts_setdefaults(NULL);
    Socket_timeouts_getdefaults(NULL);
    Socket_timeouts_getdefaults(&t);
    CHECK_TIMEOUTS(t, 1, 0, 3);
    Socket_timeouts_get(old, &t);
    CHECK_TIMEOUTS(t, 30000, 5000, 0);
    Socket_T new = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_timeouts_get(new, &t);
    CHECK_TIMEOUTS(t, 1, 0, 3);
    Socket_timeouts_set(old, &(SocketTimeouts_T){-1, 20, 30});
    Socket_timeouts_get(old, &t);
    CHECK_TIMEOUTS(t, 0, 20, 30);
    Socket_timeouts_set(old, NULL);
    Socket_timeouts_get(old, &t);
    CHECK_TIMEOUTS(t, 1, 0, 3);
    Socket_timeouts_setdefaults(&first);
    Socket_free(&old);
    Socket_free(&new);
}

TEST(the_longer_form_of_times) {
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    SocketTimeouts_T t;
    SocketTimeouts_Extended_T e = {.tls_timeout_ms = 9, .request_timeout_ms = 8};
    Socket_timeouts_set_extended(s, &e);
    Socket_timeouts_set_extended(s, NULL);
    Socket_timeouts_get(s, &t);
    CHECK_TIMEOUTS(t, 30000, 5000, 9);
    e = (SocketTimeouts_Extended_T){.dns_timeout_ms = 1, .connect_timeout_ms = -2, .tls_timeout_ms = 3, .operation_timeout_ms = 4};
    Socket_timeouts_set_extended(s, &e);
    Socket_timeouts_get(s, &t);
    CHECK_TIMEOUTS(t, 0, 1, 4);
    memset(&e, 77, sizeof e);
    Socket_timeouts_get_extended(s, &e);
    CHECK_INT(e.dns_timeout_ms, 1);
    CHECK_INT(e.connect_timeout_ms, 0);
    CHECK_INT(e.tls_timeout_ms, 4);
    CHECK_INT(e.request_timeout_ms, 0);
    CHECK_INT(e.operation_timeout_ms, 4);
    Socket_timeouts_get_extended(s, NULL);
    Socket_free(&s);
}

TEST(what_moves_is_counted) {
    int64_t before = Socket_get_monotonic_ms();
    connected();
    SocketStats_T s;
    Socket_getstats(client, &s);
    CHECK_INT(s.bytes_sent + s.bytes_received + s.packets_sent + s.packets_received, 0);
    CHECK_CMP(s.create_time_ms, >=, before);
    CHECK_CMP(s.connect_time_ms, >=, s.create_time_ms);
    CHECK_INT(s.last_send_time_ms, 0);
    Socket_send(client, "hello", 5);
    Socket_send(client, "you", 3);
    char buf[8];
    Socket_recvall(accepted, buf, 8);
    Socket_setnonblocking(client);
    CHECK_INT(Socket_recv(client, buf, 8), 0);
    Socket_getstats(client, &s);
    CHECK_INT(s.bytes_sent, 8);
    CHECK_INT(s.packets_sent, 2);
    CHECK_INT(s.bytes_received, 0);
    // A call that would block is none that failed.
    CHECK_INT(s.recv_errors, 0);
    CHECK_CMP(s.last_send_time_ms, >=, s.connect_time_ms);
    CHECK_CMP(s.last_send_time_ms, <=, Socket_get_monotonic_ms());
    CHECK_CMP(s.rtt_us, >, 0);
    CHECK_CMP(s.rtt_var_us, >=, 0);
    Socket_getstats(accepted, &s);
    CHECK_INT(s.bytes_received, 8);
    CHECK_CMP(s.packets_received, >=, 1);
    CHECK_CMP(s.connect_time_ms, >=, before);
    int64_t created = s.create_time_ms;
    Socket_resetstats(accepted);
    Socket_getstats(accepted, &s);
    CHECK_INT(s.bytes_received + s.packets_received, 0);
    CHECK_INT(s.last_recv_time_ms, 0);
    CHECK_INT(s.create_time_ms, created);
    Socket_shutdown(client, SHUT_WR);
    CHECK_RAISES(Socket_send(client, "x", 1), Socket_Closed);
    Socket_getstats(client, &s);
    CHECK_INT(s.send_errors, 1);
    Socket_getstats(client, NULL);
    ended();
    Socket_T unix_socket = Socket_new(AF_UNIX, SOCK_STREAM, 0);
    Socket_getstats(unix_socket, &s);
    CHECK_INT(s.rtt_us, -1);
    CHECK_INT(s.rtt_var_us, -1);
    CHECK_INT(s.connect_time_ms, 0);
    Socket_free(&unix_socket);
}

TEST(health) {
    connected();
    CHECK_INT(Socket_probe(client, 0), 1);
    CHECK_INT(Socket_probe(client, 1), 1);
    CHECK_INT(Socket_is_readable(client), 0);
    CHECK_INT(Socket_is_writable(client), 1);
    CHECK_INT(Socket_get_error(client), 0);
    CHECK_CMP(Socket_get_rtt(client), >, 0);
    CHECK_CMP(Socket_get_cwnd(client), >, 0);
    SocketTCPInfo info;
    memset(&info, 0, sizeof info);
    Socket_send(client, "x", 1);
    CHECK_INT(Socket_get_tcp_info(client, &info), 0);
    CHECK_INT(info.state, TCP_ESTABLISHED);
    CHECK_CMP(info.snd_mss, >, 0);
    CHECK_CMP(info.segs_out, >, 0);
    CHECK_INT(Socket_get_tcp_info(client, NULL), -1);
    // Bytes that wait are life, and stay.
    struct pollfd polled = {.fd = Socket_fd(accepted), .events = POLLIN};
    CHECK_INT(poll(&polled, 1, -1), 1);
    CHECK_INT(Socket_is_readable(accepted), 1);
    CHECK_INT(Socket_probe(accepted, 1000), 1);
    char byte;
    CHECK_INT(Socket_recv(accepted, &byte, 1), 1);
    Socket_free(&client);
    CHECK_INT(poll(&polled, 1, -1), 1);
    CHECK_INT(Socket_probe(accepted, 1000), 0);
    CHECK_INT(Socket_probe(server, 0), 0);
    ended();
    Socket_T s = Socket_new(AF_UNIX, SOCK_STREAM, 0);
    CHECK_INT(Socket_get_rtt(s), -1);
    CHECK_INT(Socket_get_cwnd(s), -1);
    CHECK_INT(Socket_get_tcp_info(s, &info), -1);
    CHECK_INT(Socket_probe(s, 0), 0);
    Socket_free(&s);
}

TEST(what_may_be_tried_again) {
    int retryable[] = {EAGAIN, ECONNREFUSED, ETIMEDOUT, EINTR, ENETUNREACH, EPIPE}, not[] = {0, EINVAL, EACCES, EMFILE, EADDRINUSE};
    for (size_t i = 0; i < sizeof retryable / sizeof *retryable; i++) CHECK_INT(Socket_error_is_retryable(retryable[i]), 1);
    for (size_t i = 0; i < sizeof not/ sizeof *not; i++) CHECK_INT(Socket_error_is_retryable(not[i]), 0);
}

TEST(a_rate_limits_what_moves) {
    SocketPair_new(SOCK_STREAM, &client, &accepted);
    char buf[4096] = "";
    CHECK_INT(Socket_getbandwidth(client), 0);
    CHECK_INT(Socket_bandwidth_wait_ms(client, 1 << 30), 0);
    CHECK_INT(Socket_send_limited(client, buf, 4096), 4096);
    CHECK_INT(Socket_recv_limited(accepted, buf, 4096), 4096);
    // Full at first, and so slow that it does not fill meanwhile.
    Socket_setbandwidth(client, 1000);
    CHECK_INT(Socket_getbandwidth(client), 1000);
    CHECK_INT(Socket_bandwidth_wait_ms(client, 1000), 0);
    CHECK_INT(Socket_bandwidth_wait_ms(client, 1001), -1);
    CHECK_INT(Socket_send_limited(client, buf, 4096), 1000);
    int64_t wait = Socket_bandwidth_wait_ms(client, 1000);
    CHECK_CMP(wait, <=, 1000);
    Socket_setbandwidth(client, 1);
    CHECK_INT(Socket_send_limited(client, buf, 4096), 1);
    // At one byte a second: 0, unless that second has passed.
    errno = 0;
    ssize_t n = Socket_send_limited(client, buf, 4096);
    CHECK_CMP(n, <=, 1);
    if (n == 0) CHECK_INT(errno, EAGAIN);
    // Other calls know no limit.
    CHECK_INT(Socket_send(client, buf, 100), 100);
    Socket_setbandwidth(accepted, 100);
    CHECK_INT(Socket_recv_limited(accepted, buf, sizeof buf), 100);
    Socket_setbandwidth(accepted, 0);
    CHECK_CMP(Socket_recv_limited(accepted, buf, sizeof buf), >, 100);
    Socket_free(&client);
    Socket_free(&accepted);
}

TEST_MAIN
