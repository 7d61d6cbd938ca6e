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

/* What the example prints on its standard output, and its exit status. */
static int run_example(const char *host, const char *port, const char *tls, char *out, size_t size) {
    char path[300], program[] = "example", address[100], number[20], word[] = "tls";
    snprintf(path, sizeof path, "%s/output", temp_dir());
    snprintf(address, sizeof address, "%s", host);
    snprintf(number, sizeof number, "%s", port);
    char *arguments[] = {program, address, number, tls ? word : NULL, NULL};
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        dup2(fd, 1);
        close(fd);
        exit(EXAMPLE(tls ? 4 : 3, arguments));
    }
    int status;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    out[fread(out, 1, size - 1, file)] = 0;
    fclose(file);
    return WEXITSTATUS(status);
}

static const char *site(void) {
    const char *dir = temp_dir();
    char path[300];
    CHECK_INT(chmod(dir, 0755), 0);
    snprintf(path, sizeof path, "%s/index.html", dir);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs("the page of a test\n", file);
    CHECK_INT(fclose(file), 0);
    return dir;
}

TEST(it_fetches_by_http) {
    char out[4096];
    const char *port = start_nginx(site(), NULL, NULL, NULL);
    CHECK_INT(run_example("127.0.0.1", port, NULL, out, sizeof out), 0);
    CHECK_CONTAINS(out, "HTTP/1.1 200 OK\r\n");
    CHECK_CONTAINS(out, "\r\n\r\nthe page of a test\n");
}

TEST(it_fetches_by_https) {
    NEEDS_TLS();
    char out[4096];
    const char *port = start_nginx(site(), CERT_GOOD, CERT_GOOD_KEY, "TLSv1.2 TLSv1.3");
    CHECK_INT(setenv("SSL_CERT_FILE", cert(CERT_CA), 1), 0);
    CHECK_INT(run_example("localhost", port, "tls", out, sizeof out), 0);
    CHECK_CONTAINS(out, "HTTP/1.1 200 OK\r\n");
    CHECK_CONTAINS(out, "\r\n\r\nthe page of a test\n");
    /* It looks whom it talks to. */
    CHECK_INT(setenv("SSL_CERT_FILE", "/dev/null", 1), 0);
    CHECK(run_example("localhost", port, "tls", out, sizeof out) != 0);
    CHECK_STR(out, "");
}

TEST(it_says_what_goes_wrong) {
    char out[4096];
    CHECK_INT(run_example("127.0.0.1", refused_port(), NULL, out, sizeof out), 1);
    CHECK_STR(out, "");
}

TEST_MAIN
