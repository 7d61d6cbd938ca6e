/*
 * Each system call of a fetch over HTTP and HTTPS made to fail in turn, with each errno that it may have: the fetch goes
 * through, or there is one clear error; no crash, no hang, no descriptor and no memory left.
 */
#include "calls.h"
#include "fetch.h"

#include "../support/heap.h"
#include "dns_cares.h"
#include "netconn.h"
#include "fds.h"

/* ---- What may happen --------------------------------------------------------------------------------------------------- */

/*
 * `harmless`: the connection does not notice. Not EBADF for fcntl: the debug library's own runtime asks it whether a
 * descriptor that is being closed is open, and aborts at that answer. Nor what the kernel never says of a call that does not
 * block (EINTR of eventfd's write).
 */
struct fault {
    enum call call;
    int errors[14];
    int harmless[4];
};
static const struct fault faults[] = {
    {SOCKET, {EMFILE, ENFILE, ENOMEM, ENOBUFS, EACCES, EAFNOSUPPORT, EPERM}, {0}},
    {BIND, {EADDRINUSE, EADDRNOTAVAIL, EACCES, ENOMEM, ENOBUFS}, {0}},
    {CONNECT, {ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL, ECONNREFUSED, ETIMEDOUT, EACCES, EPERM, EAGAIN, ENOBUFS, ENOMEM, ECONNABORTED, EINTR}, {EINTR}},
    {SETSOCKOPT, {ENOMEM, ENOBUFS, EINVAL, ENOPROTOOPT}, {0}},
    {GETSOCKOPT, {ENOMEM, ENOBUFS, EINVAL}, {0}},
    {GETSOCKNAME, {ENOBUFS, ENOMEM}, {0}},
    {GETPEERNAME, {ENOBUFS, ENOTCONN}, {0}},
    {FCNTL, {ENOLCK, EPERM}, {0}},
    {RECV, {ECONNRESET, ENOMEM, ENOBUFS, EIO, ETIMEDOUT, ECONNREFUSED, EHOSTUNREACH, ECONNABORTED, EINTR, EAGAIN}, {EINTR, EAGAIN}},
    {SEND, {EPIPE, ECONNRESET, ENOBUFS, ENOMEM, EIO, ENETUNREACH, EHOSTUNREACH, ETIMEDOUT, EPERM, EACCES, EINTR, EAGAIN}, {EINTR, EAGAIN}},
    {SENDMSG, {EPIPE, ECONNRESET, ENOBUFS, ENOMEM, EIO, EINTR, EAGAIN}, {EINTR, EAGAIN}},
    {SENDFILE, {EPIPE, ECONNRESET, ENOBUFS, ENOMEM, EIO, EINTR, EAGAIN, EINVAL, ENOSYS}, {EINTR, EAGAIN, EINVAL, ENOSYS}},
    {PREAD, {EIO, ENOMEM, EINTR}, {EINTR}},
    {SHUTDOWN, {ENOBUFS, ENOTCONN}, {0}},
    {CLOSE, {EIO, EINTR, ENOSPC}, {EIO, EINTR, ENOSPC}},
    {EPOLL_CREATE, {EMFILE, ENFILE, ENOMEM}, {0}},
    {EPOLL_CTL, {ENOMEM}, {0}},
    {EPOLL_WAIT, {EINTR, EINVAL, ENOMEM}, {EINTR}},
    {EVENTFD, {EMFILE, ENFILE, ENOMEM, ENODEV}, {0}},
    {TIMERFD_CREATE, {EMFILE, ENFILE, ENOMEM, ENODEV}, {0}},
    {TIMERFD_SETTIME, {ENOMEM}, {0}},
    {OPEN, {EMFILE, ENFILE, EACCES, ENOENT, EIO, ENOMEM, EINTR}, {EINTR}},
    {READ, {EIO, ENOMEM, EINTR}, {EINTR}},
    {GETADDRINFO, {EAI_AGAIN, EAI_FAIL, EAI_MEMORY, EAI_NONAME, EAI_SYSTEM}, {0}},
    {PTHREAD_CREATE, {EAGAIN, EPERM, ENOMEM}, {0}},
};

static bool is_harmless(const struct fault *fault, int error) {
    for (size_t i = 0; i < sizeof fault->harmless / sizeof fault->harmless[0]; i++)
        if (fault->harmless[i] == error) return true;
    return false;
}

/* ---- What is said of it -------------------------------------------------------------------------------------------------- */

#define TELL(fetch, text)                                                                                              \
    FAIL("%s number %d failed with \"%s\": %s (%s: kind %d, errno %d \"%s\", \"%s\"; %zu bytes sent, %zu got)", call_names[misfortune.call], \
         misfortune.nth, netconn_strerror(misfortune.error), text, (fetch)->of ? (fetch)->of : "nothing", (fetch)->kind, (fetch)->error, \
         netconn_strerror((fetch)->error), (fetch)->message, (fetch)->sent, (fetch)->got)

static bool is_reset(int error) { return error == EPIPE || error == ECONNRESET; }

/* The errno that happened. */
static bool fits(const struct fetch *fetch) {
    if (fetch->error == misfortune.error) return true;
    if (misfortune.call == PTHREAD_CREATE) return fetch->error == EAI_SYSTEM; /* the resolver has none to look up with */
    return is_reset(misfortune.error) && is_reset(fetch->error); /* whichever call finds it first */
}

static bool is_resource(int error) { return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS; }

static enum conn_error kind_of(const struct fetch *fetch) {
    switch (misfortune.call) {
    case GETADDRINFO:
        return misfortune.error == EAI_MEMORY ? CONN_ERR_RESOURCE : CONN_ERR_RESOLVE;
    case PTHREAD_CREATE:
        return CONN_ERR_RESOLVE;
    default:
        if (is_resource(fetch->error)) return CONN_ERR_RESOURCE;
    }
    bool in_handshake = fetch->secure && fetch->ready < (fetch->way == STARTTLS ? 2 : 1) && fetch->rounds == 0;
    bool of_stream = misfortune.call == RECV || misfortune.call == SEND || misfortune.call == SENDMSG || misfortune.call == SENDFILE ||
                     misfortune.call == SHUTDOWN;
    if (!of_stream) return CONN_ERR_CONNECT;
    return in_handshake && fetch->error == ECONNRESET ? CONN_ERR_TLS : CONN_ERR_IO;
}

static void judge(const struct fetch *fetch, bool hit, bool harmless) {
    if (fetch->good) return;
    if (!hit) TELL(fetch, "it was not even called, and the fetch failed");
    if (harmless) TELL(fetch, "that does no harm");
    if (!fits(fetch)) TELL(fetch, "not the error that happened");
    if (strcmp(fetch->of, "on_error") != 0) return;
    enum conn_error kind = kind_of(fetch);
    /* A pool's second connection may be the first one again, or a new one in its handshake. */
    bool either = fetch->rounds > 0 && fetch->ready == 0 && is_reset(fetch->error) && fetch->kind == CONN_ERR_TLS;
    if (fetch->kind != kind && !either) TELL(fetch, "not the kind that it is");
    /* Whom it is about, and what the system said. */
    if (!strstr(fetch->message, "localhost") && !strstr(fetch->message, "127.0.0.1")) TELL(fetch, "the message names nobody");
    int of_system = misfortune.call == PTHREAD_CREATE ? misfortune.error : EMFILE; /* see calls.h */
    const char *what = fetch->error == EAI_SYSTEM ? strerror(of_system) : netconn_strerror(fetch->error);
    if (fetch->kind != CONN_ERR_TLS && !strstr(fetch->message, what)) TELL(fetch, "the message does not say what");
}

/* ---- The torture ------------------------------------------------------------------------------------------------------- */

/* How many times the call would have been made, had none failed, is not known before: n grows until none is hit. */
static int suffer(struct fetch *life, const struct fault *fault, int error, bool from_then_on, int fds) {
    for (int n = 1;; n++) {
        CHECK_CMP(n, <, 1000);
        dns_shutdown(); /* the name is looked up anew */
        arm(fault->call, error, n, from_then_on);
        fetch(life);
        bool hit = disarm();
        judge(life, hit, is_harmless(fault, error));
        dns_shutdown();
        wait_for_fds(fds);
        if (!hit) return n - 1;
    }
}

static struct fetch begin_torture(enum way way) {
    bool tls = is_tls(way);
    if (tls) NEEDS_TLS();
    struct fetch life = {.way = way, .port = fetch_server(way), .ca = tls ? cert(CERT_CA) : NULL, .file = fetch_file()};
    /* What is made once in a process is made. */
    CHECK(fetch(&life));
    CHECK(fetch(&life));
    dns_shutdown();
    return life;
}

static void each_call_fails_once(enum way way) {
    TEST_LIMIT(250);
    struct fetch life = begin_torture(way);
    int fds = fd_count();
    long heap = 0;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        const struct fault *fault = &faults[i];
        /* The loop tries again after a second: not in every way. */
        if (fault->call == EPOLL_CTL && way != PLAIN && way != TLS13) continue;
        int met = 0;
        for (int j = 0; fault->errors[j] && j < small(14, 1); j++) met += suffer(&life, fault, fault->errors[j], false, fds);
        bool of_files = fault->call == OPEN || fault->call == READ || fault->call == PREAD, of_hosts = fault->call == TIMERFD_CREATE || fault->call == TIMERFD_SETTIME;
        bool expected = of_files ? life.ca != NULL : of_hosts ? way == EMBEDDED : fault->call == SENDMSG || fault->call == SENDFILE ? life.ca == NULL
                        : fault->call == SHUTDOWN ? !is_pooled(way) : true;
        if (!met && expected) FAIL("%s was never called: nothing was tested", call_names[fault->call]);
        if (i == 0) heap = heap_in_use();
    }
    /*
     * A thread keeps a spare buffer for what it copied, and a list of at most 1,024 TLS streams, which drops those that are
     * gone as others come.
     */
    CHECK_HEAP(heap, 64 * 1024 + (life.ca ? 48 * 1024 : 0));
}

/* Out of something for good: where it was needed once it is needed again. */
static void a_call_fails_from_some_time_on(enum way way) {
    TEST_LIMIT(250);
    /*
     * Not epoll_ctl, which the loop tries again from time to time, as time-outs allow; not epoll_wait, whose failure ends each
     * run of the loop.
     */
    static const struct fault lasting[] = {
        {SOCKET, {EMFILE, ENFILE, ENOBUFS}, {0}},
        {CONNECT, {ECONNREFUSED, ENETUNREACH, EADDRNOTAVAIL}, {0}},
        {GETSOCKOPT, {ENOBUFS}, {0}},
        {SETSOCKOPT, {ENOMEM}, {0}},
        {FCNTL, {EPERM}, {0}},
        {RECV, {ECONNRESET, ENOMEM}, {0}},
        {SEND, {ENOBUFS, EPIPE}, {0}},
        {SENDMSG, {ENOBUFS}, {0}},
        {SHUTDOWN, {ENOTCONN}, {0}},
        {CLOSE, {EIO, EINTR}, {EIO, EINTR}},
        {EPOLL_CREATE, {EMFILE}, {0}},
        {EVENTFD, {EMFILE}, {0}},
        {OPEN, {EMFILE, EACCES}, {0}},
        {READ, {EIO}, {0}},
        {GETADDRINFO, {EAI_AGAIN, EAI_MEMORY}, {0}},
        {PTHREAD_CREATE, {EAGAIN}, {0}},
    };
    struct fetch life = begin_torture(way);
    int fds = fd_count();
    for (size_t i = 0; i < sizeof lasting / sizeof lasting[0]; i++)
        for (int j = 0; lasting[i].errors[j] && j < small(14, 1); j++) suffer(&life, &lasting[i], lasting[i].errors[j], true, fds);
}

TEST(each_call_fails_once_plain) { each_call_fails_once(PLAIN); }
TEST(each_call_fails_once_tls12) { each_call_fails_once(TLS12); }
TEST(each_call_fails_once_tls13) { each_call_fails_once(TLS13); }
TEST(each_call_fails_once_starttls) { each_call_fails_once(STARTTLS); }
TEST(each_call_fails_once_in_another_loop) { each_call_fails_once(EMBEDDED); }
TEST(each_call_fails_once_in_a_pool) { each_call_fails_once(POOLED); }
TEST(each_call_fails_once_in_a_tls_pool) { each_call_fails_once(POOLED_TLS); }


TEST(a_call_fails_from_some_time_on_plain) { a_call_fails_from_some_time_on(PLAIN); }
TEST(a_call_fails_from_some_time_on_tls12) { a_call_fails_from_some_time_on(TLS12); }
TEST(a_call_fails_from_some_time_on_tls13) { a_call_fails_from_some_time_on(TLS13); }
TEST(a_call_fails_from_some_time_on_starttls) { a_call_fails_from_some_time_on(STARTTLS); }
TEST(a_call_fails_from_some_time_on_in_another_loop) { a_call_fails_from_some_time_on(EMBEDDED); }
TEST(a_call_fails_from_some_time_on_in_a_pool) { a_call_fails_from_some_time_on(POOLED); }
TEST(a_call_fails_from_some_time_on_in_a_tls_pool) { a_call_fails_from_some_time_on(POOLED_TLS); }

HEAP_TEST_MAIN
