/*
 * Large allocations fail, those whose size a program or a peer has a say in: there is an ENOMEM for each, and everything else
 * goes on. (Small ones of a fixed size end the process, as everywhere in Rust.) malloc goes through functions of this program;
 * under a checker, which has its own, nothing fails and the loads run as they are.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/heap.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- The allocator ------------------------------------------------------------------------------------------------------- */

/* On this thread: the nth allocation of at least so many bytes fails; 0: each. */
static __thread size_t large;
static __thread int nth, seen, failed;

#ifndef __SANITIZE_ADDRESS__
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t size);

static bool fails(size_t size) {
    if (large == 0 || size < large) return false;
    seen++;
    if (nth > 0 && seen != nth) return false;
    failed++;
    errno = ENOMEM;
    return true;
}
void *malloc(size_t size) { return fails(size) ? NULL : __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return fails(n * size) ? NULL : __libc_calloc(n, size); }
void *realloc(void *memory, size_t size) { return fails(size) ? NULL : __libc_realloc(memory, size); }
#endif

#define CAN_FAIL heap_counts()

static void arm(size_t size, int number) {
    nth = number;
    seen = failed = 0;
    large = size;
}
static int disarm(void) {
    large = 0;
    return failed;
}

/* ---- The loop ------------------------------------------------------------------------------------------------------------ */

struct post {
    int number;
    bool taken;
};
static int next_post;

static void run_post(void *arg) {
    struct post *post = arg;
    CHECK(post->taken);
    CHECK_CMP(post->number, >=, next_post); /* in order, those that were taken */
    next_post = post->number + 1;
    post->taken = false;
}

TEST(posts_without_room) {
    enum { POSTS = 20000 };
    struct ev_loop *loop = test_loop();
    struct post *posts = alloc(POSTS * sizeof *posts);
    int refused = 0;
    arm(64 * 1024, 0);
    for (int i = 0; i < POSTS; i++) {
        posts[i].number = i;
        posts[i].taken = evloop_post(loop, run_post, &posts[i]) == 0;
        if (posts[i].taken) continue;
        CHECK_INT(errno, ENOMEM);
        refused++;
    }
    int hits = disarm();
    CHECK_CMP(hits, >=, CAN_FAIL);
    CHECK_CMP(refused, >=, CAN_FAIL);
    evloop_run(loop);
    for (int i = 0; i < POSTS; i++) CHECK(!posts[i].taken);
}

static void ignore(int fd, int events, void *arg) { (void)fd, (void)events, (void)arg; }

TEST(descriptors_without_room) {
    struct ev_loop *loop = test_loop();
    int fds[2];
    CHECK_INT(pipe(fds), 0);
    int high = fcntl(fds[0], F_DUPFD_CLOEXEC, 1000);
    CHECK_CMP(high, >=, 1000);
    arm(8 * 1024, 0);
    errno = 0;
    struct evloop_io *io = evloop_io_start(loop, high, EVLOOP_READ, ignore, NULL);
    int hits = disarm();
    if (CAN_FAIL) {
        CHECK_CMP(hits, >, 0);
        CHECK_PTR_NULL(io);
        CHECK_INT(errno, ENOMEM);
        io = evloop_io_start(loop, high, EVLOOP_READ, ignore, NULL); /* and then it goes */
    }
    CHECK_PTR_NOT_NULL(io);
    evloop_io_free(io);
    close(high);
    close(fds[0]);
    close(fds[1]);
}

/* ---- Connections --------------------------------------------------------------------------------------------------------- */

/* What a peer does not take waits in a buffer that grows: the nth growth fails, and the connection with it. */
BOTH_VERSIONS(unsent_bytes_without_room) {
    enum { SIZE = 1 << 20 };
    unsigned char *bytes = alloc(SIZE);
    int failures = 0;
    for (int number = 1, hits = 1; hits > 0; number++) {
        struct ev_loop *loop = evloop_new();
        struct client *client = ready_client(loop, version, TLS_PEER(version, .serve = serve_stall, .receive_buffer = 4096));
        arm(20 * 1024, number);
        ssize_t n = 1;
        for (int i = 0; i < 64 && n > 0; i++) n = conn_try_write(client->c, bytes, SIZE);
        int error = errno;
        hits = disarm();
        CHECK_CMP(n, <, 0); /* the kernel's buffers are full at last */
        if (error != EAGAIN) {
            CHECK_CMP(hits, >, 0);
            CHECK_INT(conn_get_state(client->c), CONN_ERROR);
            RUN_UNTIL(loop, client->errors == 1);
            CHECK(client->error == ENOMEM ? client->kind == CONN_ERR_RESOURCE : client->kind == CONN_ERR_TLS);
            CHECK_INT(client->error, error);
            failures++;
        }
        conn_abort(client->c);
        client->c = NULL;
        evloop_free(loop);
        if (number > 40) FAIL("%d growths, and still one more", number);
    }
    CHECK_CMP(failures, >=, CAN_FAIL);
}

BOTH_VERSIONS(a_file_without_room) {
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, version, TLS_PEER(version, .serve = serve_sink));
    FILE *file = tmpfile();
    CHECK_PTR_NOT_NULL(file);
    for (int i = 0; i < 3000; i++) CHECK_CMP(fprintf(file, "this is line %d of a file\n", i), >, 0);
    CHECK_INT(fflush(file), 0);
    off_t offset = 0;
    arm(32 * 1024, 0);
    errno = 0;
    ssize_t n = conn_try_sendfile(client->c, fileno(file), &offset, 60000);
    int error = errno;
    int hits = disarm();
    if (CAN_FAIL) {
        CHECK_CMP(hits, >, 0);
        CHECK_INT(n, -1);
        CHECK_INT(error, ENOMEM);
        CHECK_INT(offset, 0);
    }
    /* No harm was done to it. */
    CHECK_INT(conn_get_state(client->c), CONN_READY);
    offset = 0;
    CHECK_CMP(conn_try_sendfile(client->c, fileno(file), &offset, 60000), >, 0);
    fclose(file);
}

TEST(early_data_without_room) {
    NEEDS_TLS();
    enum { SIZE = 200000 };
    struct conn_options o = tls_options();
    o.early_data = alloc(SIZE);
    o.early_data_len = SIZE;
    struct ev_loop *loop = test_loop();
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .serve = serve_sink);
    arm(100 * 1024, 0);
    errno = 0;
    struct net_conn *c = conn_new_with(loop, "127.0.0.1", peer_port(peer), &o, NULL, NULL, NULL);
    int error = errno;
    disarm();
    if (CAN_FAIL) {
        CHECK_PTR_NULL(c);
        CHECK_INT(error, ENOMEM);
    }
    conn_close(c);
    client_close(client_open(loop, "127.0.0.1", peer_port(peer), &o));
}

TEST_MAIN
