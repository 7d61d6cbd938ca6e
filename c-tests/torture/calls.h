/*
 * calls.h - the C library's functions in front of the system calls, to be included once in a program that wants them to
 * fail: the nth call of a kind, or all from the nth on, by whatever thread of the process. (So peers are processes of
 * their own.)
 *
 * A call that fails does nothing, but for close, which on Linux has closed when it says that it failed, and for resets: the
 * socket is dead for both sides then, as it is when the kernel says so.
 */
#ifndef NETCONN_TESTS_TORTURE_CALLS_H
#define NETCONN_TESTS_TORTURE_CALLS_H

#include "../harness.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EACH_CALL(X)                                                                                                   \
    X(SOCKET, socket) X(BIND, bind) X(CONNECT, connect) X(SETSOCKOPT, setsockopt) X(GETSOCKOPT, getsockopt)           \
    X(GETSOCKNAME, getsockname) X(GETPEERNAME, getpeername) X(FCNTL, fcntl) X(RECV, recv) X(SEND, send)               \
    X(SENDMSG, sendmsg) X(SENDFILE, sendfile) X(PREAD, pread) X(SHUTDOWN, shutdown) X(CLOSE, close) X(EPOLL_CREATE, epoll_create1) X(EPOLL_CTL, epoll_ctl)   \
    X(EPOLL_WAIT, epoll_wait) X(EVENTFD, eventfd) X(TIMERFD_CREATE, timerfd_create) X(TIMERFD_SETTIME, timerfd_settime) \
    X(OPEN, open64) X(READ, read) X(GETADDRINFO, getaddrinfo) X(PTHREAD_CREATE, pthread_create)

#define X(id, name) id,
enum call { EACH_CALL(X) CALLS };
#undef X
#define X(id, name) #name,
static const char *const call_names[] = {EACH_CALL(X)};
#undef X

static struct {
    bool armed;
    enum call call;
    int error; /* an errno; of getaddrinfo a status */
    int nth;
    bool from_then_on;
    int seen, hits;
} misfortune;

static inline void arm(enum call call, int error, int nth, bool from_then_on) {
    misfortune.call = call;
    misfortune.error = error;
    misfortune.nth = nth;
    misfortune.from_then_on = from_then_on;
    misfortune.seen = misfortune.hits = 0;
    __atomic_store_n(&misfortune.armed, true, __ATOMIC_SEQ_CST);
}
/* Whether any call has failed. */
static inline bool disarm(void) {
    __atomic_store_n(&misfortune.armed, false, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&misfortune.hits, __ATOMIC_SEQ_CST) > 0;
}

static bool fails(enum call call) {
    if (!__atomic_load_n(&misfortune.armed, __ATOMIC_SEQ_CST) || call != misfortune.call) return false;
    int number = __atomic_add_fetch(&misfortune.seen, 1, __ATOMIC_SEQ_CST);
    if (number != misfortune.nth && !(misfortune.from_then_on && number > misfortune.nth)) return false;
    __atomic_add_fetch(&misfortune.hits, 1, __ATOMIC_SEQ_CST);
    errno = misfortune.error;
    return true;
}

int socket(int domain, int type, int protocol) {
    return fails(SOCKET) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}
int bind(int fd, const struct sockaddr *addr, socklen_t len) {
    return fails(BIND) ? -1 : (int)syscall(SYS_bind, fd, addr, len);
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
int getsockname(int fd, struct sockaddr *addr, socklen_t *len) {
    return fails(GETSOCKNAME) ? -1 : (int)syscall(SYS_getsockname, fd, addr, len);
}
int getpeername(int fd, struct sockaddr *addr, socklen_t *len) {
    return fails(GETPEERNAME) ? -1 : (int)syscall(SYS_getpeername, fd, addr, len);
}
int fcntl(int fd, int command, ...) {
    va_list args;
    va_start(args, command);
    long arg = va_arg(args, long);
    va_end(args);
    return fails(FCNTL) ? -1 : (int)syscall(SYS_fcntl, fd, command, arg);
}
/* Of a call on a stream. */
static bool fails_on(enum call call, int fd) {
    if (!fails(call)) return false;
    if (misfortune.error == EPIPE || misfortune.error == ECONNRESET) syscall(SYS_shutdown, fd, SHUT_RDWR);
    errno = misfortune.error;
    return true;
}
ssize_t recv(int fd, void *buf, size_t len, int flags) {
    return fails_on(RECV, fd) ? -1 : syscall(SYS_recvfrom, fd, buf, len, flags, NULL, NULL);
}
ssize_t send(int fd, const void *buf, size_t len, int flags) {
    return fails_on(SEND, fd) ? -1 : syscall(SYS_sendto, fd, buf, len, flags, NULL, 0);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    return fails_on(SENDMSG, fd) ? -1 : syscall(SYS_sendmsg, fd, message, flags);
}
ssize_t sendfile(int fd, int file, off_t *offset, size_t count) {
    return fails_on(SENDFILE, fd) ? -1 : syscall(SYS_sendfile, fd, file, offset, count);
}
ssize_t pread(int fd, void *buf, size_t len, off_t offset) {
    return fails(PREAD) ? -1 : syscall(SYS_pread64, fd, buf, len, offset);
}
int shutdown(int fd, int how) { return fails(SHUTDOWN) ? -1 : (int)syscall(SYS_shutdown, fd, how); }
int close(int fd) {
    bool failing = fails(CLOSE);
    int result = (int)syscall(SYS_close, fd);
    if (!failing) return result;
    errno = misfortune.error;
    return -1;
}
int epoll_create1(int flags) { return fails(EPOLL_CREATE) ? -1 : (int)syscall(SYS_epoll_create1, flags); }
int epoll_ctl(int set, int operation, int fd, struct epoll_event *event) {
    return fails(EPOLL_CTL) ? -1 : (int)syscall(SYS_epoll_ctl, set, operation, fd, event);
}
int epoll_wait(int set, struct epoll_event *events, int most, int timeout) {
    return fails(EPOLL_WAIT) ? -1 : (int)syscall(SYS_epoll_pwait, set, events, most, timeout, NULL, 8);
}
int eventfd(unsigned int count, int flags) { return fails(EVENTFD) ? -1 : (int)syscall(SYS_eventfd2, count, flags); }
int timerfd_create(clockid_t clock, int flags) { return fails(TIMERFD_CREATE) ? -1 : (int)syscall(SYS_timerfd_create, clock, flags); }
int timerfd_settime(int fd, int flags, const struct itimerspec *to, struct itimerspec *from) {
    return fails(TIMERFD_SETTIME) ? -1 : (int)syscall(SYS_timerfd_settime, fd, flags, to, from);
}
int open64(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    int mode = va_arg(args, int);
    va_end(args);
    return fails(OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
ssize_t read(int fd, void *buf, size_t len) { return fails(READ) ? -1 : syscall(SYS_read, fd, buf, len); }

/* Those that are not the kernel's. The real ones are found past ours. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (fails(GETADDRINFO)) {
        errno = EMFILE; /* for EAI_SYSTEM */
        return misfortune.error;
    }
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(host, service, hints, found);
}
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *arg) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (fails(PTHREAD_CREATE)) return misfortune.error;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, start, arg);
}

#endif
