/*
 * A host that knows the library at run time only: loader SCENARIO TIMES. Exits with 0 when all was as it should be. With
 * WITH_STATIC the static library is linked in besides.
 */
#include "dns_cares.h"
#include "evloop.h"
#include "net_conn.h"
#include "netconn.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "line %d: %s is not true (%s)\n", __LINE__, #condition, strerror(errno));                  \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- The library, by name -------------------------------------------------------------------------------------------- */

struct library {
    void *handle;
    __typeof__(&netconn_version) version;
    __typeof__(&netconn_openssl) openssl;
    __typeof__(&netconn_cleanup) cleanup;
    __typeof__(&evloop_new) loop_new;
    __typeof__(&evloop_free) loop_free;
    __typeof__(&evloop_run) run;
    __typeof__(&evloop_run_once) run_once;
    __typeof__(&evloop_get_default) get_default;
    __typeof__(&evloop_after_fork) after_fork;
    __typeof__(&conn_from_fd) from_fd;
    __typeof__(&conn_get_state) get_state;
    __typeof__(&conn_try_read) try_read;
    __typeof__(&conn_try_write) try_write;
    __typeof__(&conn_close) close;
    __typeof__(&dns_resolve_start) resolve_start;
    __typeof__(&dns_set_resolver) set_resolver;
};

static struct library load(void) {
    struct library l = {.handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL)};
    if (!l.handle) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
#define FIND(member, name) REQUIRE((*(void **)&l.member = dlsym(l.handle, name)) != NULL)
    FIND(version, "netconn_version");
    FIND(openssl, "netconn_openssl");
    FIND(cleanup, "netconn_cleanup");
    FIND(loop_new, "evloop_new");
    FIND(loop_free, "evloop_free");
    FIND(run, "evloop_run");
    FIND(run_once, "evloop_run_once");
    FIND(get_default, "evloop_get_default");
    FIND(after_fork, "evloop_after_fork");
    FIND(from_fd, "conn_from_fd");
    FIND(get_state, "conn_get_state");
    FIND(try_read, "conn_try_read");
    FIND(try_write, "conn_try_write");
    FIND(close, "conn_close");
    FIND(resolve_start, "dns_resolve_start");
    FIND(set_resolver, "dns_set_resolver");
    return l;
}

static void let_go(struct library *l) { REQUIRE(dlclose(l->handle) == 0); }

static int entries(const char *directory) {
    int n = 0;
    DIR *dir = opendir(directory);
    REQUIRE(dir != NULL);
    while (readdir(dir)) n++;
    closedir(dir);
    return n;
}
static int fds(void) { return entries("/proc/self/fd"); }
static int threads(void) { return entries("/proc/self/task") - 2; }

/* A connection over a socket pair, there and back. */
static void talk(const struct library *l, struct ev_loop *loop) {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    struct net_conn *c = l->from_fd(loop, ends[0], NULL, NULL, NULL, NULL);
    REQUIRE(c != NULL);
    while (l->get_state(c) != CONN_READY) REQUIRE(l->run_once(loop, -1) >= 0);
    char byte = 0;
    REQUIRE(l->try_write(c, "x", 1) == 1);
    REQUIRE(read(ends[1], &byte, 1) == 1 && byte == 'x');
    REQUIRE(write(ends[1], "y", 1) == 1);
    REQUIRE(l->try_read(c, &byte, 1) == 1 && byte == 'y');
    l->close(c);
    l->run(loop);
    close(ends[1]);
}

static int answers;
static void on_answer(int status, const struct addrinfo *ai, void *arg) {
    (void)arg;
    REQUIRE(status == 0 && ai != NULL);
    answers++;
}

static void look_up(const struct library *l, struct ev_loop *loop) {
    int before = answers;
    REQUIRE(l->resolve_start(loop, "localhost", "80", AF_UNSPEC, SOCK_STREAM, 0, on_answer, NULL) != NULL);
    l->run(loop);
    REQUIRE(answers == before + 1);
}

/* ---- Lookups that end when the host says so ----------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int begun, ended;
static int let_lookups_end;

static int stuck(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out, void *arg) {
    (void)host, (void)service, (void)hints, (void)out, (void)arg;
    pthread_mutex_lock(&lock);
    begun++;
    pthread_cond_broadcast(&changed);
    while (!let_lookups_end) pthread_cond_wait(&changed, &lock);
    ended++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return EAI_AGAIN;
}

static void wait_until_begun(int n) {
    pthread_mutex_lock(&lock);
    while (begun < n) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* ---- Scenarios ------------------------------------------------------------------------------------------------------------ */

static void idle(int times) {
    int fds_before = fds(), threads_before = threads();
    for (int i = 0; i < times; i++) {
        struct library l = load();
        REQUIRE(fds() == fds_before && threads() == threads_before);
        REQUIRE(strcmp(l.version(), NETCONN_VERSION) == 0);
        const char *openssl = l.openssl();
        if (i == 0 && openssl && strstr(openssl, "(system)")) {
            /* OpenSSL takes other functions only as long as it has allocated nothing. */
            void *crypto = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_NOLOAD);
            REQUIRE(crypto != NULL);
            int (*set_functions)(void *(*)(size_t, const char *, int), void *(*)(void *, size_t, const char *, int),
                                 void (*)(void *, const char *, int));
            REQUIRE((*(void **)&set_functions = dlsym(crypto, "CRYPTO_set_mem_functions")) != NULL);
            REQUIRE(set_functions(NULL, NULL, NULL) == 1);
            dlclose(crypto);
        }
        let_go(&l);
        REQUIRE(fds() == fds_before && threads() == threads_before);
    }
}

static void cycles(int times, int cleanup) {
    /* The first time on its own: what the C library opens for a lookup stays. */
    int fds_before = 0, threads_before = threads();
    for (int i = 0; i < times; i++) {
        struct library l = load();
        struct ev_loop *loop = i % 2 ? l.get_default() : l.loop_new();
        REQUIRE(loop != NULL);
        talk(&l, loop);
        look_up(&l, loop);
        if (cleanup) l.cleanup();
        else l.loop_free(loop);
        let_go(&l);
        if (i == 0) fds_before = fds();
        REQUIRE(fds() == fds_before);
        if (cleanup) REQUIRE(threads() == threads_before);
    }
}

static void with_stuck_lookups(int times, int cleanup) {
    int fds_before = 0;
    for (int i = 0; i < times; i++) {
        struct library l = load();
        l.set_resolver(stuck, NULL, NULL);
        struct ev_loop *loop = l.loop_new();
        REQUIRE(l.resolve_start(loop, "stuck.test", "80", AF_UNSPEC, SOCK_STREAM, 0, on_answer, NULL) != NULL);
        /* After a cleanup each has a thread of its own; else the fifth waits behind four. */
        wait_until_begun(cleanup || i == 0 ? i + 1 : 1);
        l.loop_free(loop);
        if (cleanup) l.cleanup();
        let_go(&l);
        if (i == 0) fds_before = fds();
        REQUIRE(fds() == fds_before);
    }
    REQUIRE(answers == 0 && ended == 0);
    /* They come back into a library that nobody has open. */
    pthread_mutex_lock(&lock);
    let_lookups_end = 1;
    pthread_cond_broadcast(&changed);
    while (ended < begun) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    struct library l = load();
    l.set_resolver(NULL, NULL, NULL);
    struct ev_loop *loop = l.loop_new();
    look_up(&l, loop);
    l.loop_free(loop);
    l.cleanup();
    let_go(&l);
}

static void fork_afterwards(int times) {
    struct library l = load();
    struct ev_loop *loop = l.get_default();
    look_up(&l, loop);
    let_go(&l);
    for (int i = 0; i < times; i++) {
        pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            alarm(60);
            struct library own = load();
            REQUIRE(own.run_once(loop, 0) == -1 && errno == EPERM);
            REQUIRE(own.after_fork(loop) == 0);
            talk(&own, loop);
            look_up(&own, loop);
            let_go(&own);
            raise(SIGKILL);
        }
        int status;
        REQUIRE(waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    l = load();
    l.cleanup();
    let_go(&l);
}

static void *come_and_go(void *arg) {
    for (int i = 0; i < *(int *)arg; i++) {
        struct library l = load();
        struct ev_loop *loop = l.loop_new();
        REQUIRE(loop != NULL);
        talk(&l, loop);
        l.loop_free(loop);
        let_go(&l);
    }
    return NULL;
}

static void from_threads(int times) {
    pthread_t all[4];
    int fds_before = fds();
    for (int i = 0; i < 4; i++) REQUIRE(pthread_create(&all[i], NULL, come_and_go, &times) == 0);
    for (int i = 0; i < 4; i++) pthread_join(all[i], NULL);
    REQUIRE(fds() == fds_before);
    struct library l = load();
    l.cleanup();
    let_go(&l);
}

#ifdef WITH_STATIC
/* Two copies, which know nothing of each other. */
static void both(int times) {
    struct library own = {.loop_new = evloop_new, .loop_free = evloop_free, .run = evloop_run, .run_once = evloop_run_once,
                          .from_fd = conn_from_fd, .get_state = conn_get_state, .try_read = conn_try_read,
                          .try_write = conn_try_write, .close = conn_close, .resolve_start = dns_resolve_start};
    struct ev_loop *loop = evloop_get_default();
    int fds_before = 0;
    for (int i = 0; i < times; i++) {
        struct library l = load();
        REQUIRE(l.loop_new != evloop_new);
        struct ev_loop *other = l.get_default();
        REQUIRE(other != loop);
        talk(&l, other);
        talk(&own, loop);
        look_up(&l, other);
        look_up(&own, loop);
        l.cleanup();
        talk(&own, loop);
        let_go(&l);
        if (i == 0) fds_before = fds();
        REQUIRE(fds() == fds_before);
    }
    netconn_cleanup();
}
#endif

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    int times = argc > 2 ? atoi(argv[2]) : 3;
    if (strcmp(name, "idle") == 0) idle(times);
    else if (strcmp(name, "cycles") == 0) cycles(times, 0);
    else if (strcmp(name, "cycles-with-cleanup") == 0) cycles(times, 1);
    else if (strcmp(name, "stuck") == 0) with_stuck_lookups(times, 0);
    else if (strcmp(name, "stuck-with-cleanup") == 0) with_stuck_lookups(times, 1);
    else if (strcmp(name, "fork") == 0) fork_afterwards(times);
    else if (strcmp(name, "threads") == 0) from_threads(times);
#ifdef WITH_STATIC
    else if (strcmp(name, "both") == 0) both(times);
#endif
    else return 2;
    return 0;
}
