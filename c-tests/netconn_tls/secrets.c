/* Passwords of keys, and the key log. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "netconn.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void done(void *context) { netconn_tls_free(context); }

/* A context that is freed at the end of the test. */
static SocketTLSContext_T keep(SocketTLSContext_T context) {
    NEEDS_TLS();
    CHECK_PTR_NOT_NULL(context);
    SocketTLSContext_T *variable = alloc(sizeof *variable);
    *variable = context;
    at_end(done, variable);
    return context;
}

/* ---- Passwords --------------------------------------------------------------------------------------------------------- */

struct answer {
    const char *password;
    int length, calls, size;
    SocketTLSContext_T *to_free;
};

static int tell(char *buf, int size, void *arg) {
    struct answer *answer = arg;
    answer->calls++;
    answer->size = size;
    if (answer->to_free) netconn_tls_free(answer->to_free);
    if (answer->password) memcpy(buf, answer->password, strlen(answer->password));
    return answer->length;
}

static struct answer answer_of(const char *password) {
    return (struct answer){.password = password, .length = password ? (int)strlen(password) : 0};
}

/* The good key, encrypted with "s3cret" in one of the two forms: its path. */
static const char *encrypted(bool traditional, const EVP_CIPHER *cipher) {
    char *path = alloc(300);
    snprintf(path, 300, "%s/encrypted.key", temp_dir());
    FILE *in = fopen(cert(CERT_GOOD_KEY), "r"), *out = fopen(path, "w");
    CHECK(in && out);
    EVP_PKEY *key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
    CHECK(key != NULL);
    unsigned char *password = (unsigned char *)"s3cret";
    if (traditional) {
        BIO *bio = BIO_new_fp(out, BIO_NOCLOSE);
        CHECK_INT(PEM_write_bio_PrivateKey_traditional(bio, key, cipher, password, 6, NULL, NULL), 1);
        BIO_free(bio);
    } else {
        CHECK_INT(PEM_write_PKCS8PrivateKey(out, key, cipher, (char *)password, 6, NULL, NULL), 1);
    }
    EVP_PKEY_free(key);
    fclose(in);
    CHECK_INT(fclose(out), 0);
    return path;
}

static void check_serves(SocketTLSContext_T server) {
    int fds[2];
    tcp_pair(fds);
    struct ev_loop *loop = test_loop();
    struct conn_options o = tls_options(), so = options();
    o.server_name = "localhost";
    so.use_tls = so.server_side = true;
    so.tls = server;
    struct client *one = client_adopt(loop, fds[0], &o), *other = client_adopt(loop, fds[1], &so);
    client_wait_ready(one);
    client_wait_ready(other);
}

static void loads(const char *key) {
    SocketTLSContext_T server = keep(netconn_tls_server(NULL, NULL, NULL));
    struct answer answer = answer_of("s3cret");
    CHECK_INT(netconn_tls_set_password_callback(server, tell, &answer), 0);
    CHECK_INT(netconn_tls_load_certificate(server, cert(CERT_GOOD), key), 0);
    CHECK_INT(answer.calls, 1);
    CHECK_CMP(answer.size, >=, 64);
    check_serves(server);

    answer = answer_of("s3cretX"); /* a wrong one: clear, once, and the earlier pair stays */
    CHECK_ERRNO(netconn_tls_load_certificate(server, cert(CERT_GOOD), key), EINVAL);
    CHECK_INT(answer.calls, 1);
    CHECK_CONTAINS(netconn_tls_error(), key);
    CHECK_CONTAINS(netconn_tls_error(), "the password does not decrypt the private key");
    check_serves(server);

    answer = answer_of(NULL);
    CHECK_ERRNO(netconn_tls_load_certificate(server, cert(CERT_GOOD), key), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "the password callback gave no password");
    answer.length = -1;
    CHECK_ERRNO(netconn_tls_load_certificate(server, cert(CERT_GOOD), key), EINVAL);
    answer = answer_of("s3cret");
    answer.length = answer.size = 1 << 20; /* longer than the room */
    CHECK_ERRNO(netconn_tls_load_certificate(server, cert(CERT_GOOD), key), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "gave no password");
    answer.length = 1025;
    CHECK_ERRNO(netconn_tls_load_certificate(server, cert(CERT_GOOD), key), EINVAL);

    CHECK_INT(netconn_tls_set_password_callback(server, NULL, NULL), 0);
    CHECK_ERRNO(netconn_tls_load_certificate(server, cert(CERT_GOOD), key), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "there is no password for it");
}

TEST(a_pkcs8_key) { loads(encrypted(false, EVP_aes_256_cbc())); }
TEST(a_traditional_key) { loads(encrypted(true, EVP_aes_128_cbc())); }

TEST(a_key_in_memory) {
    FILE *file = fopen(encrypted(false, EVP_aes_256_cbc()), "r"), *chain_file = fopen(cert(CERT_GOOD), "r");
    CHECK(file && chain_file);
    char key[8192], chain[8192];
    size_t key_len = fread(key, 1, sizeof key, file), chain_len = fread(chain, 1, sizeof chain, chain_file);
    fclose(file);
    fclose(chain_file);
    SocketTLSContext_T server = keep(netconn_tls_server(NULL, NULL, NULL));
    CHECK_ERRNO(netconn_tls_load_certificate_pem(server, chain, chain_len, key, key_len), EINVAL);
    struct answer answer = answer_of("s3cret");
    CHECK_INT(netconn_tls_set_password_callback(server, tell, &answer), 0);
    CHECK_INT(netconn_tls_load_certificate_pem(server, chain, chain_len, key, key_len), 0);
    CHECK_INT(answer.calls, 1);
}

TEST(a_key_that_is_not_encrypted_asks_nobody) {
    SocketTLSContext_T server = keep(netconn_tls_server(NULL, NULL, NULL));
    struct answer answer = answer_of("s3cret");
    CHECK_INT(netconn_tls_set_password_callback(server, tell, &answer), 0);
    CHECK_INT(netconn_tls_load_certificate(server, cert(CERT_GOOD), cert(CERT_GOOD_KEY)), 0);
    CHECK_INT(answer.calls, 0);
    CHECK_ERRNO(netconn_tls_load_certificate(server, cert(CERT_GOOD), cert("garbage.pem")), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "no private key in it");
    CHECK_INT(answer.calls, 0);
    CHECK_ERRNO(netconn_tls_set_password_callback(NULL, tell, NULL), EINVAL);
}

TEST(a_clients_key) {
    SocketTLSContext_T client = keep(netconn_tls_client(cert(CERT_CA)));
    struct answer answer = answer_of("s3cret");
    CHECK_INT(netconn_tls_set_password_callback(client, tell, &answer), 0);
    CHECK_INT(netconn_tls_load_certificate(client, cert(CERT_GOOD), encrypted(false, EVP_aes_256_cbc())), 0);
}

TEST(the_callback_frees_the_context) {
    NEEDS_TLS();
    SocketTLSContext_T server = netconn_tls_server(NULL, NULL, NULL), given = server;
    CHECK_PTR_NOT_NULL(server);
    struct answer answer = answer_of("s3cret");
    answer.to_free = &server;
    CHECK_INT(netconn_tls_set_password_callback(server, tell, &answer), 0);
    CHECK_ERRNO(netconn_tls_load_certificate(given, cert(CERT_GOOD), encrypted(false, EVP_aes_256_cbc())), ECANCELED);
    CHECK_PTR_NULL(server);
}

/* Without a callback nobody is asked, even where there is a terminal to ask on: the call returns. */
TEST(the_terminal_is_left_alone) {
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0) SKIP("needs a pseudo-terminal (devpts)");
    CHECK_INT(grantpt(terminal), 0);
    CHECK_INT(unlockpt(terminal), 0);
    const char *key = encrypted(true, EVP_aes_128_cbc());
    SocketTLSContext_T server = keep(netconn_tls_server(NULL, NULL, NULL));
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        setsid();
        int tty = open(ptsname(terminal), O_RDWR); /* its controlling terminal */
        if (tty < 0) _exit(3);
        dup2(tty, 0);
        dup2(tty, 1);
        dup2(tty, 2);
        alarm((unsigned)slow(10)); /* a prompt would wait for ever */
        int result = netconn_tls_load_certificate(server, cert(CERT_GOOD), key);
        netconn_tls_free(&server);
        netconn_cleanup();
        _exit(result == -1 ? 0 : 1);
    }
    int status;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
    CHECK_INT(fcntl(terminal, F_SETFL, O_NONBLOCK), 0);
    char shown[100];
    CHECK_CMP(read(terminal, shown, sizeof shown), <=, 0);
    close(terminal);
}

/* ---- The key log ------------------------------------------------------------------------------------------------------- */

static const char *log_path(void) {
    char *path = alloc(300);
    snprintf(path, 300, "%s/keys", temp_dir());
    return path;
}

static char *contents(const char *path) {
    char *text = alloc(1 << 20);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(text, 1, (1 << 20) - 1, file) : 0;
    if (file) fclose(file);
    text[n] = 0;
    return text;
}

/* Lines of a peer's own key log. */
static pthread_mutex_t peer_lock = PTHREAD_MUTEX_INITIALIZER;
static char peer_lines[1 << 16];
static void peer_line(const SSL *ssl, const char *line) {
    (void)ssl;
    pthread_mutex_lock(&peer_lock);
    strncat(peer_lines, line, sizeof peer_lines - strlen(peer_lines) - 2);
    strcat(peer_lines, "\n");
    pthread_mutex_unlock(&peer_lock);
}

static void serve_logging(struct peer_conn *pc) {
    SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(pc->ssl), peer_line);
    if (SSL_accept(pc->ssl) == 1) serve_echo(pc);
}

static int lines_of(const char *text) {
    int n = 0;
    for (; (text = strchr(text, '\n')); text++) n++;
    return n;
}

/* Each line of one is a line of the other. */
static void check_lines_in(const char *lines, const char *all) {
    char *copy = strcpy(alloc(strlen(lines) + 1), lines), *rest;
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char whole[1000];
        snprintf(whole, sizeof whole, "%s\n", line);
        CHECK_CONTAINS(all, whole);
    }
}

BOTH_VERSIONS(the_secrets_of_the_connection) {
    struct peer *peer = TLS_PEER(version, .serve = serve_logging, .no_handshake = true);
    struct conn_options o = tls_options();
    const char *path = log_path();
    CHECK_INT(netconn_tls_set_keylog(o.tls, path), 0);
    struct stat made;
    CHECK_INT(stat(path, &made), 0);
    CHECK_INT(made.st_mode & 07777, 0600);
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    client_echo(client, "something");
    const char *ours = contents(path);
    CHECK_INT(lines_of(ours), version == TLS1_2_VERSION ? 1 : 5);
    CHECK_CONTAINS(ours, version == TLS1_2_VERSION ? "CLIENT_RANDOM " : "CLIENT_TRAFFIC_SECRET_0 ");
    check_lines_in(ours, peer_lines); /* what the other end says of the same connection */
    check_lines_in(peer_lines, ours);
    client_close(client);

    /* Appended to; switched off; on again. */
    int before = lines_of(ours);
    client = client_open(client->loop, "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    client_close(client);
    int after = lines_of(contents(path));
    CHECK_CMP(after, >, before);
    CHECK_INT(netconn_tls_set_keylog(o.tls, ""), 0);
    client = client_open(client->loop, "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    client_close(client);
    CHECK_INT(lines_of(contents(path)), after);
    CHECK_INT(netconn_tls_set_keylog(o.tls, path), 0);
    client = client_open(client->loop, "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    CHECK_CMP(lines_of(contents(path)), >, after);
    client_close(client);
    run_rounds(client->loop);
    peer_stop(peer);
}

BOTH_VERSIONS(both_ends_say_the_same) {
    char ours[300], theirs[300];
    snprintf(ours, sizeof ours, "%s/client", temp_dir());
    snprintf(theirs, sizeof theirs, "%s/server", temp_dir());
    struct conn_options o = tls_options(), so = options();
    CHECK_INT(netconn_tls_set_versions(o.tls, version, version), 0);
    o.server_name = "localhost";
    so.use_tls = so.server_side = true;
    so.tls = keep(netconn_tls_server(cert(CERT_GOOD), cert(CERT_GOOD_KEY), NULL));
    CHECK_INT(netconn_tls_set_keylog(o.tls, ours), 0);
    setenv("SSLKEYLOGFILE", theirs, 1);
    CHECK_INT(netconn_tls_set_keylog(so.tls, NULL), 0);
    int fds[2];
    tcp_pair(fds);
    struct ev_loop *loop = test_loop();
    struct client *client = client_adopt(loop, fds[0], &o), *server = client_adopt(loop, fds[1], &so);
    client_wait_ready(client);
    client_wait_ready(server);
    CHECK_CMP(lines_of(contents(ours)), >=, 1);
    check_lines_in(contents(ours), contents(theirs));
    check_lines_in(contents(theirs), contents(ours));
}

TEST(off_unless_asked_for) {
    const char *path = log_path();
    setenv("SSLKEYLOGFILE", path, 1);
    struct client *client = ready_client(test_loop(), TLS1_3_VERSION, TLS_PEER(TLS1_3_VERSION));
    CHECK_ERRNO(access(path, F_OK), ENOENT);
    client_close(client);
}

static char warned[600];
static int warnings;
static void on_log(int level, const char *message, void *arg) {
    (void)arg;
    if (level != NETCONN_LOG_WARN) return;
    warnings++;
    snprintf(warned, sizeof warned, "%s", message);
}

TEST(it_is_said_in_the_log) {
    netconn_set_log(on_log, NULL);
    struct peer *peer = TLS_PEER(TLS1_3_VERSION);
    struct conn_options o = tls_options();
    const char *path = log_path();
    CHECK_INT(netconn_tls_set_keylog(o.tls, path), 0);
    for (int i = 0; i < 3; i++) {
        struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
        client_wait_ready(client);
        client_close(client);
    }
    CHECK_INT(warnings, 1);
    CHECK_CONTAINS(warned, path);
    netconn_set_log(NULL, NULL);
}

TEST(what_cannot_be_opened) {
    SocketTLSContext_T client = keep(netconn_tls_client(cert(CERT_CA)));
    unsetenv("SSLKEYLOGFILE");
    CHECK_INT(netconn_tls_set_keylog(client, NULL), 0); /* nobody wants one */
    setenv("SSLKEYLOGFILE", "", 1);
    CHECK_INT(netconn_tls_set_keylog(client, NULL), 0);
    setenv("SSLKEYLOGFILE", "/nonexistent/keys", 1);
    CHECK_ERRNO(netconn_tls_set_keylog(client, NULL), ENOENT);
    CHECK_CONTAINS(netconn_tls_error(), "/nonexistent/keys");
    CHECK_ERRNO(netconn_tls_set_keylog(client, "/nonexistent/keys"), ENOENT);
    CHECK_ERRNO(netconn_tls_set_keylog(client, temp_dir()), EISDIR);
    CHECK_ERRNO(netconn_tls_set_keylog(NULL, "/tmp/x"), EINVAL);
    CHECK_INT(netconn_tls_set_keylog(client, ""), 0); /* off already */
    if (getuid() == 0) {
        CHECK_INT(seteuid(65534), 0);
        CHECK_ERRNO(netconn_tls_set_keylog(client, log_path()), EACCES);
        CHECK_INT(seteuid(0), 0);
    }
}

TEST(a_full_disk_is_no_connections_business) {
    if (access("/dev/full", W_OK) != 0) SKIP("needs /dev/full");
    netconn_set_log(on_log, NULL);
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_keylog(o.tls, "/dev/full"), 0);
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(TLS_PEER(TLS1_3_VERSION)), &o);
    client_wait_ready(client);
    client_echo(client, "all the same");
    CHECK_INT(warnings, 2);
    CHECK_CONTAINS(warned, "No space left");
    client_close(client);
    netconn_set_log(NULL, NULL);
}

TEST(a_pipe_that_nobody_reads) {
    char path[300];
    snprintf(path, sizeof path, "%s/pipe", temp_dir());
    CHECK_INT(mkfifo(path, 0600), 0);
    SocketTLSContext_T client = keep(netconn_tls_client(cert(CERT_CA)));
    CHECK_ERRNO(netconn_tls_set_keylog(client, path), ENXIO); /* and does not wait */
}

/* Several processes, each with several contexts, and one file: whole lines. */
/* The peer is another process: a thread of this one could hold a lock of the allocator's or of OpenSSL's at a fork. */
TEST(lines_are_whole) {
    const char *path = log_path();
    const char *port = peer_process_of(TLS1_3_VERSION);
    enum { PROCESSES = 4 };
    pid_t pids[PROCESSES];
    int each = small(20, 4);
    for (int p = 0; p < PROCESSES; p++) {
        pids[p] = fork();
        CHECK(pids[p] >= 0);
        if (pids[p] == 0) {
            struct ev_loop *loop = evloop_new();
            for (int i = 0; i < each; i++) {
                struct conn_options o = options();
                o.use_tls = true;
                o.tls = netconn_tls_client(cert(CERT_CA));
                if (!o.tls || netconn_tls_set_keylog(o.tls, path) != 0) _exit(1);
                struct net_conn *c = conn_new_with(loop, "127.0.0.1", port, &o, NULL, NULL, NULL);
                while (conn_get_state(c) != CONN_READY) {
                    if (conn_get_state(c) == CONN_ERROR || evloop_run_once(loop, 5000) < 0) _exit(2);
                }
                conn_close(c);
                netconn_tls_free(&o.tls);
            }
            _exit(0);
        }
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status;
        CHECK_INT(waitpid(pids[p], &status, 0), pids[p]);
        CHECK_INT(status, 0);
    }
    char *text = contents(path), *rest;
    CHECK_INT(lines_of(text), PROCESSES * each * 5);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char label[40], random[80], secret[200];
        CHECK_INT(sscanf(line, "%39[A-Z0-9_] %79[0-9a-f] %199[0-9a-f]", label, random, secret), 3);
        CHECK_INT(strlen(random), 64);
        CHECK(strlen(secret) == 64 || strlen(secret) == 96);
        CHECK_INT(strlen(line), strlen(label) + strlen(random) + strlen(secret) + 2);
    }
}

TEST_MAIN
