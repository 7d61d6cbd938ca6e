/* programs.c - see programs.h. */
#include "programs.h"

#include "../harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The first of these that can be executed. */
static const char *find_program(const char *package, const char *const *paths) {
    for (; *paths; paths++)
        if (access(*paths, X_OK) == 0) return *paths;
    SKIP("needs the Debian package %s", package);
}

/* A port that was free a moment ago, below the range from which the kernel serves others. */
static int free_port(void) {
    for (int tries = 0; tries < 200; tries++) {
        int port = 20000 + (int)((unsigned)getpid() * 37u + (unsigned)tries * 101u) % 12000, on = 1;
        struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        int result = bind(fd, (struct sockaddr *)&where, sizeof where);
        close(fd);
        if (result == 0) return port;
    }
    FAIL("no port is free");
}

/* SIGTERM would do but for a moment: nginx with one process misses it between its look at the flag and its wait. */
static void end_program(void *pid) {
    kill((pid_t)(intptr_t)pid, SIGKILL);
    waitpid((pid_t)(intptr_t)pid, NULL, 0);
}

static const char *start(const char *program, char *const *arguments, int port, const char *log) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        /* Standard input has neither bytes nor an end (the program itself holds the other one): s_server ends with it. */
        int input[2], output = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (pipe(input) != 0) _exit(127);
        dup2(input[0], 0);
        dup2(output, 1);
        dup2(output, 2);
        execv(program, arguments);
        _exit(127);
    }
    at_end(end_program, (void *)(intptr_t)pid);
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (double end = now() + slow(10); now() < end;) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0);
        int result = connect(fd, (struct sockaddr *)&where, sizeof where);
        close(fd);
        if (result == 0) {
            char *text = alloc(8);
            snprintf(text, 8, "%d", port);
            return text;
        }
        int status;
        if (waitpid(pid, &status, WNOHANG) == pid) break;
        poll(NULL, 0, 10); /* nothing tells us of a listener but the next connect */
    }
    char text[1500] = "";
    FILE *file = fopen(log, "r");
    if (file) {
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
    }
    for (char *end = text; *end; end++)
        if (*end == '\n') *end = ' ';
    FAIL("%s does not listen: %s", program, text);
}

const char *start_nginx(const char *root, const char *cert_file, const char *key_file, const char *versions) {
    return start_nginx_with(root, cert_file, key_file, versions, "");
}

const char *start_nginx_with(const char *root, const char *cert_file, const char *key_file, const char *versions,
                             const char *lines) {
    static const char *const paths[] = {"/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx", NULL};
    const char *program = find_program("nginx-light", paths), *dir = temp_dir();
    int port = free_port();
    char config[400], log[400], tls[1200] = "";
    snprintf(config, sizeof config, "%s/nginx-%d.conf", dir, port);
    snprintf(log, sizeof log, "%s/nginx-%d.log", dir, port);
    if (cert_file)
        snprintf(tls, sizeof tls, "ssl_certificate %s; ssl_certificate_key %s; ssl_protocols %s;", cert(cert_file), cert(key_file),
                 versions);
    FILE *file = fopen(config, "w");
    CHECK(file != NULL);
    fprintf(file,
            "daemon off; master_process off; user %s; pid %s/nginx-%d.pid; error_log stderr;\n"
            "events { worker_connections 256; }\n"
            "http {\n"
            "  access_log off; client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/fastcgi;\n"
            "  uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi; default_type application/octet-stream;\n"
            "  server { listen 127.0.0.1:%d%s; server_name localhost; root %s; %s %s }\n"
            "}\n",
            getuid() == 0 ? "root" : "nobody", dir, port, dir, dir, dir, dir, dir, port, cert_file ? " ssl" : "", root, tls,
            lines);
    CHECK_INT(fclose(file), 0);
    char *arguments[] = {(char *)(uintptr_t)program, "-e", "stderr", "-p", (char *)(uintptr_t)dir, "-c", config, NULL};
    return start(program, arguments, port, log);
}

static const char *const openssl_paths[] = {"/usr/bin/openssl", "/usr/local/bin/openssl", "/opt/homebrew/bin/openssl", NULL};

static void kill_program(void *arg) {
    struct program *program = arg;
    if (program->pid > 0) {
        kill(program->pid, SIGKILL);
        waitpid(program->pid, NULL, 0);
    }
    if (program->in >= 0) close(program->in);
    close(program->out);
}

struct program *start_s_client(const char *port, ...) {
    const char *openssl = find_program("openssl", openssl_paths), *ca = cert("ca.pem");
    char where[32], log[400];
    snprintf(where, sizeof where, "127.0.0.1:%s", port);
    snprintf(log, sizeof log, "%s/s_client.log", temp_dir());
    const char *arguments[40] = {openssl,   "s_client",           "-connect",         where,       "-CAfile", ca,
                                 "-quiet", "-verify_return_error", "-verify_hostname", "localhost"};
    int n = 10, in[2], out[2];
    va_list more;
    va_start(more, port);
    for (const char *argument; (argument = va_arg(more, const char *)) != NULL && n < 39;) arguments[n++] = argument;
    va_end(more);
    struct program *program = alloc(sizeof *program);
    CHECK_INT(pipe2(in, O_CLOEXEC), 0);
    CHECK_INT(pipe2(out, O_CLOEXEC), 0);
    program->pid = fork();
    CHECK_CMP(program->pid, >=, 0);
    if (program->pid == 0) {
        int errors = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(errors, 2);
        execv(openssl, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    program->in = in[1];
    program->out = out[0];
    at_end(kill_program, program);
    return program;
}

void program_until(struct program *program, const char *text) {
    char shown[4096] = "";
    for (size_t n = 0; !strstr(shown, text);) {
        ssize_t more = read(program->out, shown + n, sizeof shown - 1 - n);
        if (more <= 0) FAIL("the program ended after: %s", shown);
        n += (size_t)more;
        shown[n] = 0;
    }
}

int program_end(struct program *program) {
    char rest[4096];
    int status;
    close(program->in);
    program->in = -1;
    while (read(program->out, rest, sizeof rest) > 0) {}
    CHECK_INT(waitpid(program->pid, &status, 0), program->pid);
    program->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *start_s_server(const char *cert_file, const char *key_file, ...) {
    const char *program = find_program("openssl", openssl_paths), *chain = cert(cert_file), *key = cert(key_file);
    int port = free_port();
    char where[32], log[400];
    snprintf(where, sizeof where, "127.0.0.1:%d", port);
    snprintf(log, sizeof log, "%s/s_server-%d.log", temp_dir(), port);
    const char *arguments[40] = {program, "s_server", "-accept", where, "-cert", chain, "-cert_chain", chain, "-key", key};
    int n = 10;
    va_list more;
    va_start(more, key_file);
    for (const char *argument; (argument = va_arg(more, const char *)) != NULL && n < 39;) arguments[n++] = argument;
    va_end(more);
    return start(program, (char *const *)(uintptr_t)arguments, port, log);
}
