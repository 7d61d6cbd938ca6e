/*
 * What belongs to the program, before and after each call of whole connections that succeed and fail: the dispositions and masks of
 * its signals, errno, OpenSSL's errors and marks, the locale, the environment, limits, umask and directory.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "dns_cares.h"
#include "netconn.h"
#include "pconn.h"

#include <locale.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- What is looked at -------------------------------------------------------------------------------------------------- */

extern char **environ;

struct state {
    struct sigaction actions[NSIG];
    sigset_t mask, pending;
    stack_t stack;
    struct rlimit limits[RLIM_NLIMITS];
    mode_t mode;
    char locale[256], directory[512];
    locale_t thread_locale;
    char **environment;
    char *variables[512];
    int nice;
};

static bool queue_is_ours; /* the program and the library share OpenSSL's queue */

static struct state look(void) {
    struct state s;
    memset(&s, 0, sizeof s);
    for (int n = 1; n < NSIG; n++) (void)sigaction(n, NULL, &s.actions[n]);
    pthread_sigmask(SIG_SETMASK, NULL, &s.mask);
    sigpending(&s.pending);
    sigaltstack(NULL, &s.stack);
    for (int i = 0; i < RLIM_NLIMITS; i++) (void)getrlimit((__rlimit_resource_t)i, &s.limits[i]);
    s.mode = umask(0);
    umask(s.mode);
    snprintf(s.locale, sizeof s.locale, "%s", setlocale(LC_ALL, NULL));
    s.thread_locale = uselocale((locale_t)0);
    CHECK_PTR_NOT_NULL(getcwd(s.directory, sizeof s.directory));
    s.environment = environ;
    for (int i = 0; environ[i] && i < 511; i++) s.variables[i] = environ[i];
    s.nice = getpriority(PRIO_PROCESS, 0);
    return s;
}

static void check_same(const char *where, const struct state *a, const struct state *b) {
    for (int n = 1; n < NSIG; n++) {
        const struct sigaction *x = &a->actions[n], *y = &b->actions[n];
        /* The C library has a flag of its own in each disposition that was ever set. */
        bool same = x->sa_handler == y->sa_handler && ((x->sa_flags ^ y->sa_flags) & ~0x04000000) == 0;
        for (int m = 1; m < NSIG; m++) same = same && sigismember(&x->sa_mask, m) == sigismember(&y->sa_mask, m);
        if (!same) FAIL("%s: the disposition of signal %d", where, n);
    }
    for (int n = 1; n < NSIG; n++) {
        if (sigismember(&a->mask, n) != sigismember(&b->mask, n)) FAIL("%s: signal %d in the mask", where, n);
        if (sigismember(&a->pending, n) != sigismember(&b->pending, n)) FAIL("%s: signal %d pending", where, n);
    }
    if (a->stack.ss_sp != b->stack.ss_sp || a->stack.ss_size != b->stack.ss_size || a->stack.ss_flags != b->stack.ss_flags) FAIL("%s: the signal stack", where);
    if (memcmp(a->limits, b->limits, sizeof a->limits) != 0) FAIL("%s: a resource limit", where);
    if (a->mode != b->mode) FAIL("%s: the umask", where);
    if (strcmp(a->locale, b->locale) != 0) FAIL("%s: the locale was %s, is %s", where, a->locale, b->locale);
    if (a->thread_locale != b->thread_locale) FAIL("%s: the thread's locale", where);
    if (strcmp(a->directory, b->directory) != 0) FAIL("%s: the directory", where);
    if (a->environment != b->environment || memcmp(a->variables, b->variables, sizeof a->variables) != 0)
        FAIL("%s: the environment", where);
    if (a->nice != b->nice) FAIL("%s: the priority", where);
}

/* ---- OpenSSL's queue: as full as it gets, with a mark on its last entry --------------------------------------------------- */

enum { ENTRIES = 12 };

static void leave_errors(void) {
    ERR_clear_error();
    for (int i = 0; i < ENTRIES; i++) {
        if (i % 4 == 3) ERR_put_error(ERR_LIB_SYS, 0, EINTR, "host.c", i);
        else if (i % 2) ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
        else ERR_raise_data(ERR_LIB_USER, i + 1, "the program's number %d", i);
    }
    CHECK_INT(ERR_set_mark(), 1);
    CHECK_INT(ERR_set_mark(), 1);
}

static void errors_are_ours(const char *where) {
    /* What the library had raised above the mark, and the library alone, would go here: nothing does. */
    unsigned long newest = ERR_peek_last_error();
    for (int i = 0; i < 2; i++)
        if (ERR_pop_to_mark() != 1) FAIL("%s: lost the mark", where);
    if (ERR_peek_last_error() != newest) FAIL("%s: left an error above the mark", where);
    for (int i = 0; i < ENTRIES; i++) {
        const char *file, *data;
        int line, flags;
        unsigned long error = ERR_get_error_all(&file, &line, NULL, &data, &flags);
        if (i % 4 == 3) {
            if (!ERR_SYSTEM_ERROR(error) || ERR_GET_REASON(error) != EINTR) FAIL("%s: entry %d is %lx", where, i, error);
            CHECK_INT(line, i);
        } else if (i % 2) {
            if (ERR_GET_LIB(error) != ERR_LIB_SSL || ERR_GET_REASON(error) != SSL_R_BAD_LENGTH) FAIL("%s: entry %d is %lx", where, i, error);
            CHECK_INT(flags & ERR_TXT_STRING, 0);
        } else {
            char text[64];
            snprintf(text, sizeof text, "the program's number %d", i);
            if (ERR_GET_LIB(error) != ERR_LIB_USER || ERR_GET_REASON(error) != i + 1) FAIL("%s: entry %d is %lx", where, i, error);
            CHECK_STR(data, text);
        }
        CHECK_CONTAINS(file, i % 4 == 3 ? "host.c" : "untouched.c");
    }
    if (ERR_peek_error() != 0) FAIL("%s: left an error: %s", where, ERR_reason_error_string(ERR_peek_error()));
}

/* ---- One call -------------------------------------------------------------------------------------------------------------- */

static struct state before;

static void begin(void) {
    before = look();
    if (queue_is_ours) leave_errors();
    errno = 4711;
}

static void end(const char *where, bool succeeded) {
    if (succeeded && errno != 4711) FAIL("%s: errno is %d (%s)", where, errno, strerror(errno));
    if (queue_is_ours) errors_are_ours(where);
    struct state after = look();
    check_same(where, &before, &after);
}

/* A statement that succeeds. */
#define OK(statement)                                                                                                  \
    do {                                                                                                               \
        begin();                                                                                                       \
        statement;                                                                                                     \
        end(#statement, true);                                                                                         \
    } while (0)
/* One that may fail, which is another check's. */
#define ANY(statement)                                                                                                 \
    do {                                                                                                               \
        begin();                                                                                                       \
        statement;                                                                                                     \
        end(#statement, false);                                                                                        \
    } while (0)

static void *keep_result;
static volatile long long result;

static void set_up(void) {
    queue_is_ours = netconn_openssl() && strstr(netconn_openssl(), "(system)") != NULL;
    /* Something of each that is not the default. */
    CHECK_PTR_NOT_NULL(setlocale(LC_ALL, "C"));
    umask(037);
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR2);
    sigaddset(&some, SIGRTMIN + 3);
    pthread_sigmask(SIG_BLOCK, &some, NULL);
    raise(SIGUSR2); /* stays pending */
    signal(SIGWINCH, SIG_IGN);
}

static int ready, errors;
static void on_ready(struct net_conn *c, void *arg) {
    (void)c, (void)arg;
    ready++;
}
static void on_error(struct net_conn *c, void *arg) {
    (void)c, (void)arg;
    errors++;
}
static void nothing(void *arg) { (void)arg; }
static void no_io(int fd, int revents, void *arg) { (void)fd, (void)revents, (void)arg; }
static void no_signal(int signum, void *arg) { (void)signum, (void)arg; }
static void no_answer(int status, const struct addrinfo *ai, void *arg) { (void)status, (void)ai, (void)arg; }

/* ---- A whole connection, call by call ------------------------------------------------------------------------------------- */

/* Rounds until the condition holds: each is looked at. */
#define ROUNDS_UNTIL(loop, condition)                                                                                  \
    while (!(condition)) OK(result = evloop_run_once(loop, (int)(slow(10) * 1000)); CHECK(result >= 0))

ALL_TRANSPORTS(every_call_of_a_connections_life) {
    struct peer *peer = peer_of(version, NULL, NULL), *reset = peer_of(version, serve_reset, NULL);
    set_up();
    struct ev_loop *loop = NULL;
    struct net_conn *c = NULL;
    struct conn_options o;
    OK(conn_options_init(&o));
    SocketTLSContext_T context = NULL, server = NULL;
    if (version) {
        const char *ca = cert(CERT_CA), *own = cert(CERT_GOOD), *key = cert(CERT_GOOD_KEY);
        OK(context = netconn_tls_client(ca); CHECK_PTR_NOT_NULL(context));
        OK(server = netconn_tls_server(own, key, NULL); CHECK_PTR_NOT_NULL(server));
        OK(netconn_tls_free(&server));
        ANY(CHECK_PTR_NULL(netconn_tls_client("/nonexistent")));
        const char *garbage = cert("garbage.pem");
        ANY(CHECK_PTR_NULL(netconn_tls_client(garbage)));
        static const char *const protocols[] = {"echo"};
        OK(result = netconn_tls_set_alpn(context, protocols, 1));
        OK(result = conn_set_default_tls(context));
        o.use_tls = true;
    }
    OK(loop = evloop_new());
    OK(c = conn_new_with(loop, "localhost", peer_port(peer), &o, on_ready, on_error, NULL); CHECK_PTR_NOT_NULL(c));
    ANY(CHECK_ERRNO(conn_try_write(c, "x", 1), ENOTCONN));
    ROUNDS_UNTIL(loop, ready || errors);
    CHECK_INT(ready, 1);
    OK(result = conn_get_state(c));
    OK(keep_result = (void *)conn_get_host(c));
    OK(keep_result = (void *)conn_get_alpn(c));
    OK(keep_result = (void *)conn_get_cipher(c));
    OK(keep_result = (void *)conn_get_tls_version(c));
    OK(keep_result = (void *)conn_get_error_msg(c));
    OK(keep_result = (void *)conn_get_timing(c));
    OK(result = conn_get_verify_result(c));
    OK(result = conn_session_reused(c));
    OK(result = conn_pending(c));
    OK(result = conn_get_fd(c));
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    OK(result = conn_local_addr(c, (struct sockaddr *)&address, &len));
    OK(result = conn_peer_addr(c, (struct sockaddr *)&address, &len));
    struct conn_certificate shown = {.size = sizeof shown};
    if (version) OK(CHECK_INT(conn_get_peer_certificate(c, &shown), 0));
    else ANY(CHECK_INT(conn_get_peer_certificate(c, &shown), -1));
    OK(conn_set_data(c, &shown));
    OK(conn_set_readable_callback(c, on_ready, NULL));
    OK(conn_set_writable_callback(c, on_ready, NULL));
    OK(result = evloop_run_once(loop, 0));
    OK(conn_set_writable_callback(c, NULL, NULL));
    OK(conn_set_readable_callback(c, NULL, NULL));
    static char buf[20000];
    struct iovec pieces[] = {{buf, 100}, {buf, 200}};
    OK(CHECK_INT(conn_try_write(c, buf, sizeof buf), sizeof buf));
    OK(CHECK_INT(conn_try_writev(c, pieces, 2), 300));
    size_t got = 0;
    while (got < sizeof buf + 300) {
        ANY(result = conn_try_read(c, buf, sizeof buf));
        if (result > 0) {
            got += (size_t)result;
            continue;
        }
        CHECK_INT(result, -1);
        OK(result = evloop_run_once(loop, 1));
    }
    OK(CHECK_INT(conn_try_read(c, buf, 0), 0));
    ANY(CHECK_ERRNO(conn_try_read(c, buf, 1), EAGAIN));
    ANY(CHECK_ERRNO(conn_try_read(c, NULL, 1), EINVAL));
    OK(CHECK_INT(conn_shutdown(c), 0));
    ANY(CHECK_ERRNO(conn_try_write(c, "x", 1), EPIPE));
    OK(conn_close(c));
    OK(evloop_run(loop));

    /* A reset, with SIGPIPE's default disposition: nothing is raised, and the failure is told. */
    ready = errors = 0;
    OK(c = conn_new_with(loop, "127.0.0.1", peer_port(reset), &o, on_ready, on_error, NULL); CHECK_PTR_NOT_NULL(c));
    ROUNDS_UNTIL(loop, ready || errors);
    ANY(result = conn_try_write(c, "x", 1));
    peer_join(reset);
    for (int i = 0; i < 5; i++) ANY(CHECK_INT(conn_try_write(c, buf, 1000), -1));
    ANY(CHECK_INT(conn_try_writev(c, pieces, 2), -1));
    while (!errors) OK(result = evloop_run_once(loop, 10));
    OK(conn_abort(c));

    /* Failures of each phase. */
    const char *refused = refused_port();
    errors = 0;
    OK(c = conn_new_with(loop, "127.0.0.1", refused, &o, NULL, on_error, NULL); CHECK_PTR_NOT_NULL(c));
    OK(evloop_run(loop));
    OK(conn_close(c));
    OK(c = conn_new_with(loop, "127.0.0.1", "70000", &o, NULL, on_error, NULL); CHECK_PTR_NOT_NULL(c));
    OK(evloop_run(loop));
    OK(conn_close(c));
    OK(c = conn_new_with(loop, "impossible..name", "80", &o, NULL, on_error, NULL); CHECK_PTR_NOT_NULL(c));
    OK(evloop_run(loop));
    OK(conn_close(c));
    ANY(CHECK_PTR_NULL(conn_new(loop, "", NULL, false, NULL, NULL, NULL)));
    CHECK_INT(errors, 3);
    if (version) {
        o.server_name = "elsewhere.example";
        OK(c = conn_new_with(loop, "127.0.0.1", peer_port(peer), &o, NULL, on_error, NULL); CHECK_PTR_NOT_NULL(c));
        OK(evloop_run(loop));
        CHECK_INT(conn_get_error(c), CONN_ERR_CERTIFICATE);
        OK(conn_close(c));
        OK(result = conn_set_default_tls(NULL));
        OK(netconn_tls_free(&context));
    }
    OK(evloop_free(loop));
}

/* ---- All the rest ---------------------------------------------------------------------------------------------------------- */

TEST(every_other_call) {
    struct peer *peer = peer_of(0, NULL, NULL);
    set_up();
    struct ev_loop *loop;
    OK(loop = evloop_new());
    int fds[2];
    tcp_pair(fds);
    struct evloop_io *io;
    OK(io = evloop_io_start(loop, fds[0], EVLOOP_WRITE, no_io, NULL));
    OK(evloop_io_update(io, EVLOOP_READ | EVLOOP_WRITE));
    OK(evloop_io_unref(io));
    OK(evloop_io_ref(io));
    OK(result = evloop_run_once(loop, 0));
    OK(evloop_io_stop(io));
    OK(evloop_io_free(io));
    ANY(CHECK_NULL_ERRNO(evloop_io_start(loop, -1, EVLOOP_READ, no_io, NULL), EBADF));
    struct evloop_timer *timer;
    OK(timer = evloop_timer_start(loop, 0, 0, nothing, NULL));
    OK(evloop_timer_reschedule(timer, 0, 3600));
    OK(evloop_timer_unref(timer));
    OK(result = evloop_run_once(loop, 0));
    OK(evloop_timer_stop(timer));
    OK(evloop_timer_free(timer));
    OK(result = evloop_post(loop, nothing, NULL));
    OK(evloop_wakeup(loop));
    OK(evloop_break(loop));
    OK(evloop_run(loop));
    OK(result = evloop_fd(loop));
    OK(result = evloop_timeout_ms(loop));
    OK(result = (long long)evloop_now(loop));
    OK(result = evloop_after_fork(loop));
    OK(result = evloop_set_attachment(loop, &fds, NULL));
    OK(keep_result = evloop_get_attachment(loop));
    OK(result = dns_init(loop));
    OK(dns_set_cache_ttl(10));
    OK(dns_resolve_async(loop, "localhost", "80", AF_UNSPEC, SOCK_STREAM, 0, no_answer, NULL));
    OK(evloop_run(loop));
    struct dns_request *request;
    OK(request = dns_resolve_start(loop, "no-such-name.invalid", "80", AF_UNSPEC, SOCK_STREAM, 0, no_answer, NULL));
    OK(dns_cancel(request));
    OK(keep_result = (void *)dns_strerror(EAI_AGAIN));
    OK(dns_set_resolver(NULL, NULL, NULL));
    OK(dns_shutdown());
    OK(keep_result = (void *)netconn_version());
    OK(keep_result = (void *)netconn_poller());
    OK(keep_result = (void *)netconn_strerror(EAI_AGAIN));
    OK(keep_result = (void *)netconn_strerror(ENOTCONN));
    OK(netconn_set_log(NULL, NULL));
    struct net_conn *c;
    OK(c = conn_from_fd(loop, fds[0], NULL, on_ready, on_error, NULL); CHECK_PTR_NOT_NULL(c));
    ROUNDS_UNTIL(loop, ready);
    OK(conn_unref(c));
    OK(conn_ref(c));
    OK(result = conn_detach(c));
    ANY(CHECK_NULL_ERRNO(conn_from_fd(loop, -1, NULL, NULL, NULL, NULL), EBADF));
    struct pconn_pool *pool;
    OK(pool = pconn_pool_new(loop));
    for (int i = 0; i < 2; i++) {
        ready = 0;
        OK(c = pconn_acquire(pool, "http", "127.0.0.1", peer_port(peer), false, on_ready, on_error, NULL); CHECK_PTR_NOT_NULL(c));
        ROUNDS_UNTIL(loop, ready);
        OK(pconn_release(pool, c, true));
    }
    OK(result = (long long)pconn_get_idle_count(pool));
    OK(pconn_pool_set_limits(pool, 1, 1, 1));
    OK(pconn_flush_for_host(pool, "127.0.0.1"));
    OK(pconn_shutdown_all(pool));
    OK(pconn_pool_free(pool));
    OK(evloop_free(loop));
    OK(loop = evloop_get_default());
    OK(evloop_destroy_all());
    OK(netconn_cleanup());
    close(fds[0]);
    close(fds[1]);
    CHECK_INT(errors, 0);
}

/* The one that is asked to change a disposition: it comes back. */
TEST(a_watched_signal_is_what_it_was_afterwards) {
    set_up();
    struct ev_loop *loop = evloop_new();
    begin();
    struct evloop_signal *one = evloop_signal_start(loop, SIGUSR1, no_signal, NULL);
    struct evloop_signal *two = evloop_signal_start(loop, SIGUSR1, no_signal, NULL), *pipe = evloop_signal_start(loop, SIGPIPE, no_signal, NULL);
    CHECK(one && two && pipe);
    raise(SIGUSR1);
    CHECK_INT(evloop_run_once(loop, -1), 2);
    evloop_signal_free(one);
    evloop_signal_free(two);
    evloop_signal_free(pipe);
    end("evloop_signal", false);
    evloop_free(loop);
}

/* ---- Locale ------------------------------------------------------------------------------------------------------------------ */

TEST(numbers_and_names_are_the_same_in_every_locale) {
    set_up();
    static const char *const wanted[] = {"de_DE.UTF-8", "tr_TR.UTF-8", "C.UTF-8"};
    int found = 0;
    for (int i = 0; i < 3; i++) {
        if (!setlocale(LC_ALL, wanted[i])) continue;
        found++;
        struct ev_loop *loop = evloop_new();
        struct conn_options o = options();
        struct net_conn *c;
        OK(c = conn_new_with(loop, "I.LOCALHOST.invalid", "80", &o, NULL, NULL, NULL));
        OK(conn_close(c));
        ready = 0;
        OK(c = conn_new_with(loop, "LOCALHOST", refused_port(), &o, NULL, NULL, NULL));
        OK(evloop_run(loop));
        CHECK_INT(conn_get_error(c), CONN_ERR_CONNECT);
        OK(evloop_free(loop));
    }
    CHECK_CMP(found, >=, 1);
}

TEST_MAIN
