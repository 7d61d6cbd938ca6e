/*
 * loop.h - runs an example of examples/loop_*.c, which is compiled into the test (EXAMPLE: its main), against nginx.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/peers.h"
#include "../support/programs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the last run printed, on its standard output and on the error one. */
static char out[4096], errors[4096];

static const char *file(const char *name) {
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", temp_dir(), name);
    return path;
}

static void to_file(int fd, const char *name) {
    int opened = open(file(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(opened, fd);
    close(opened);
}

static void read_file(const char *name, char *text, size_t size) {
    FILE *stream = fopen(file(name), "r");
    CHECK(stream != NULL);
    text[fread(text, 1, size - 1, stream)] = 0;
    fclose(stream);
}

/* In a process of its own, which must end with this status. */
static void run_example(const char *host, const char *port, const char *tls, int expected) {
    char program[] = "example", address[100], number[20], word[] = "tls";
    snprintf(address, sizeof address, "%s", host);
    snprintf(number, sizeof number, "%s", port);
    char *arguments[] = {program, address, number, tls ? word : NULL, NULL};
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        to_file(1, "output");
        to_file(2, "errors");
        exit(EXAMPLE(tls ? 4 : 3, arguments));
    }
    int status;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    read_file("output", out, sizeof out);
    read_file("errors", errors, sizeof errors);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
        FAIL("it ended with status %x and said \"%s\"", (unsigned)status, errors);
}

static const char *site(void) {
    CHECK_INT(chmod(temp_dir(), 0755), 0);
    FILE *page = fopen(file("index.html"), "w");
    CHECK(page != NULL);
    fputs("the page of a test\n", page);
    CHECK_INT(fclose(page), 0);
    return temp_dir();
}

TEST(it_fetches_by_http) {
    run_example("127.0.0.1", start_nginx(site(), NULL, NULL, NULL), NULL, 0);
    CHECK_CONTAINS(out, "HTTP/1.1 200 OK\r\n");
    CHECK_CONTAINS(out, "\r\n\r\nthe page of a test\n");
}

TEST(it_fetches_by_https) {
    NEEDS_TLS();
    const char *port = start_nginx(site(), CERT_GOOD, CERT_GOOD_KEY, "TLSv1.2 TLSv1.3");
    CHECK_INT(setenv("SSL_CERT_FILE", cert(CERT_CA), 1), 0);
    run_example("localhost", port, "tls", 0);
    CHECK_CONTAINS(out, "HTTP/1.1 200 OK\r\n");
    CHECK_CONTAINS(out, "\r\n\r\nthe page of a test\n");
    /* It looks whom it talks to. */
    CHECK_INT(setenv("SSL_CERT_FILE", cert(CERT_OTHER_CA), 1), 0);
    run_example("localhost", port, "tls", 1);
    CHECK_STR(out, "");
    CHECK_CONTAINS(errors, "not trusted");
}

TEST(it_says_what_goes_wrong) {
    run_example("127.0.0.1", refused_port(), NULL, 1);
    CHECK_STR(out, "");
    CHECK_CONTAINS(errors, "Connection refused");
}

/* The host's timer beside it: a server that is slow to answer sees it run. */
static void answer_late(struct peer_conn *pc) {
    char request[10];
    CHECK(peer_read_exactly(pc, request, sizeof request));
    for (errors[0] = 0; strlen(errors) < 2;) {
        read_file("errors", errors, sizeof errors);
        usleep(10000); /* nothing tells when a file grows */
    }
    peer_write(pc, "HTTP/1.1 204 No Content\r\n\r\n", 27);
}

TEST(a_timer_of_the_host_goes_on_meanwhile) {
    struct peer *peer = PEER(.serve = answer_late);
    run_example("127.0.0.1", peer_port(peer), NULL, 0);
    CHECK_CONTAINS(out, "204 No Content");
    CHECK_CONTAINS(errors, "..");
}

TEST_MAIN
