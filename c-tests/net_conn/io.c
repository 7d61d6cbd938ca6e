/* Bytes: reading, writing, the two callbacks, and each way a connection ends. Every test on plain TCP and on both TLS versions. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <netinet/in.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

static struct client *client_of(int version, peer_serve serve, void *arg) {
    return ready_client(test_loop(), version, peer_of(version, serve, arg));
}

static void count(struct net_conn *c, void *counter) {
    (void)c;
    ++*(int *)counter;
}

/* ---- Reading --------------------------------------------------------------------------------------------------------- */

static void send_pattern(struct peer_conn *pc) {
    peer_write_pattern(pc, *(uint64_t *)pc->arg); /* a client that has seen enough may have left */
}

ALL_TRANSPORTS(megabytes_in_reads_of_every_size) {
    uint64_t size = (uint64_t)small(8 << 20, 1 << 19);
    struct client *client = client_of(version, send_pattern, &size);
    static const size_t sizes[] = {1, 7, 100, 16384, 16385, 65536, 5, 1 << 18};
    unsigned char *buf = alloc(1 << 18);
    uint64_t got = 0;
    for (int i = 0;; i++) {
        ssize_t n = client_read_some(client, buf, sizes[i % 8]);
        CHECK_CMP(n, >=, 0);
        if (n == 0) break;
        CHECK_INT(find_pattern_error(buf, (size_t)n, got), -1);
        got += (uint64_t)n;
    }
    CHECK_INT(got, size);
    CHECK_INT(conn_try_read(client->c, buf, 1), 0);
}

ALL_TRANSPORTS(one_byte_at_a_time_from_large_records) {
    uint64_t size = 3 * 16384;
    struct client *client = client_of(version, send_pattern, &size);
    for (uint64_t at = 0; at < size; at++) {
        unsigned char byte;
        CHECK_INT(client_read_some(client, &byte, 1), 1);
        CHECK_INT(find_pattern_error(&byte, 1, at), -1);
    }
    char end;
    CHECK_INT(client_read_some(client, &end, 1), 0);
}

struct byte_reader {
    uint64_t got;
    bool ended;
};

static void read_one_byte(struct net_conn *c, void *arg) {
    struct byte_reader *reader = arg;
    unsigned char byte;
    ssize_t n = conn_try_read(c, &byte, 1);
    if (n < 0) {
        CHECK_INT(errno, EAGAIN);
    } else if (n == 0) {
        reader->ended = true;
    } else {
        CHECK_INT(find_pattern_error(&byte, 1, reader->got), -1);
        reader->got++;
    }
}

ALL_TRANSPORTS(readable_is_a_level_even_for_bytes_inside_tls) {
    /* One byte a callback, while all of a record is decrypted at once: the kernel has nothing more to say of it. */
    uint64_t size = (uint64_t)small(16384 + 100, 2000);
    struct client *client = client_of(version, send_pattern, &size);
    struct byte_reader reader = {0, false};
    conn_set_readable_callback(client->c, read_one_byte, &reader);
    RUN_UNTIL(client->loop, reader.ended);
    CHECK_INT(reader.got, size);
}

/* Writes one record when the gate opens, and waits for the end. */
static void three_bytes(struct peer_conn *pc) {
    CHECK(peer_write_pattern(pc, 3));
    char byte;
    peer_read(pc, &byte, 1);
}

struct outside {
    struct client *client;
    int fired, read;
    bool nested;
};

static void read_one_in_nested_rounds(struct net_conn *c, void *arg) {
    struct outside *outside = arg;
    char byte;
    outside->fired++;
    if (conn_try_read(c, &byte, 1) == 1) outside->read++;
    if (outside->nested && outside->read < 3) {
        int read = outside->read;
        /* The rest may be inside TLS alone: the rounds in here have to know of it. */
        RUN_UNTIL(outside->client->loop, outside->read > read);
    }
}

ALL_TRANSPORTS(readable_is_a_level_in_nested_runs) {
    struct peer *peer = peer_of(version, three_bytes, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    struct outside outside = {.client = client, .nested = true};
    conn_set_readable_callback(client->c, read_one_in_nested_rounds, &outside);
    RUN_UNTIL(client->loop, outside.read == 3);
}

static void read_one_from_a_timer(void *arg) {
    struct outside *outside = arg;
    char byte;
    if (conn_try_read(outside->client->c, &byte, 1) == 1) outside->read++;
}

static void count_fired(struct net_conn *c, void *arg) {
    (void)c;
    ((struct outside *)arg)->fired++;
}

ALL_TRANSPORTS(readable_is_a_level_for_bytes_read_elsewhere) {
    struct peer *peer = peer_of(version, three_bytes, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    struct outside outside = {.client = client};
    conn_set_readable_callback(client->c, count_fired, &outside);
    RUN_UNTIL(client->loop, outside.fired);
    /* Two of three bytes are now wherever a read of one byte puts them. */
    while (!outside.read) read_one_from_a_timer(&outside);
    outside.fired = 0;
    RUN_UNTIL(client->loop, outside.fired == 2);
}

ALL_TRANSPORTS(readable_fires_in_each_round_until_it_was_read) {
    uint64_t size = 10;
    struct client *client = client_of(version, send_pattern, &size);
    int fired = 0;
    conn_set_readable_callback(client->c, count, &fired);
    RUN_UNTIL(client->loop, fired >= 5); /* nobody reads */
    char buf[10];
    client_read(client, buf, 10);
    CHECK_INT(client_read_some(client, buf, 1), 0);
    /* The end has been read: now it is silent. */
    fired = 0;
    conn_set_readable_callback(client->c, count, &fired);
    run_rounds(client->loop);
    CHECK_INT(fired, 0);
}

ALL_TRANSPORTS(the_end_is_readable_until_it_was_read) {
    struct client *client = client_of(version, serve_close, NULL);
    int fired = 0;
    conn_set_readable_callback(client->c, count, &fired);
    RUN_UNTIL(client->loop, fired >= 5);
    char byte;
    CHECK_INT(client_read_some(client, &byte, 1), 0);
    conn_set_readable_callback(client->c, count, &fired);
    fired = 0;
    run_rounds(client->loop);
    CHECK_INT(fired, 0);
    CHECK_INT(conn_try_read(client->c, &byte, 1), 0); /* again and again */
    CHECK_INT(conn_try_read(client->c, &byte, 1), 0);
    CHECK_INT(conn_get_state(client->c), CONN_READY); /* the other direction is open */
    CHECK_INT(client->errors, 0);
}

ALL_TRANSPORTS(nothing_to_read) {
    struct client *client = client_of(version, NULL, NULL);
    char byte = 'u';
    CHECK_ERRNO(conn_try_read(client->c, &byte, 1), EAGAIN);
    CHECK_INT(byte, 'u');
    CHECK_INT(conn_pending(client->c), 0);
    client_echo(client, "and it lives");
}

ALL_TRANSPORTS(lengths_of_zero_and_missing_buffers) {
    struct client *client = client_of(version, NULL, NULL);
    char byte;
    CHECK_INT(conn_try_read(client->c, &byte, 0), 0);
    CHECK_INT(conn_try_read(client->c, NULL, 0), 0);
    CHECK_INT(conn_try_write(client->c, &byte, 0), 0);
    CHECK_INT(conn_try_write(client->c, NULL, 0), 0);
    CHECK_INT(conn_try_writev(client->c, NULL, 0), 0);
    CHECK_ERRNO(conn_try_read(client->c, NULL, 1), EINVAL);
    CHECK_ERRNO(conn_try_write(client->c, NULL, 1), EINVAL);
    CHECK_ERRNO(conn_try_writev(client->c, NULL, 1), EINVAL);
    struct iovec bad = {NULL, 5};
    CHECK_ERRNO(conn_try_writev(client->c, &bad, 1), EINVAL);
    CHECK_ERRNO(conn_try_writev(client->c, &bad, -1), EINVAL);
    struct iovec nothing[2] = {{NULL, 0}, {&byte, 0}};
    CHECK_INT(conn_try_writev(client->c, nothing, 2), 0);
    CHECK_INT(conn_get_state(client->c), CONN_READY);
    client_echo(client, "no harm done");
}

ALL_TRANSPORTS(len_zero_reads_nothing_and_keeps_what_is_there) {
    uint64_t size = 100;
    struct client *client = client_of(version, send_pattern, &size);
    int fired = 0;
    conn_set_readable_callback(client->c, count, &fired);
    RUN_UNTIL(client->loop, fired > 2);
    char buf[100];
    for (int i = 0; i < 3; i++) CHECK_INT(conn_try_read(client->c, buf, 0), 0);
    conn_set_readable_callback(client->c, NULL, NULL);
    client_read(client, buf, 100);
    CHECK_INT(find_pattern_error(buf, 100, 0), -1);
}

static void one_record(struct peer_conn *pc) {
    CHECK(peer_write_pattern(pc, 1000));
    serve_echo(pc);
}

BOTH_VERSIONS(pending_is_what_is_decrypted) {
    struct client *client = client_of(version, one_record, NULL);
    char buf[1000];
    CHECK_INT(client_read_some(client, buf, 1), 1);
    CHECK_INT(conn_pending(client->c), 999);
    CHECK_INT(conn_try_read(client->c, buf, 499), 499);
    CHECK_INT(conn_pending(client->c), 500);
    CHECK_INT(conn_try_read(client->c, buf, 1000), 500);
    CHECK_INT(conn_pending(client->c), 0);
}

/* ---- Writing --------------------------------------------------------------------------------------------------------- */

struct writer {
    uint64_t size, put;
    int round;
};

/* Always from another address, of another length: what an EAGAIN was asked with need not be there any more. */
static void write_from_moving_buffers(struct net_conn *c, void *arg) {
    struct writer *writer = arg;
    static const size_t sizes[] = {100000, 1, 16384, 3, 70000, 20000};
    while (writer->put < writer->size) {
        size_t len = sizes[writer->round++ % 6];
        if (len > writer->size - writer->put) len = (size_t)(writer->size - writer->put);
        unsigned char *buf = malloc(len);
        CHECK(buf != NULL);
        fill_pattern(buf, len, writer->put);
        ssize_t n = conn_try_write(c, buf, len);
        int error = errno;
        memset(buf, 0xdd, len);
        free(buf);
        if (n < 0) {
            CHECK_INT(error, EAGAIN);
            return;
        }
        CHECK_CMP(n, >, 0);
        CHECK_CMP(n, <=, len);
        writer->put += (uint64_t)n;
    }
    conn_set_writable_callback(c, NULL, NULL);
}

ALL_TRANSPORTS(megabytes_to_a_slow_reader_from_moving_buffers) {
    struct writer writer = {.size = (uint64_t)small(8 << 20, 1 << 19)};
    struct peer_options peer_options = {.serve = serve_check, .receive_buffer = 4096};
    if (version) {
        peer_options.cert = CERT_GOOD;
        peer_options.key = CERT_GOOD_KEY;
        peer_options.min_version = peer_options.max_version = version;
    }
    struct peer *peer = peer_start(&peer_options);
    struct client *client = ready_client(test_loop(), version, peer);
    conn_set_writable_callback(client->c, write_from_moving_buffers, &writer);
    RUN_UNTIL(client->loop, writer.put == writer.size);
    CHECK_INT(conn_shutdown(client->c), 0);
    char byte;
    CHECK_INT(client_read_some(client, &byte, 1), 0); /* the peer has seen our end */
    RUN_UNTIL(client->loop, conn_get_state(client->c) == CONN_CLOSED);
    peer_join(peer);
    CHECK_INT(peer_bytes(peer), writer.size);
}

static void wait_then_check(struct peer_conn *pc) {
    gate_wait(pc->arg);
    serve_check(pc);
}

ALL_TRANSPORTS(a_full_pipe_gives_eagain_and_wakes_again) {
    struct gate gate = GATE;
    struct peer *peer = peer_of(version, wait_then_check, &gate);
    struct client *client = ready_client(test_loop(), version, peer);
    unsigned char *buf = alloc(1 << 16);
    uint64_t put = 0;
    /* Nobody reads: in the end nothing more is taken. 64 MiB is more than any socket holds. */
    for (;;) {
        fill_pattern(buf, 1 << 16, put);
        ssize_t n = conn_try_write(client->c, buf, 1 << 16);
        if (n < 0) {
            CHECK_INT(errno, EAGAIN);
            break;
        }
        CHECK_CMP(n, >, 0);
        put += (uint64_t)n;
        CHECK_CMP(put, <, 64 << 20);
    }
    int fired = 0;
    conn_set_writable_callback(client->c, count, &fired);
    run_rounds(client->loop);
    CHECK_CMP(fired, <=, 3); /* spurious ones aside, it is not writable */
    fired = 0;
    gate_open(&gate);
    RUN_UNTIL(client->loop, fired > 0);
    conn_set_writable_callback(client->c, NULL, NULL);
    unsigned char last[3];
    fill_pattern(last, 3, put); /* shorter than what was refused, from elsewhere */
    client_write(client, last, 3);
    CHECK_INT(conn_shutdown(client->c), 0);
    char byte;
    CHECK_INT(client_read_some(client, &byte, 1), 0);
    peer_join(peer);
    CHECK_INT(peer_bytes(peer), put + 3);
}

ALL_TRANSPORTS(what_was_refused_need_not_be_written) {
    /* After an EAGAIN the program changes its mind: the peer must see neither a byte of it nor a broken record. */
    struct gate gate = GATE;
    struct peer *peer = peer_of(version, wait_then_check, &gate);
    struct client *client = ready_client(test_loop(), version, peer);
    unsigned char *buf = alloc(1 << 16);
    uint64_t put = 0;
    ssize_t n;
    for (;;) {
        fill_pattern(buf, 1 << 16, put);
        if ((n = conn_try_write(client->c, buf, 1 << 16)) < 0) break;
        put += (uint64_t)n;
    }
    CHECK_INT(errno, EAGAIN);
    CHECK_INT(conn_shutdown(client->c), 0);
    gate_open(&gate);
    char byte;
    CHECK_INT(client_read_some(client, &byte, 1), 0);
    peer_join(peer);
    CHECK_INT(peer_bytes(peer), put);
}

ALL_TRANSPORTS(writable_is_a_level) {
    struct client *client = client_of(version, NULL, NULL);
    int fired = 0;
    conn_set_writable_callback(client->c, count, &fired);
    RUN_UNTIL(client->loop, fired >= 5);
    conn_set_writable_callback(client->c, NULL, NULL);
    fired = 0;
    run_rounds(client->loop);
    CHECK_INT(fired, 0);
}

ALL_TRANSPORTS(many_pieces_in_one_call) {
    struct peer *peer = peer_of(version, serve_check, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    enum { SIZE = 200000 };
    unsigned char *bytes = alloc(SIZE);
    fill_pattern(bytes, SIZE, 0);
    size_t put = 0;
    while (put < SIZE) {
        /* As many pieces as there may be (IOV_MAX), some of them empty. */
        struct iovec pieces[1024];
        size_t at = put;
        for (int i = 0; i < 1024; i++) {
            size_t len = i % 7 == 0 ? 0 : (size_t)(i % 300);
            if (len > SIZE - at) len = SIZE - at;
            pieces[i] = (struct iovec){len ? bytes + at : NULL, len};
            at += len;
        }
        ssize_t n = conn_try_writev(client->c, pieces, 1024);
        if (n < 0) {
            CHECK_INT(errno, EAGAIN);
            int fired = 0;
            conn_set_writable_callback(client->c, count, &fired);
            RUN_UNTIL(client->loop, fired);
            conn_set_writable_callback(client->c, NULL, NULL);
            continue;
        }
        CHECK_CMP(n, >, 0);
        CHECK_CMP(n, <=, at - put);
        put += (size_t)n;
    }
    CHECK_INT(conn_shutdown(client->c), 0);
    char byte;
    CHECK_INT(client_read_some(client, &byte, 1), 0);
    peer_join(peer);
    CHECK_INT(peer_bytes(peer), SIZE);
}

/* More pieces than one system call takes; those in front may all be empty. */
ALL_TRANSPORTS(more_pieces_than_one_call_takes) {
    struct client *client = client_of(version, NULL, NULL);
    enum { COUNT = 5000 };
    struct iovec *pieces = alloc(COUNT * sizeof *pieces);
    char byte = 'a', back[COUNT];
    for (int i = 0; i < COUNT; i++) pieces[i] = (struct iovec){&byte, 1};
    ssize_t n = conn_try_writev(client->c, pieces, COUNT);
    CHECK_CMP(n, >=, 1);
    CHECK_CMP(n, <=, COUNT);
    client_read(client, back, (size_t)n);
    for (ssize_t i = 0; i < n; i++) CHECK_INT(back[i], 'a');
    for (int i = 0; i < COUNT - 1; i++) pieces[i] = (struct iovec){NULL, 0};
    CHECK_INT(conn_try_writev(client->c, pieces, COUNT), 1);
    client_read(client, back, 1);
    pieces[COUNT - 1] = (struct iovec){NULL, 1};
    CHECK_ERRNO(conn_try_writev(client->c, pieces, COUNT), EINVAL);
    CHECK_INT(conn_try_writev(client->c, pieces, COUNT - 1), 0);
    client_echo(client, "and it lives");
}

/* A piece that is wrong stops the call before a byte of those in front of it went out. */
ALL_TRANSPORTS(a_wrong_piece_behind_good_ones) {
    struct client *client = client_of(version, NULL, NULL);
    struct iovec pieces[3] = {{"ab", 2}, {NULL, 7}, {"cd", 2}};
    CHECK_ERRNO(conn_try_writev(client->c, pieces, 3), EINVAL);
    pieces[1].iov_len = 0;
    char back[4];
    for (size_t put = 0; put < 4;) {
        struct iovec rest[3] = {{(char *)pieces[0].iov_base + (put < 2 ? put : 2), put < 2 ? 2 - put : 0}, pieces[1],
                                {(char *)pieces[2].iov_base + (put > 2 ? put - 2 : 0), put > 2 ? 4 - put : 2}};
        ssize_t n = conn_try_writev(client->c, rest, 3);
        CHECK_CMP(n, >, 0);
        put += (size_t)n;
    }
    client_read(client, back, 4);
    CHECK_MEM(back, "abcd", 4);
}

/* ---- Both ways at once ----------------------------------------------------------------------------------------------- */

struct duplex {
    struct writer writer;
    uint64_t got;
    bool ended;
};

static void read_all_there_is(struct net_conn *c, void *arg) {
    struct duplex *duplex = arg;
    unsigned char buf[5000];
    ssize_t n;
    while ((n = conn_try_read(c, buf, sizeof buf)) > 0) {
        CHECK_INT(find_pattern_error(buf, (size_t)n, duplex->got), -1);
        duplex->got += (uint64_t)n;
    }
    if (n == 0) duplex->ended = true;
    else CHECK_INT(errno, EAGAIN);
}

ALL_TRANSPORTS(an_echo_of_megabytes) {
    struct duplex duplex = {.writer.size = (uint64_t)small(8 << 20, 1 << 19)};
    struct client *client = client_of(version, NULL, NULL);
    conn_set_readable_callback(client->c, read_all_there_is, &duplex);
    conn_set_writable_callback(client->c, write_from_moving_buffers, &duplex.writer);
    RUN_UNTIL(client->loop, duplex.got == duplex.writer.size);
    CHECK_INT(conn_shutdown(client->c), 0);
    RUN_UNTIL(client->loop, duplex.ended);
    CHECK_INT(conn_get_state(client->c), CONN_CLOSED);
    CHECK_INT(client->errors, 0);
}

/* ---- Callbacks ------------------------------------------------------------------------------------------------------- */

ALL_TRANSPORTS(each_callback_gets_its_own_arg) {
    uint64_t size = 10;
    struct client *client = client_of(version, send_pattern, &size);
    int readable = 0, writable = 0;
    conn_set_readable_callback(client->c, count, &readable);
    conn_set_writable_callback(client->c, count, &writable);
    CHECK_PTR(client->c->rw_arg, &writable);
    RUN_UNTIL(client->loop, readable >= 2 && writable >= 2);
}

static void only_when_ready(struct net_conn *c, void *arg) {
    struct client *client = arg;
    CHECK_INT(c->state, CONN_READY);
    CHECK_INT(client->ready, 1); /* on_ready came first */
    ++*(int *)client->arg;
}

ALL_TRANSPORTS(callbacks_set_before_ready_run_after_on_ready) {
    uint64_t size = 10;
    struct peer *peer = peer_of(version, send_pattern, &size);
    struct conn_options o = options_of(version);
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    int fired = 0;
    client->arg = &fired;
    conn_set_readable_callback(client->c, only_when_ready, client);
    conn_set_writable_callback(client->c, only_when_ready, client);
    RUN_UNTIL(client->loop, fired >= 4);
}

static void remove_readable(struct net_conn *c, void *counter) {
    ++*(int *)counter;
    conn_set_readable_callback(c, NULL, NULL);
}

ALL_TRANSPORTS(a_callback_removes_itself) {
    uint64_t size = 10;
    struct client *client = client_of(version, send_pattern, &size);
    int fired = 0;
    conn_set_readable_callback(client->c, remove_readable, &fired);
    RUN_UNTIL(client->loop, fired);
    run_rounds(client->loop);
    CHECK_INT(fired, 1);
    char buf[10];
    client_read(client, buf, 10);
}

ALL_TRANSPORTS(no_callback_without_its_cause) {
    struct client *client = client_of(version, NULL, NULL);
    client_echo(client, "once");
    int fired = 0;
    conn_set_readable_callback(client->c, count, &fired);
    run_rounds(client->loop);
    CHECK_CMP(fired, <=, 1); /* at most one spurious, never a busy loop */
}

/* ---- A loop with nothing to do waits ------------------------------------------------------------------------------------ */

static void set(void *flag) { *(bool *)flag = true; }

/* The rounds of the loop in a tenth of a second: a handful, or a processor at full load. */
static void stands_still(struct ev_loop *loop) {
    bool over = false;
    int rounds = 0;
    struct evloop_timer *timer = evloop_timer_start(loop, 0.1, 0, set, &over);
    for (; !over; rounds++) CHECK(evloop_run_once(loop, -1) >= 0);
    evloop_timer_free(timer);
    CHECK_CMP(rounds, <, 20);
}

ALL_TRANSPORTS(what_nobody_reads_does_not_spin) {
    uint64_t size = 100000;
    struct client *client = client_of(version, send_pattern, &size);
    stands_still(client->loop);
    char byte;
    CHECK_INT(client_read_some(client, &byte, 1), 1); /* the rest lies in all the buffers there are */
    stands_still(client->loop);
}

ALL_TRANSPORTS(an_end_that_nobody_reads_does_not_spin) {
    struct client *client = client_of(version, serve_close, NULL);
    stands_still(client->loop);
    CHECK_INT(conn_shutdown(client->c), 0); /* and now both ends are gone: the kernel says hang-up for ever */
    stands_still(client->loop);
    char byte;
    CHECK_INT(client_read_some(client, &byte, 1), 0);
    CHECK_INT(conn_get_state(client->c), CONN_CLOSED);
    stands_still(client->loop);
}

ALL_TRANSPORTS(a_failure_does_not_spin) {
    struct client *client = client_of(version, serve_reset, NULL);
    client_write(client, "x", 1);
    RUN_UNTIL(client->loop, client->errors);
    stands_still(client->loop);
}

static void drop_what_comes(struct net_conn *c, void *arg) {
    (void)arg;
    char buf[100];
    while (conn_try_read(c, buf, sizeof buf) > 0) {}
    CHECK_INT(errno, EAGAIN);
}

ALL_TRANSPORTS(an_idle_connection_does_not_spin) {
    struct client *client = client_of(version, NULL, NULL);
    conn_set_readable_callback(client->c, drop_what_comes, NULL);
    stands_still(client->loop); /* TLS 1.3 tickets are read and forgotten */
    client_echo(client, "x");
    conn_set_readable_callback(client->c, drop_what_comes, NULL);
    stands_still(client->loop);
}

/* ---- Half-close ------------------------------------------------------------------------------------------------------ */

static void answer_after_the_end(struct peer_conn *pc) {
    CHECK(peer_drain(pc));
    CHECK(peer_write_pattern(pc, 50000));
}

ALL_TRANSPORTS(reading_goes_on_after_shutdown) {
    struct peer *peer = peer_of(version, answer_after_the_end, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    client_write(client, "question", 8);
    CHECK_INT(conn_shutdown(client->c), 0);
    CHECK_INT(conn_shutdown(client->c), 0); /* again is fine */
    CHECK_ERRNO(conn_try_write(client->c, "x", 1), EPIPE);
    struct iovec piece = {"x", 1};
    CHECK_ERRNO(conn_try_writev(client->c, &piece, 1), EPIPE);
    CHECK_INT(conn_get_state(client->c), CONN_READY);
    unsigned char *buf = alloc(50000);
    client_read(client, buf, 50000);
    CHECK_INT(find_pattern_error(buf, 50000, 0), -1);
    CHECK_INT(conn_get_state(client->c), CONN_READY);
    CHECK_INT(client_read_some(client, buf, 1), 0);
    CHECK_INT(conn_get_state(client->c), CONN_CLOSED); /* only now */
    check_members(client->c);
    CHECK_INT(conn_try_read(client->c, buf, 1), 0);
    CHECK_ERRNO(conn_try_write(client->c, "x", 1), EPIPE);
    CHECK_INT(client->errors, 0);
    evloop_run(client->loop); /* CLOSED keeps nothing running */
    peer_join(peer);
}

ALL_TRANSPORTS(closed_only_when_both_ends_are_through) {
    struct client *client = client_of(version, serve_close, NULL);
    char byte;
    CHECK_INT(client_read_some(client, &byte, 1), 0);
    CHECK_INT(conn_get_state(client->c), CONN_READY);
    CHECK_INT(conn_shutdown(client->c), 0);
    RUN_UNTIL(client->loop, conn_get_state(client->c) == CONN_CLOSED);
    CHECK_INT(client->errors, 0);
}

/* ---- Failures -------------------------------------------------------------------------------------------------------- */

ALL_TRANSPORTS(a_reset_is_reported_without_callbacks) {
    struct peer *peer = peer_of(version, serve_reset, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    client_write(client, "x", 1); /* which the peer answers with a reset */
    RUN_UNTIL(client->loop, client->errors);
    CHECK_FAILED_WITH(client, CONN_ERR_IO, ECONNRESET);
    char byte;
    CHECK_ERRNO(conn_try_read(client->c, &byte, 1), ECONNRESET);
    CHECK_INT(conn_try_write(client->c, &byte, 1), -1);
    CHECK(errno == ECONNRESET || errno == EPIPE);
    run_rounds(client->loop);
    CHECK_INT(client->errors, 1);
    evloop_run(client->loop); /* ERROR keeps nothing running */
}

ALL_TRANSPORTS(a_reset_that_a_read_meets) {
    struct peer *peer = peer_of(version, serve_reset, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    client_write(client, "x", 1);
    peer_join(peer); /* the reset is in the kernel */
    char byte;
    ssize_t n = conn_try_read(client->c, &byte, 1);
    if (n < 0 && errno == EAGAIN) n = conn_try_read(client->c, &byte, 1); /* session tickets came first */
    CHECK_INT(n, -1);
    CHECK_INT(errno, ECONNRESET);
    CHECK_INT(conn_get_state(client->c), CONN_ERROR);
    CHECK_INT(client->errors, 0); /* not inside the call */
    RUN_UNTIL(client->loop, client->errors);
    CHECK_FAILED_WITH(client, CONN_ERR_IO, ECONNRESET);
}

ALL_TRANSPORTS(on_error_comes_even_when_nothing_else_runs) {
    struct peer *peer = peer_of(version, serve_reset, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    client_write(client, "x", 1);
    peer_join(peer);
    char byte;
    while (conn_try_read(client->c, &byte, 1) < 0 && errno == EAGAIN) {}
    CHECK_INT(conn_get_state(client->c), CONN_ERROR);
    evloop_run(client->loop); /* the state keeps nothing running, and still on_error is owed */
    CHECK_INT(client->errors, 1);
}

static void send_then_reset(struct peer_conn *pc) {
    CHECK(peer_write_pattern(pc, 3000));
    gate_wait(pc->arg);
    peer_reset(pc);
}

ALL_TRANSPORTS(what_had_arrived_before_a_failure_is_read_first) {
    struct gate gate = GATE;
    struct peer *peer = peer_of(version, send_then_reset, &gate);
    struct client *client = ready_client(test_loop(), version, peer);
    unsigned char buf[3000];
    /* The rest waits in OpenSSL, in a buffer or in the kernel, which gives it before its error. */
    CHECK_INT(client_read_some(client, buf, 1000), 1000);
    gate_open(&gate);
    peer_join(peer);
    RUN_UNTIL(client->loop, client->errors);
    size_t got = 1000;
    ssize_t n;
    while ((n = conn_try_read(client->c, buf + got, 700)) > 0) got += (size_t)n;
    CHECK_INT(n, -1);
    CHECK_INT(errno, ECONNRESET);
    CHECK_INT(find_pattern_error(buf, got, 0), -1);
    CHECK_INT(got, 3000);
    CHECK_FAILED_WITH(client, CONN_ERR_IO, ECONNRESET);
}

ALL_TRANSPORTS(a_failure_is_readable_until_it_was_read) {
    struct gate gate = GATE;
    struct peer *peer = peer_of(version, send_then_reset, &gate);
    struct client *client = ready_client(test_loop(), version, peer);
    unsigned char buf[3000];
    CHECK_INT(client_read_some(client, buf, 1000), 1000);
    gate_open(&gate);
    peer_join(peer);
    int fired = 0;
    conn_set_readable_callback(client->c, count, &fired);
    RUN_UNTIL(client->loop, fired >= 3);
    client_read(client, buf + 1000, 2000); /* all that had come before it */
    CHECK_INT(find_pattern_error(buf, 3000, 0), -1);
    fired = 0;
    conn_set_readable_callback(client->c, count, &fired);
    RUN_UNTIL(client->loop, fired >= 3); /* now for the failure */
    CHECK_ERRNO(conn_try_read(client->c, buf, 1), ECONNRESET);
    RUN_UNTIL(client->loop, client->errors);
    fired = 0;
    run_rounds(client->loop);
    CHECK_INT(fired, 0);
}

ALL_TRANSPORTS(writing_to_a_dead_peer_raises_no_signal) {
    /* SIGPIPE has its default disposition here: one would end the test. */
    struct peer *peer = peer_of(version, serve_reset, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    client_write(client, "x", 1);
    peer_join(peer);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(conn_try_write(client->c, "more", 4), -1);
        CHECK(errno == ECONNRESET || errno == EPIPE);
    }
    RUN_UNTIL(client->loop, client->errors);
    CHECK_INT(client->kind, CONN_ERR_IO);
    client_close(client);
}

TEST_MAIN
