/* STARTTLS as SMTP and IMAP do it, against openssl s_server and s_client, with TLS 1.2 and 1.3. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/programs.h"
#include "../support/transports.h"
#include "../support/upgrade.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* What one side of a dialogue says after each line that begins so; the last answer is followed by TLS. */
struct step {
    const char *line, *answer;
};

static const struct step smtp_server[] = {
    {"EHLO ", "250-mail.test.example at your service\r\n250-PIPELINING\r\n250 STARTTLS\r\n"}, {"STARTTLS\r\n", "220 Go ahead\r\n"}, {0}};
static const struct step imap_server[] = {{"", ""}, {0}};
static const struct step smtp_client[] = {{"220 ", "EHLO client.test.example\r\n"}, {"250 ", "STARTTLS\r\n"}, {"220 ", NULL}, {0}};
static const struct step imap_client[] = {{"* OK", "a1 CAPABILITY\r\n"}, {"a1 OK", "a2 STARTTLS\r\n"}, {"a2 OK", NULL}, {0}};

/* A line of an IMAP client: a tag and a command. What a server says to it. */
static bool imap_answer(const char *line, char *answer, size_t size) {
    char tag[32];
    if (sscanf(line, "%31s", tag) != 1) FAIL("not an IMAP command: %s", line);
    if (strstr(line, "CAPABILITY")) {
        snprintf(answer, size, "* CAPABILITY IMAP4rev1 STARTTLS\r\n%s OK done\r\n", tag);
        return false;
    }
    CHECK_CONTAINS(line, "STARTTLS");
    snprintf(answer, size, "%s OK begin TLS negotiation now\r\n", tag);
    return true;
}

/* The server's answer to a line, and whether TLS follows it. */
static bool server_answer(const struct step *script, int *at, const char *line, char *answer, size_t size) {
    if (script == imap_server) return imap_answer(line, answer, size);
    const struct step *step = &script[*at];
    if (strncmp(line, step->line, strlen(step->line)) != 0) FAIL("expected %s, and the client said %s", step->line, line);
    snprintf(answer, size, "%s", step->answer);
    ++*at;
    return script[*at].line == NULL;
}

struct relay {
    const struct step *script;
    const char *port; /* of a TLS server, which gets the bytes after the agreement */
};

static void serve_plain_then_relay(struct peer_conn *pc) {
    const struct relay *relay = pc->arg;
    const char *hello = relay->script == imap_server ? "* OK ready\r\n" : "220 mail.test.example ESMTP\r\n";
    CHECK(peer_write(pc, hello, strlen(hello)));
    char line[256], answer[256];
    int at = 0;
    for (bool tls = false; !tls;) {
        size_t n = 0;
        do {
            CHECK(n + 1 < sizeof line);
            if (!peer_read_exactly(pc, line + n, 1)) return;
            line[++n] = 0;
        } while (line[n - 1] != '\n');
        tls = server_answer(relay->script, &at, line, answer, sizeof answer);
        CHECK(peer_write(pc, answer, strlen(answer)));
    }
    pc->arg = (void *)(uintptr_t)relay->port;
    serve_trickle(pc);
}

struct talk {
    struct client *plain, *tls;
    const struct step *script;
    struct conn_options o;
    int at;
    char text[1024];
    size_t n;
    char secret[64]; /* what came under TLS */
    size_t secrets;
};

/* The one readable callback of a client, before TLS and after. */
static void converse(struct net_conn *c, void *arg) {
    struct talk *talk = arg;
    if (c->use_tls) {
        CHECK_INT(c->state, CONN_READY); /* no callback in the handshake */
        CHECK_INT(talk->tls->ready, 1);  /* and none before on_ready */
        ssize_t n = conn_try_read(c, talk->secret + talk->secrets, sizeof talk->secret - talk->secrets);
        if (n < 0) CHECK_INT(errno, EAGAIN);
        else talk->secrets += (size_t)n;
        return;
    }
    ssize_t n = conn_try_read(c, talk->text + talk->n, sizeof talk->text - 1 - talk->n);
    if (n < 0 && errno == EAGAIN) return;
    CHECK_CMP(n, >, 0);
    talk->n += (size_t)n;
    for (char *end; (end = memchr(talk->text, '\n', talk->n)) != NULL;) {
        const struct step *step = &talk->script[talk->at];
        bool matches = strncmp(talk->text, step->line, strlen(step->line)) == 0;
        talk->n -= (size_t)(end + 1 - talk->text);
        memmove(talk->text, end + 1, talk->n);
        if (!matches) continue; /* a line of several */
        talk->at++;
        if (step->answer) {
            client_write(talk->plain, step->answer, strlen(step->answer));
            continue;
        }
        CHECK_INT(talk->n, 0);
        talk->tls = start_tls(talk->plain, &talk->o);
    }
}

static void client_dialogue(int version, const struct step *server, const struct step *client_script) {
    struct relay relay = {.script = server};
    relay.port = start_s_server(CERT_GOOD, CERT_GOOD_KEY, "-rev", version == TLS1_2_VERSION ? "-tls1_2" : "-tls1_3", NULL);
    struct peer *peer = PEER(.serve = serve_plain_then_relay, .arg = &relay);
    struct talk talk = {.script = client_script, .o = tls_options()};
    struct conn_options o = options();
    talk.plain = client_open(test_loop(), "localhost", peer_port(peer), &o);
    conn_set_readable_callback(talk.plain->c, converse, &talk);
    RUN_UNTIL(talk.plain->loop, talk.tls != NULL);
    client_wait_ready(talk.tls);
    CHECK_STR(conn_get_tls_version(talk.tls->c), version_name(version));
    CHECK_INT(conn_get_verify_result(talk.tls->c), X509_V_OK);
    client_write(talk.tls, "abcdef\n", 7);
    RUN_UNTIL(talk.tls->loop, talk.secrets == 7);
    CHECK_MEM(talk.secret, "fedcba\n", 7);
    client_close(talk.tls);
}

BOTH_VERSIONS(an_smtp_client_meets_s_server) { client_dialogue(version, smtp_server, smtp_client); }
BOTH_VERSIONS(an_imap_client_meets_s_server) { client_dialogue(version, imap_server, imap_client); }

static void answer_lines(struct net_conn *c, void *arg) {
    struct talk *talk = arg;
    if (c->use_tls) {
        converse(c, arg);
        return;
    }
    ssize_t n = conn_try_read(c, talk->text + talk->n, sizeof talk->text - 1 - talk->n);
    if (n < 0 && errno == EAGAIN) return;
    CHECK_CMP(n, >, 0);
    talk->n += (size_t)n;
    talk->text[talk->n] = 0;
    if (!strchr(talk->text, '\n')) return;
    char answer[256];
    bool tls = server_answer(talk->script, &talk->at, talk->text, answer, sizeof answer);
    talk->n = 0;
    client_write(talk->plain, answer, strlen(answer));
    if (tls) talk->tls = start_tls(talk->plain, &talk->o);
}

static int listening(char port[8]) {
    struct sockaddr_in where = {.sin_family = AF_INET};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof where;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&where, len), 0);
    CHECK_INT(listen(fd, 8), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&where, &len), 0);
    snprintf(port, 8, "%d", ntohs(where.sin_port));
    return fd;
}

static void server_dialogue(int version, const char *protocol, const struct step *script) {
    char port[8];
    int listener = listening(port);
    struct program *s_client = start_s_client(port, "-starttls", protocol, version == TLS1_2_VERSION ? "-tls1_2" : "-tls1_3", NULL);
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    close(listener);
    struct talk talk = {.script = script, .o = server_options(version)};
    talk.plain = client_adopt(test_loop(), fd, NULL);
    client_wait_ready(talk.plain);
    const char *hello = script == imap_server ? "* OK ready\r\n" : "220 mail.test.example ESMTP\r\n";
    client_write(talk.plain, hello, strlen(hello));
    conn_set_readable_callback(talk.plain->c, answer_lines, &talk);
    RUN_UNTIL(talk.plain->loop, talk.tls != NULL);
    client_wait_ready(talk.tls);
    CHECK_STR(conn_get_tls_version(talk.tls->c), version_name(version));
    CHECK_INT(write(s_client->in, "from the client\n", 16), 16);
    RUN_UNTIL(talk.tls->loop, talk.secrets >= 16);
    CHECK_MEM(talk.secret, "from the client\n", 16);
    client_write(talk.tls, "from the server\n", 16);
    /* With -starttls imap, s_client shows a line that came in plain text first. */
    program_until(s_client, "from the server\n");
    client_close(talk.tls);
}

BOTH_VERSIONS(an_smtp_server_meets_s_client) { server_dialogue(version, "smtp", smtp_server); }
BOTH_VERSIONS(an_imap_server_meets_s_client) { server_dialogue(version, "imap", imap_server); }

TEST_MAIN
