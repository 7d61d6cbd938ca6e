/*
 * programs.h - servers that no one here wrote, started by a test on a free port of 127.0.0.1, ready when the function
 * returns (found out by connecting), ended with the test. A missing program skips the test and names its Debian package.
 */
#ifndef NETCONN_TESTS_PROGRAMS_H
#define NETCONN_TESTS_PROGRAMS_H

/* nginx with the files of `root` (a directory); returns its port. With a certificate (files of the test certificates) it
 * speaks TLS, of the versions that nginx calls e.g. "TLSv1.2" or "TLSv1.2 TLSv1.3". */
const char *start_nginx(const char *root, const char *cert_file, const char *key_file, const char *versions);
/* The same with further lines of configuration in its server block. */
const char *start_nginx_with(const char *root, const char *cert_file, const char *key_file, const char *versions,
                             const char *lines);

/* A program with its standard input and output at pipes of ours. */
struct program {
    int pid, in, out;
};

/*
 * `openssl s_client` to this port of 127.0.0.1, which takes no certificate but one of the tests' CA for localhost, with
 * further arguments, ended by NULL. What it has read is on `out`, what is written to `in` it sends.
 */
struct program *start_s_client(const char *port, ...);
/* Reads from its output until this text has been seen; fails the test when it ends before. */
void program_until(struct program *program, const char *text);
/* Closes its input, reads its output to the end, and waits: its exit status, or 128 and a signal. */
int program_end(struct program *program);

/* `openssl s_server` with further arguments, ended by NULL, e.g. "-tls1_2", "-www"; returns its port. */
const char *start_s_server(const char *cert_file, const char *key_file, ...);

#endif
