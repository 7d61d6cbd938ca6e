/*
 * Sessions that the program keeps: stored and loaded by clients and servers, shared by contexts and processes, and refused
 * wherever they do not fit. What a callback gives back is anything at all.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "netconn.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The program's cache --------------------------------------------------------------------------------------------- */

enum { MOST = 16384 };

struct entry {
    char key[1024];
    unsigned char der[MOST];
    size_t len;
};

struct cache {
    struct entry entries[8];
    int stores, loads, removes, hits;
    char last_key[1024];
    bool any_key; /* gives whatever it has, whatever the key */
    ssize_t says; /* what load returns, when not 0 */
    /* What runs in the callbacks; may be NULL. */
    void (*in_store)(struct cache *cache), (*in_load)(struct cache *cache), (*in_remove)(struct cache *cache);
    void *arg;
};

static struct entry *find(struct cache *cache, const char *key) {
    for (int i = 0; i < 8; i++) {
        struct entry *entry = &cache->entries[i];
        if (entry->len && (cache->any_key || strcmp(entry->key, key) == 0)) return entry;
    }
    return NULL;
}

static void note(struct cache *cache, const char *key) {
    CHECK_CMP(strlen(key), <, sizeof cache->last_key);
    for (const char *c = key; *c; c++) CHECK(isprint((unsigned char)*c));
    strcpy(cache->last_key, key);
}

static int store(const char *key, const unsigned char *der, size_t len, void *arg) {
    struct cache *cache = arg;
    note(cache, key);
    CHECK_CMP(len, >, 0);
    CHECK_CMP(len, <=, MOST);
    cache->stores++;
    struct entry *entry = find(cache, key);
    for (int i = 0; i < 8 && !entry; i++)
        if (!cache->entries[i].len) entry = &cache->entries[i];
    if (entry) {
        strcpy(entry->key, key);
        memcpy(entry->der, der, len);
        entry->len = len;
    }
    if (cache->in_store) cache->in_store(cache);
    return entry ? 0 : -1;
}

static ssize_t fetch(const char *key, unsigned char *der, size_t size, void *arg) {
    struct cache *cache = arg;
    note(cache, key);
    cache->loads++;
    CHECK_INT(size, MOST);
    struct entry *entry = find(cache, key);
    size_t len = entry ? entry->len : 0;
    if (entry) {
        cache->hits++;
        memcpy(der, entry->der, len);
    }
    if (cache->in_load) cache->in_load(cache);
    return cache->says ? cache->says : (ssize_t)len;
}

static void forget(const char *key, void *arg) {
    struct cache *cache = arg;
    note(cache, key);
    cache->removes++;
    struct entry *entry = find(cache, key);
    if (entry) entry->len = 0;
    if (cache->in_remove) cache->in_remove(cache);
}

static struct cache *new_cache(void) {
    struct cache *cache = alloc(sizeof *cache);
    memset(cache, 0, sizeof *cache);
    return cache;
}

static int entries(const struct cache *cache) {
    int n = 0;
    for (int i = 0; i < 8; i++) n += cache->entries[i].len > 0;
    return n;
}

static void keep_outside(SocketTLSContext_T context, struct cache *cache) {
    CHECK_INT(netconn_tls_set_session_callbacks(context, store, fetch, forget, cache), 0);
}

/* ---- Both ends on one loop ------------------------------------------------------------------------------------------- */

static void close_fd(void *fd) { close((int)(intptr_t)fd); }
static void done(void *context) { netconn_tls_free(context); }

static SocketTLSContext_T keep(SocketTLSContext_T context) {
    CHECK_PTR_NOT_NULL(context);
    SocketTLSContext_T *variable = alloc(sizeof *variable);
    *variable = context;
    at_end(done, variable);
    return context;
}

struct both {
    struct ev_loop *loop;
    int listener;
    char port[8];
    struct conn_options o, so;
    struct client *client, *server;
};

static SocketTLSContext_T new_server(void) { return keep(netconn_tls_server(cert(CERT_GOOD), cert(CERT_GOOD_KEY), NULL)); }

static struct both *both_ends(int version) {
    struct both *both = alloc(sizeof *both);
    memset(both, 0, sizeof *both);
    both->loop = test_loop();
    both->o = tls_options();
    if (version) CHECK_INT(netconn_tls_set_versions(both->o.tls, version, version), 0);
    both->so = options();
    both->so.use_tls = both->so.server_side = true;
    both->o.tls_timeout = both->so.tls_timeout = slow(10);
    both->so.tls = new_server();
    struct sockaddr_in where = {.sin_family = AF_INET};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof where;
    both->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(both->listener >= 0);
    CHECK_INT(bind(both->listener, (struct sockaddr *)&where, sizeof where), 0);
    CHECK_INT(listen(both->listener, 16), 0);
    CHECK_INT(getsockname(both->listener, (struct sockaddr *)&where, &len), 0);
    snprintf(both->port, 8, "%d", ntohs(where.sin_port));
    at_end(close_fd, (void *)(intptr_t)both->listener);
    return both;
}

static SocketTLSContext_T new_client(int version) {
    SocketTLSContext_T context = keep(netconn_tls_client(cert(CERT_CA)));
    if (version) CHECK_INT(netconn_tls_set_versions(context, version, version), 0);
    return context;
}

static void start(struct both *both) {
    both->client = client_open(both->loop, "127.0.0.1", both->port, &both->o);
    int fd = accept4(both->listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fd >= 0);
    both->server = client_adopt(both->loop, fd, &both->so);
}

static void part(struct both *both) {
    client_close(both->client);
    client_close(both->server);
    run_rounds(both->loop);
}

/* A connection with a byte from the server, and its end: whether it was resumed. */
static bool meet(struct both *both) {
    start(both);
    client_wait_ready(both->client);
    client_wait_ready(both->server);
    char byte;
    client_write(both->server, "t", 1);
    client_read(both->client, &byte, 1);
    client_write(both->client, "u", 1);
    client_read(both->server, &byte, 1);
    bool resumed = conn_session_reused(both->client->c);
    CHECK_INT(conn_session_reused(both->server->c), resumed);
    if (resumed) CHECK_INT(conn_get_verify_result(both->client->c), conn_get_verify_result(both->client->c) < 0 ? -1 : 0);
    part(both);
    return resumed;
}

/* ---- Clients ----------------------------------------------------------------------------------------------------------- */

BOTH_VERSIONS(a_client_resumes_what_another_context_stored) {
    struct both *both = both_ends(version);
    struct cache *cache = new_cache();
    keep_outside(both->o.tls, cache);
    CHECK(!meet(both));
    CHECK_INT(cache->loads, 1);
    CHECK_CMP(cache->stores, >=, 1);
    CHECK_INT(entries(cache), 1);
    char where[40];
    snprintf(where, sizeof where, "127.0.0.1:%s ", both->port);
    CHECK(strncmp(cache->last_key, where, strlen(where)) == 0);
    for (int i = 0; i < 3; i++) {
        both->o.tls = new_client(version); /* which knows nothing but the callbacks */
        keep_outside(both->o.tls, cache);
        CHECK(meet(both));
        CHECK_INT(cache->hits, i + 1);
        /* A ticket of TLS 1.3 is used once; a session of TLS 1.2 stays. */
        CHECK_INT(cache->removes, version == TLS1_3_VERSION ? i + 1 : 0);
        CHECK_INT(entries(cache), 1);
    }
}

/* In a process of its own, with the cache in a file. */
static void connect_in_a_child(struct both *both, int version, struct cache *cache, const char *path, bool resumed) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        SocketTLSContext_T context = netconn_tls_client(cert(CERT_CA));
        struct ev_loop *loop = evloop_new();
        if (!context || netconn_tls_set_versions(context, version, version) != 0) _exit(10);
        if (netconn_tls_set_session_callbacks(context, store, fetch, forget, cache) != 0) _exit(11);
        FILE *file = fopen(path, "r");
        if (file) {
            if (fread(cache->entries, sizeof cache->entries, 1, file) != 1) _exit(12);
            fclose(file);
        }
        both->o.tls = context;
        struct net_conn *c = conn_new_with(loop, "127.0.0.1", both->port, &both->o, NULL, NULL, NULL);
        char byte;
        while (conn_try_read(c, &byte, 1) != 1)
            if (conn_get_state(c) == CONN_ERROR || evloop_run_once(loop, 5000) < 0) _exit(13);
        if (conn_session_reused(c) != resumed) _exit(14);
        conn_close(c);
        file = fopen(path, "w");
        if (!file || fwrite(cache->entries, sizeof cache->entries, 1, file) != 1 || fclose(file)) _exit(15);
        evloop_free(loop);
        netconn_tls_free(&context);
        _exit(0);
    }
    int fd = accept4(both->listener, NULL, NULL, SOCK_CLOEXEC), status;
    CHECK(fd >= 0);
    both->server = client_adopt(both->loop, fd, &both->so);
    client_wait_ready(both->server);
    client_write(both->server, "t", 1);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
    client_close(both->server);
    run_rounds(both->loop);
}

BOTH_VERSIONS(a_client_resumes_what_another_process_stored) {
    struct both *both = both_ends(version);
    char path[300];
    snprintf(path, sizeof path, "%s/cache", temp_dir());
    for (int i = 0; i < 3; i++) connect_in_a_child(both, version, new_cache(), path, i > 0);
}

static const char *const protocols[] = {"one", "two"};
static int as_before(int preverified, int depth, const char *subject, long error, void *arg) {
    (void)depth, (void)subject, (void)error, (void)arg;
    return preverified;
}

static void chain_only(struct both *both) { CHECK_INT(netconn_tls_set_verify(both->o.tls, NETCONN_TLS_VERIFY_CHAIN), 0); }
static void nothing_verified(struct both *both) { CHECK_INT(netconn_tls_set_verify(both->o.tls, NETCONN_TLS_VERIFY_NONE), 0); }
static void more_trust(struct both *both) { CHECK_INT(netconn_tls_load_ca(both->o.tls, cert(CERT_OTHER_CA)), 0); }
static void alpn(struct both *both) { CHECK_INT(netconn_tls_set_alpn(both->o.tls, protocols, 2), 0); }
static void own_certificate(struct both *both) {
    CHECK_INT(netconn_tls_load_certificate(both->o.tls, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY)), 0);
}
static void callback(struct both *both) { CHECK_INT(netconn_tls_set_verify_callback(both->o.tls, as_before, NULL), 0); }
static void other_name(struct both *both) { both->o.server_name = "localhost"; }
static void ssl_ctx(struct both *both) { CHECK_PTR_NOT_NULL(netconn_tls_ssl_ctx(both->o.tls)); }

static const struct {
    const char *what;
    void (*change)(struct both *both);
} changes[] = {{"the chain only", chain_only},
               {"nothing verified", nothing_verified},
               {"more trust", more_trust},
               {"ALPN", alpn},
               {"an own certificate", own_certificate},
               {"a verify callback", callback},
               {"another name", other_name},
               {"the SSL_CTX in the program's hands", ssl_ctx}};

static void other_settings_do_not_resume(int version, bool any_key) {
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        /* From the usual settings to the changed ones, and back. */
        for (int back = 0; back < small(2, 1); back++) {
            struct both *both = both_ends(version);
            struct cache *cache = new_cache();
            if (back) changes[i].change(both);
            keep_outside(both->o.tls, cache);
            CHECK(!meet(both));
            CHECK_CMP(cache->stores, >=, 1);
            both->o.tls = new_client(version);
            both->o.server_name = NULL;
            if (!back) changes[i].change(both);
            keep_outside(both->o.tls, cache);
            cache->any_key = any_key; /* a cache that mixes them up */
            if (meet(both)) FAIL("resumed: %s%s", changes[i].what, back ? ", and back" : "");
            CHECK_INT(cache->hits, any_key);
            /* What does not fit is thrown out. */
            if (any_key) CHECK_CMP(cache->removes, >=, 1);
        }
    }
}

BOTH_VERSIONS(under_other_settings_it_is_not_asked_for) { other_settings_do_not_resume(version, false); }
BOTH_VERSIONS(under_other_settings_it_is_refused) { other_settings_do_not_resume(version, true); }

BOTH_VERSIONS(another_peers_session_is_refused) {
    struct both *one = both_ends(version), *other = both_ends(version);
    other->loop = one->loop;
    struct cache *cache = new_cache();
    keep_outside(one->o.tls, cache);
    CHECK(!meet(one));
    cache->any_key = true;
    other->o.tls = one->o.tls;
    other->so.tls = one->so.tls; /* it would know the session */
    CHECK(!meet(other));
    CHECK_INT(cache->hits, 1);
}

/* Two contexts with a verify callback each: whether it is the same function is nobody's to know. */
BOTH_VERSIONS(contexts_with_a_callback_do_not_share) {
    struct both *both = both_ends(version);
    struct cache *cache = new_cache();
    callback(both);
    keep_outside(both->o.tls, cache);
    CHECK(!meet(both));
    CHECK(meet(both)); /* with itself it does */
    both->o.tls = new_client(version);
    callback(both);
    keep_outside(both->o.tls, cache);
    CHECK(!meet(both));
}

static void damage(int version, void (*spoil)(struct entry *entry, int round), int rounds, bool may_fail) {
    TEST_LIMIT(100);
    struct both *both = both_ends(version);
    struct cache *cache = new_cache();
    keep_outside(both->o.tls, cache);
    CHECK(!meet(both));
    struct entry good = cache->entries[0];
    for (int round = 0; round < rounds; round++) {
        cache->entries[0] = good;
        spoil(&cache->entries[0], round);
        start(both);
        RUN_UNTIL(both->loop, (both->client->ready || both->client->errors) && (both->server->ready || both->server->errors));
        if (both->client->errors && !may_fail) FAIL("round %d: %s", round, both->client->message);
        /* Whatever it was, the peer that was verified is the one that is there. */
        if (both->client->ready) {
            struct conn_certificate shown = {.size = sizeof shown};
            /* (One with a bad byte elsewhere may be a certificate that cannot be shown.) */
            if (conn_get_peer_certificate(both->client->c, &shown) == 0) CHECK_CONTAINS(shown.names, "127.0.0.1");
            CHECK_INT(conn_get_verify_result(both->client->c), 0);
        }
        part(both);
    }
}

static size_t shorter;
static void truncate_it(struct entry *entry, int round) { entry->len = (size_t)round * shorter + 1; }
static void lengthen_it(struct entry *entry, int round) {
    memset(entry->der + entry->len, round, MOST - entry->len);
    entry->len = round ? entry->len + (size_t)round : MOST;
}
static void flip_it(struct entry *entry, int round) { entry->der[((size_t)round * 7) % entry->len] ^= (unsigned char)(1 + round % 255); }
static void fill_it(struct entry *entry, int round) {
    fill_pattern(entry->der, MOST, (uint64_t)round * 1000);
    entry->len = round % 2 ? MOST : (size_t)round + 1;
}

BOTH_VERSIONS(a_session_that_is_cut_short) {
    shorter = (size_t)small(5, 80);
    damage(version, truncate_it, small(100, 6), false);
}
BOTH_VERSIONS(a_session_with_something_behind_it) { damage(version, lengthen_it, small(5, 2), false); }
BOTH_VERSIONS(a_session_of_noise) { damage(version, fill_it, small(20, 4), false); }
/* A changed key makes the peers disagree: that may end the handshake, in TLS 1.2 it does. */
BOTH_VERSIONS(a_session_with_a_byte_changed) { damage(version, flip_it, small(200, 8), true); }

TEST(lengths_that_cannot_be) {
    static const ssize_t lengths[] = {-1, MOST + 1, SSIZE_MAX, -SSIZE_MAX};
    for (int i = 0; i < 4; i++) {
        struct both *both = both_ends(TLS1_3_VERSION);
        struct cache *cache = new_cache();
        keep_outside(both->o.tls, cache);
        cache->says = lengths[i];
        CHECK(!meet(both));
        CHECK(!meet(both));
        CHECK_INT(cache->loads, 2);
    }
}

TEST(all_three_or_none) {
    struct cache *cache = new_cache();
    SocketTLSContext_T client = new_client(0);
    CHECK_ERRNO(netconn_tls_set_session_callbacks(client, store, fetch, NULL, cache), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "all three, or none");
    CHECK_ERRNO(netconn_tls_set_session_callbacks(client, store, NULL, forget, cache), EINVAL);
    CHECK_ERRNO(netconn_tls_set_session_callbacks(client, NULL, fetch, forget, cache), EINVAL);
    CHECK_ERRNO(netconn_tls_set_session_callbacks(client, NULL, NULL, forget, cache), EINVAL);
    CHECK_ERRNO(netconn_tls_set_session_callbacks(NULL, store, fetch, forget, cache), EINVAL);
    CHECK_INT(netconn_tls_set_session_callbacks(client, NULL, NULL, NULL, NULL), 0);
}

BOTH_VERSIONS(back_to_the_contexts_own_memory) {
    struct both *both = both_ends(version);
    struct cache *cache = new_cache();
    keep_outside(both->o.tls, cache);
    CHECK(!meet(both));
    CHECK_INT(netconn_tls_set_session_callbacks(both->o.tls, NULL, NULL, NULL, NULL), 0);
    int stores = cache->stores, loads = cache->loads;
    CHECK(!meet(both));
    CHECK(meet(both));
    CHECK_INT(cache->stores, stores);
    CHECK_INT(cache->loads, loads);
}

TEST(without_reuse_nobody_is_asked) {
    struct both *both = both_ends(0);
    struct cache *cache = new_cache();
    keep_outside(both->o.tls, cache);
    CHECK_INT(netconn_tls_set_session_reuse(both->o.tls, false), 0);
    CHECK(!meet(both));
    CHECK_INT(cache->stores + cache->loads + cache->removes, 0);
}

BOTH_VERSIONS(what_was_not_verified_is_not_stored) {
    struct both *both = both_ends(version);
    struct cache *cache = new_cache();
    keep_outside(both->o.tls, cache);
    both->o.server_name = "elsewhere.example";
    start(both);
    client_wait_error(both->client);
    part(both);
    CHECK_INT(cache->stores, 0);
}

TEST(early_data_on_a_session_from_outside) {
    struct both *both = both_ends(TLS1_3_VERSION);
    CHECK_INT(netconn_tls_enable_early_data(both->so.tls, 0), 0);
    struct cache *cache = new_cache();
    keep_outside(both->o.tls, cache);
    CHECK(!meet(both));
    both->o.tls = new_client(TLS1_3_VERSION);
    keep_outside(both->o.tls, cache);
    both->o.early_data = "12345";
    both->o.early_data_len = 5;
    start(both);
    client_wait_ready(both->client);
    client_wait_ready(both->server);
    CHECK(conn_early_data_accepted(both->client->c));
    CHECK_INT(conn_early_data_len(both->server->c), 5);
    part(both);
}

/* ---- Callbacks of a client that do something -------------------------------------------------------------------------- */

static struct both *acting;
static int acted;

static void close_client(struct cache *cache) {
    (void)cache;
    if (acted++) return;
    struct net_conn *c = acting->client->c;
    acting->client->c = NULL;
    conn_close(c);
}
static void abort_client(struct cache *cache) {
    (void)cache;
    if (acted++) return;
    struct net_conn *c = acting->client->c;
    acting->client->c = NULL;
    conn_abort(c);
}
static void free_contexts(struct cache *cache) {
    if (acted++) return;
    netconn_tls_free(cache->arg);
}
static void run_nested(struct cache *cache) {
    (void)cache;
    if (acted++) return;
    for (int i = 0; i < 3; i++) CHECK(evloop_run_once(acting->loop, 0) >= 0);
}

enum where { IN_LOAD, IN_STORE, IN_REMOVE };

static void act(int version, enum where where, void (*what)(struct cache *cache)) {
    struct both *both = acting = both_ends(version);
    struct cache *cache = new_cache();
    keep_outside(both->o.tls, cache);
    CHECK(!meet(both));
    int fds = fd_count();
    acted = 0;
    if (where == IN_LOAD) cache->in_load = what;
    if (where == IN_STORE) cache->in_store = what;
    if (where == IN_REMOVE) cache->in_remove = what;
    start(both);
    char byte;
    RUN_UNTIL(both->loop, acted);
    cache->in_load = cache->in_store = cache->in_remove = NULL;
    run_rounds(both->loop);
    if (both->client->c) { /* it went on */
        client_wait_ready(both->client);
        client_wait_ready(both->server);
        client_write(both->server, "t", 1);
        client_read(both->client, &byte, 1);
    }
    part(both);
    CHECK_NO_NEW_FDS(fds);
    meet(both); /* the context goes on */
}

TEST(closing_in_load) { act(TLS1_3_VERSION, IN_LOAD, close_client); }
TEST(closing_in_load_tls12) { act(TLS1_2_VERSION, IN_LOAD, close_client); }
TEST(aborting_in_load) { act(TLS1_3_VERSION, IN_LOAD, abort_client); }
TEST(closing_in_remove) { act(TLS1_3_VERSION, IN_REMOVE, close_client); }
TEST(aborting_in_remove) { act(TLS1_3_VERSION, IN_REMOVE, abort_client); }
TEST(running_the_loop_in_load) { act(TLS1_3_VERSION, IN_LOAD, run_nested); }
TEST(running_the_loop_in_load_tls12) { act(TLS1_2_VERSION, IN_LOAD, run_nested); }

static void in_a_read(void (*what)(struct cache *cache)) {
    struct both *both = acting = both_ends(TLS1_3_VERSION);
    struct cache *cache = new_cache();
    keep_outside(both->o.tls, cache);
    CHECK(!meet(both));
    int fds = fd_count();
    acted = 0;
    start(both);
    client_wait_ready(both->client);
    client_wait_ready(both->server);
    cache->in_store = what; /* tickets come with what is read */
    client_write(both->server, "t", 1);
    struct net_conn *c = both->client->c;
    char byte;
    ssize_t n = -1;
    while (!acted) {
        CHECK(evloop_run_once(both->loop, 10) >= 0);
        n = conn_try_read(c, &byte, 1);
        if (acted) CHECK_INT(errno, ECANCELED);
    }
    CHECK_INT(n, -1);
    cache->in_store = NULL;
    run_rounds(both->loop);
    part(both);
    CHECK_NO_NEW_FDS(fds);
}

TEST(closing_in_store) { in_a_read(close_client); }
TEST(aborting_in_store) { in_a_read(abort_client); }

TEST(freeing_the_context_in_load) {
    struct both *both = acting = both_ends(TLS1_3_VERSION);
    struct cache *cache = new_cache();
    SocketTLSContext_T context = netconn_tls_client(cert(CERT_CA));
    CHECK_PTR_NOT_NULL(context);
    both->o.tls = context;
    keep_outside(context, cache);
    CHECK(!meet(both));
    acted = 0;
    cache->arg = &context;
    cache->in_load = free_contexts;
    start(both);
    client_wait_ready(both->client);
    client_wait_ready(both->server);
    CHECK_PTR_NULL(context);
    int calls = cache->stores + cache->loads;
    char byte;
    client_write(both->server, "t", 1);
    client_read(both->client, &byte, 1);
    CHECK_INT(cache->stores + cache->loads, calls); /* no callback after the free */
    part(both);
}

/* ---- Servers ----------------------------------------------------------------------------------------------------------- */

static SocketTLSContext_T fleet(struct cache *cache) {
    SocketTLSContext_T server = new_server();
    keep_outside(server, cache);
    return server;
}

BOTH_VERSIONS(a_server_resumes_what_another_one_stored) {
    struct both *both = both_ends(version);
    struct cache *cache = new_cache();
    both->so.tls = fleet(cache);
    CHECK(!meet(both));
    CHECK_CMP(cache->stores, >=, 1);
    CHECK_INT(strlen(cache->last_key), 64);
    CHECK_INT(strspn(cache->last_key, "0123456789abcdef"), 64);
    for (int i = 0; i < 4; i++) {
        both->so.tls = fleet(cache);
        CHECK(meet(both));
        CHECK_INT(cache->hits, i + 1);
        CHECK_INT(cache->removes, version == TLS1_3_VERSION ? i + 1 : 0);
    }
    CHECK_INT(entries(cache), version == TLS1_3_VERSION ? cache->stores - cache->removes : 1);
}

BOTH_VERSIONS(an_empty_cache_is_a_full_handshake) {
    struct both *both = both_ends(version);
    struct cache *cache = new_cache();
    both->so.tls = fleet(cache);
    CHECK(!meet(both));
    memset(cache->entries, 0, sizeof cache->entries);
    CHECK(!meet(both)); /* nothing is remembered beside it */
    CHECK_CMP(cache->loads, >=, 1);
    CHECK(meet(both));
    memset(cache->entries, 0, sizeof cache->entries);
    both->so.tls = new_server(); /* and no ticket was given that others could read */
    CHECK(!meet(both));
}

BOTH_VERSIONS(a_servers_cache_that_mixes_them_up) {
    struct both *both = both_ends(version);
    struct cache *cache = new_cache();
    both->so.tls = fleet(cache);
    CHECK(!meet(both));
    both->o.tls = new_client(version);
    CHECK(!meet(both)); /* another client's session is in there now */
    both->o.tls = new_client(version);
    CHECK(!meet(both));
    struct entry *entry = &cache->entries[0];
    for (int i = 1; i < 8; i++) cache->entries[i].len = 0; /* only the first client's is left, */
    cache->any_key = true;                                /* and it is given to the last one */
    CHECK(entry->len > 0);
    CHECK(!meet(both));
    CHECK_CMP(cache->hits, >=, 1);
    CHECK_CMP(cache->removes, >=, 1);
}

static void servers_damage(int version, void (*spoil)(struct entry *entry, int round), int rounds, bool may_fail) {
    TEST_LIMIT(100);
    struct both *both = both_ends(version);
    struct cache *cache = new_cache();
    both->so.tls = fleet(cache);
    for (int round = 0; round < rounds; round++) {
        memset(cache->entries, 0, sizeof cache->entries);
        both->o.tls = new_client(version);
        meet(both);
        for (int i = 0; i < 8; i++)
            if (cache->entries[i].len) spoil(&cache->entries[i], round);
        start(both);
        RUN_UNTIL(both->loop, (both->client->ready || both->client->errors) && (both->server->ready || both->server->errors));
        if (both->client->errors && !may_fail) FAIL("round %d: %s", round, both->client->message);
        part(both);
    }
}

BOTH_VERSIONS(a_servers_session_that_is_cut_short) {
    shorter = (size_t)small(7, 60);
    servers_damage(version, truncate_it, small(30, 4), false);
}
BOTH_VERSIONS(a_servers_session_of_noise) { servers_damage(version, fill_it, small(10, 3), false); }
BOTH_VERSIONS(a_servers_session_with_a_byte_changed) { servers_damage(version, flip_it, small(60, 5), true); }

BOTH_VERSIONS(a_session_without_a_client_certificate_does_not_spare_it) {
    struct both *both = both_ends(version);
    CHECK_INT(netconn_tls_load_certificate(both->o.tls, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY)), 0);
    struct cache *cache = new_cache();
    both->so.tls = fleet(cache);
    CHECK(!meet(both));
    both->so.tls = fleet(cache);
    CHECK_INT(netconn_tls_load_ca(both->so.tls, cert(CERT_CA)), 0);
    CHECK_INT(netconn_tls_set_verify(both->so.tls, NETCONN_TLS_VERIFY_REQUIRE_CLIENT), 0);
    CHECK(!meet(both));
    CHECK(meet(both)); /* with the certificate in the session it does */
    both->o.tls = new_client(version);
    start(both); /* a client without any */
    RUN_UNTIL(both->loop, both->server->ready || both->server->errors);
    CHECK_INT(both->server->ready, 0);
    part(both);
}

static int accept_all(int preverified, int depth, const char *subject, long error, void *arg) {
    (void)preverified, (void)depth, (void)subject, (void)error;
    ++*(int *)arg;
    return 1;
}

/* What a callback accepted against OpenSSL's judgement is asked each time. */
BOTH_VERSIONS(what_only_the_callback_accepted_is_not_stored) {
    struct both *both = both_ends(version);
    CHECK_INT(netconn_tls_load_certificate(both->o.tls, cert("untrusted-client.pem"), cert("untrusted-client.key")), 0);
    struct cache *cache = new_cache();
    both->so.tls = fleet(cache);
    int calls = 0;
    CHECK_INT(netconn_tls_load_ca(both->so.tls, cert(CERT_CA)), 0);
    CHECK_INT(netconn_tls_set_verify(both->so.tls, NETCONN_TLS_VERIFY_REQUIRE_CLIENT), 0);
    CHECK_INT(netconn_tls_set_verify_callback(both->so.tls, accept_all, &calls), 0);
    CHECK(!meet(both));
    int once = calls;
    CHECK_CMP(once, >=, 1);
    CHECK(!meet(both));
    CHECK_INT(calls, 2 * once);
    CHECK_INT(cache->stores, 0);
}

TEST(a_server_with_an_outside_cache_takes_no_early_data) {
    struct both *both = both_ends(TLS1_3_VERSION);
    struct cache *cache = new_cache();
    both->so.tls = fleet(cache);
    CHECK_INT(netconn_tls_enable_early_data(both->so.tls, 0), 0);
    CHECK(!meet(both));
    both->o.early_data = "12345";
    both->o.early_data_len = 5;
    start(both);
    client_wait_ready(both->client);
    client_wait_ready(both->server);
    CHECK(conn_session_reused(both->client->c));
    CHECK(!conn_early_data_accepted(both->client->c));
    CHECK_INT(conn_early_data_len(both->server->c), 0);
    char got[5];
    client_read(both->server, got, 5);
    CHECK_MEM(got, "12345", 5);
    part(both);
}

/* It was promised before the cache was changed. */
TEST(early_data_on_the_way_when_the_cache_changes) {
    struct both *both = both_ends(TLS1_3_VERSION);
    CHECK_INT(netconn_tls_enable_early_data(both->so.tls, 0), 0);
    CHECK(!meet(both));
    keep_outside(both->so.tls, new_cache());
    both->o.early_data = "12345";
    both->o.early_data_len = 5;
    start(both);
    client_wait_ready(both->client);
    client_wait_ready(both->server);
    CHECK(!conn_early_data_accepted(both->client->c));
    char got[5];
    client_read(both->server, got, 5);
    CHECK_MEM(got, "12345", 5);
    part(both);
}

BOTH_VERSIONS(after_a_fatal_error_the_session_is_forgotten) {
    struct both *both = both_ends(version);
    struct cache *cache = new_cache();
    both->so.tls = fleet(cache);
    start(both);
    client_wait_ready(both->client);
    client_wait_ready(both->server);
    int removes = cache->removes;
    /* A record that nobody encrypted. */
    static const unsigned char bad[] = {23, 3, 3, 0, 32, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    CHECK_INT(send(both->client->c->fd, bad, sizeof bad, MSG_NOSIGNAL), sizeof bad);
    char byte;
    CHECK_INT(client_read_some(both->server, &byte, 1), -1);
    CHECK_INT(conn_get_error(both->server->c), CONN_ERR_TLS);
    CHECK_CMP(cache->removes, >, removes);
    part(both);
}

BOTH_VERSIONS(a_servers_own_memory_again) {
    struct both *both = both_ends(version);
    struct cache *cache = new_cache();
    both->so.tls = fleet(cache);
    CHECK(!meet(both));
    CHECK_INT(netconn_tls_set_session_callbacks(both->so.tls, NULL, NULL, NULL, NULL), 0);
    int calls = cache->stores + cache->loads + cache->removes;
    meet(both);
    CHECK(meet(both));
    CHECK_INT(cache->stores + cache->loads + cache->removes, calls);
}

static void close_server(struct cache *cache) {
    (void)cache;
    if (acted++) return;
    struct net_conn *c = acting->server->c;
    acting->server->c = NULL;
    conn_close(c);
}
static void abort_server(struct cache *cache) {
    (void)cache;
    if (acted++) return;
    struct net_conn *c = acting->server->c;
    acting->server->c = NULL;
    conn_abort(c);
}

static void act_as_server(int version, enum where where, void (*what)(struct cache *cache)) {
    struct both *both = acting = both_ends(version);
    struct cache *cache = new_cache();
    both->so.tls = fleet(cache);
    CHECK(!meet(both));
    int fds = fd_count();
    acted = 0;
    if (where == IN_LOAD) cache->in_load = what;
    if (where == IN_STORE) cache->in_store = what;
    if (where == IN_REMOVE) cache->in_remove = what;
    if (where == IN_STORE) {
        both->o.tls = new_client(version); /* a full handshake, which stores */
    }
    start(both);
    RUN_UNTIL(both->loop, acted);
    cache->in_load = cache->in_store = cache->in_remove = NULL;
    run_rounds(both->loop);
    CHECK_INT(both->server->ready, 0);
    CHECK_INT(both->server->errors, 0); /* closed: nothing is reported */
    part(both);
    CHECK_NO_NEW_FDS(fds);
    meet(both);
}

BOTH_VERSIONS(a_server_closed_in_load) { act_as_server(version, IN_LOAD, close_server); }
BOTH_VERSIONS(a_server_aborted_in_load) { act_as_server(version, IN_LOAD, abort_server); }
BOTH_VERSIONS(a_server_closed_in_store) { act_as_server(version, IN_STORE, close_server); }
BOTH_VERSIONS(a_server_aborted_in_store) { act_as_server(version, IN_STORE, abort_server); }
TEST(a_server_closed_in_remove) { act_as_server(TLS1_3_VERSION, IN_REMOVE, close_server); }
TEST(a_server_aborted_in_remove) { act_as_server(TLS1_3_VERSION, IN_REMOVE, abort_server); }

TEST_MAIN
