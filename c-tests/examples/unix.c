/* examples/unix.c, run as a user runs it: against nginx on a Unix socket, and against nobody. */
#include "../harness.h"
#include "../support/peers.h"
#include "../support/programs.h"
#include "../support/runs.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNIX "examples/bin/unix"

TEST(nginx_on_a_socket) {
    char lines[400];
    CHECK_INT(chmod(temp_dir(), 0755), 0);
    make_pattern_file("file", 100000, 0);
    char *socket = temp_file("socket");
    snprintf(lines, sizeof lines, "listen unix:%s;", socket);
    start_nginx_with(temp_dir(), NULL, NULL, NULL, lines);
    struct run *run = run_built(UNIX, socket, "/file", NULL);
    CHECK_STATUS(run, 0);
    CHECK_STR(run->err, "");
    CHECK(strncmp(run->out, "HTTP/1.1 200 OK\r\n", 17) == 0);
    CHECK_CMP(run->out_len, >, 100000);
    CHECK_INT(find_pattern_error(run->out + run->out_len - 100000, 100000, 0), -1);
}

static void greet(struct peer_conn *pc) {
    char request[500];
    if (peer_read(pc, request, sizeof request) > 0) peer_write(pc, "hello", 5);
}

TEST(an_abstract_name) {
    char name[100];
    snprintf(name, sizeof name, "@netconn-example-%d", (int)getpid());
    PEER(.serve = greet, .family = AF_UNIX, .address = name);
    struct run *run = run_built(UNIX, name, "/", NULL);
    CHECK_STATUS(run, 0);
    CHECK_STR(run->out, "hello");
}

TEST(it_says_what_goes_wrong) {
    char *nobody = temp_file("nobody"), path[300], long_path[201];
    struct run *run = run_built(UNIX, nobody, "/", NULL);
    CHECK_STATUS(run, 1);
    CHECK_CONTAINS(run->err, "No such file or directory");
    snprintf(path, sizeof path, "%s", nobody);
    CHECK_CONTAINS(run->err, path);
    memset(long_path, 'a', 200);
    long_path[200] = 0;
    run = run_built(UNIX, long_path, "/", NULL);
    CHECK_STATUS(run, 1);
    CHECK_CONTAINS(run->err, "longer than");
    CHECK_STATUS(run_built(UNIX, nobody, NULL), 2);
}

TEST_MAIN
