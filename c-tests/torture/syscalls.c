/*
 * Each system call of a connection's life made to fail in turn. The calls go through functions of this program in place
 * of the C library's, which fail the nth of a kind on the test's own thread.
 */
#include "echo.h"

#include "../support/certs.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- The calls --------------------------------------------------------------------------------------------------------- */

enum call {
    SOCKET, CONNECT, SETSOCKOPT, GETSOCKOPT, FCNTL, RECV, SEND, SENDMSG, SHUTDOWN,
    EPOLL_CREATE, EPOLL_CTL, EPOLL_WAIT, EVENTFD, PTHREAD_CREATE, CALLS,
};
static const char *const call_names[] = {
    "socket", "connect", "setsockopt", "getsockopt", "fcntl", "recv", "send", "sendmsg", "shutdown",
    "epoll_create1", "epoll_ctl", "epoll_wait", "eventfd", "pthread_create",
};

static __thread bool armed;
static enum call victim;
static int nth, seen, with_errno, hits;
static bool from_then_on;

static bool fails(enum call call) {
    if (!armed || call != victim) return false;
    seen++;
    if (seen != nth && !(from_then_on && seen > nth)) return false;
    hits++;
    errno = with_errno;
    return true;
}

int socket(int domain, int type, int protocol) {
    return fails(SOCKET) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}
int connect(int fd, const struct sockaddr *addr, socklen_t len) {
    return fails(CONNECT) ? -1 : (int)syscall(SYS_connect, fd, addr, len);
}
int setsockopt(int fd, int level, int name, const void *value, socklen_t len) {
    return fails(SETSOCKOPT) ? -1 : (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}
int getsockopt(int fd, int level, int name, void *value, socklen_t *len) {
    return fails(GETSOCKOPT) ? -1 : (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}
int fcntl(int fd, int command, ...) {
    va_list args;
    va_start(args, command);
    long arg = va_arg(args, long);
    va_end(args);
    return fails(FCNTL) ? -1 : (int)syscall(SYS_fcntl, fd, command, arg);
}
ssize_t recv(int fd, void *buf, size_t len, int flags) {
    return fails(RECV) ? -1 : syscall(SYS_recvfrom, fd, buf, len, flags, NULL, NULL);
}
ssize_t send(int fd, const void *buf, size_t len, int flags) {
    return fails(SEND) ? -1 : syscall(SYS_sendto, fd, buf, len, flags, NULL, 0);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    return fails(SENDMSG) ? -1 : syscall(SYS_sendmsg, fd, message, flags);
}
int shutdown(int fd, int how) { return fails(SHUTDOWN) ? -1 : (int)syscall(SYS_shutdown, fd, how); }
int epoll_create1(int flags) { return fails(EPOLL_CREATE) ? -1 : (int)syscall(SYS_epoll_create1, flags); }
int epoll_ctl(int set, int operation, int fd, struct epoll_event *event) {
    return fails(EPOLL_CTL) ? -1 : (int)syscall(SYS_epoll_ctl, set, operation, fd, event);
}
int epoll_wait(int set, struct epoll_event *events, int most, int timeout) {
    return fails(EPOLL_WAIT) ? -1 : (int)syscall(SYS_epoll_pwait, set, events, most, timeout, NULL, 8);
}
int eventfd(unsigned int count, int flags) { return fails(EVENTFD) ? -1 : (int)syscall(SYS_eventfd2, count, flags); }

/* The one call that is not the kernel's. Its real one is found by its version, past ours. */
#include <dlfcn.h>
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *arg) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (fails(PTHREAD_CREATE)) return with_errno;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, start, arg);
}

/* ---- The torture --------------------------------------------------------------------------------------------------------- */

/*
 * `harmless`: the connection does not notice (if there is a loop for it). Not EBADF for fcntl: the debug library's own
 * runtime asks it whether a descriptor that is being closed is open, and aborts at that answer.
 */
static const struct misfortune {
    enum call call;
    int error;
    bool harmless;
} misfortunes[] = {
    {SOCKET, EMFILE, false},        {SOCKET, ENOMEM, false},          {SOCKET, EAFNOSUPPORT, false},
    {CONNECT, ENETUNREACH, false},  {CONNECT, EADDRNOTAVAIL, false},  {CONNECT, EINTR, true},
    {SETSOCKOPT, ENOMEM, false},    {GETSOCKOPT, ENOBUFS, false},     {FCNTL, ENOLCK, false},
    {RECV, ECONNRESET, false},      {RECV, ENOMEM, false},            {RECV, EINTR, true},           {RECV, EAGAIN, true},
    {SEND, EPIPE, false},           {SEND, ENOBUFS, false},           {SEND, EINTR, true},           {SEND, EAGAIN, true},
    {SENDMSG, EPIPE, false},        {SHUTDOWN, ENOBUFS, false},       {EPOLL_CREATE, EMFILE, false}, {EPOLL_CTL, ENOMEM, true},
    {EPOLL_WAIT, EINTR, true},      {EPOLL_WAIT, EINVAL, true},       {EVENTFD, ENFILE, false},
    {PTHREAD_CREATE, EAGAIN, false},
};

/* How many times the call would have been made, had none failed, is not known before: n grows until none is hit. */
static int suffer(const struct misfortune *misfortune, const char *port, const struct conn_options *o, bool for_ever, int fds) {
    int n = 0;
    for (bool hit = true; hit;) {
        struct echo_life life = {.seconds = 0};
        dns_shutdown(); /* the name is looked up anew */
        victim = misfortune->call;
        with_errno = misfortune->error;
        from_then_on = for_ever;
        seen = hits = 0;
        nth = ++n;
        armed = true;
        bool good = live_echo(port, o, &life);
        armed = false;
        hit = hits > 0;
        if (!good && (!hit || (misfortune->harmless && !for_ever && life.loop)))
            FAIL("%s number %d failed with \"%s\": kind %d, errno \"%s\", %zu bytes echoed", call_names[victim], n,
                 strerror(with_errno), life.kind, strerror(life.error), life.got);
        wait_for_fds(fds);
        CHECK_CMP(n, <, 1000);
    }
    return n - 1;
}

static bool is_last_of_its_call(size_t i) {
    return i + 1 == sizeof misfortunes / sizeof misfortunes[0] || misfortunes[i].call != misfortunes[i + 1].call;
}

ALL_TRANSPORTS(each_call_fails_once) {
    TEST_LIMIT(120);
    const char *port = peer_process_of(version); /* its sockets are not among the ones that are counted here */
    struct conn_options o = options_of(version);
    o.keepalive = 60;
    o.resolve_timeout = o.connect_timeout = o.tls_timeout = slow(20);
    struct echo_life life = {.seconds = 0};
    int fds = fd_count();
    CHECK(live_echo(port, &o, &life)); /* what is made once in a process is made */
    dns_shutdown();
    bool met[CALLS] = {false};
    for (size_t i = 0; i < sizeof misfortunes / sizeof misfortunes[0]; i++) {
        if (small(0, 1) && !is_last_of_its_call(i)) continue;
        if (suffer(&misfortunes[i], port, &o, false, fds)) met[misfortunes[i].call] = true;
    }
    met[SENDMSG] = true; /* the library's for several pieces only */
    for (int call = 0; call < CALLS; call++)
        if (!met[call]) FAIL("%s was never called: nothing was tested", call_names[call]);
}

ALL_TRANSPORTS(a_call_fails_from_some_time_on) {
    TEST_LIMIT(120);
    static const struct misfortune lasting[] = {
        {SOCKET, EMFILE, false}, {CONNECT, ECONNREFUSED, false}, {RECV, ECONNRESET, false}, {SEND, ENOBUFS, false}, {FCNTL, ENOLCK, false},
    };
    const char *port = peer_process_of(version); /* its sockets are not among the ones that are counted here */
    struct conn_options o = options_of(version);
    struct echo_life life = {.seconds = 0};
    int fds = fd_count();
    CHECK(live_echo(port, &o, &life));
    dns_shutdown();
    for (size_t i = 0; i < sizeof lasting / sizeof lasting[0]; i++) CHECK_CMP(suffer(&lasting[i], port, &o, true, fds), >, 0);
}

TEST_MAIN
