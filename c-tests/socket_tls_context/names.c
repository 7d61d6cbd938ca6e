/* Hostnames of clients, and the certificates that a server shows for names. */
#include "ends.h"

#include <openssl/x509_vfy.h>
#include <stdlib.h>

/* ---- Hostnames ----------------------------------------------------------------------------------------------------- */

TEST(the_form_of_a_hostname) {
    struct ends *ends = ends_of(a_client(), a_server(), NULL);
    char label_64[65], of_256[257], of_255[256];
    memset(label_64, 'x', 64);
    label_64[64] = 0;
    memset(of_256, 'x', 256);
    for (int i = 63; i < 256; i += 64) of_256[i] = '.';
    of_256[255] = 'y';
    of_256[256] = 0;
    memcpy(of_255, of_256, 255);
    of_255[255] = 0;
    const char *good[] = {"a", "A-1.b2", "localhost", "1.2.3", "192.0.2.7", "2001:db8::1", "::1", label_64 + 1, of_255};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) SocketTLS_set_hostname(ends->client.socket, good[i]);
    const char *bad[] = {"",       ".",     "a.",       ".a",  "a..b", "-a",  "a-",       "a.-b",     "a.b-",
                         "a_b",    "a:443", "[::1]",    "a b", "*.a",  "a\n", "b\xfcrger", label_64, of_256, NULL};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_RAISES_SAYING(SocketTLS_set_hostname(ends->client.socket, bad[i]), SocketTLS_Failed, "hostname");
    /* The last good one still counts. */
    SocketTLS_set_hostname(ends->client.socket, "localhost");
    CHECK(shake(ends));
    CHECK_RAISES(SocketTLS_set_hostname(ends->client.socket, "localhost"), SocketTLS_Failed);
}

TEST(addresses_and_names_replace_each_other) {
    static const struct {
        const char *first, *second;
        bool good;
    } table[] = {
        {"other.example", "localhost", true},  {"localhost", "other.example", false},
        {"192.0.2.7", "localhost", true},      {"localhost", "192.0.2.7", false},
        {"other.example", "127.0.0.1", true},  {"127.0.0.1", "other.example", false},
        {"192.0.2.7", "::1", true},            {"::1", "192.0.2.7", false},
        {"localhost", "x.test.example", true}, {"localhost", "test.example", false},
        {"localhost", "LOCALHOST", true},      {"localhost", "x.y.test.example", false},
    };
    SocketTLSContext_T client = a_client(), server = a_server();
    /* Under a checker a part of the table, another one for each version. */
    size_t each = (size_t)small(1, 3);
    EACH_VERSION(version) for (size_t i = (size_t)version % each; i < sizeof table / sizeof *table; i += each) {
        only(client, version);
        struct ends *ends = ends_of(client, server, table[i].first);
        SocketTLS_set_hostname(ends->client.socket, table[i].second);
        if (shake(ends) != table[i].good) FAIL("%s, %s: %s", table[i].first, table[i].second, ends->client.words);
        long result = SocketTLS_get_verify_result(ends->client.socket);
        if (table[i].good)
            CHECK_INT(result, X509_V_OK);
        else
            CHECK(result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH);
    }
}

TEST(the_common_name_counts_where_there_is_no_other) {
    SocketTLSContext_T client = a_client();
    connected(client, server_of("cn-only"), "localhost");
    refused(client, server_of("cn-only"), "other.example");
    refused(client, server_of("wrong-name"), "localhost");
    connected(client, server_of("ip-only"), "127.0.0.1");
}

/* ---- Certificates for names ---------------------------------------------------------------------------------------- */

static void add(SocketTLSContext_T server, const char *hostname, const char *name) {
    char file[100];
    snprintf(file, sizeof file, "%s.pem", name);
    const char *chain = cert(file);
    snprintf(file, sizeof file, "%s.key", name);
    SocketTLSContext_add_certificate(server, hostname, chain, cert(file));
}

/* Whether the client is shown the certificate of this file. */
static bool is_shown(SocketTLSContext_T client, SocketTLSContext_T server, const char *hostname, const char *name) {
    SocketTLSContext_T any = client;
    if (hostname == NULL) any = keep(SocketTLSContext_new(NULL));
    SocketTLS_CertInfo theirs = certificate(any, server, hostname), own = certificate(client, server_of(name), "localhost");
    return strcmp(theirs.fingerprint, own.fingerprint) == 0;
}

TEST(each_name_is_shown_its_certificate) {
    EACH_VERSION(version) {
        SocketTLSContext_T client = a_client(), server = server_of("server");
        only(client, version);
        add(server, "Old.Example", "wrong-name");
        add(server, "www.old.example", "wrong-name");
        add(server, "a.test.example", "server-rsa");
        CHECK_CONTAINS(shown(client, server, "old.example"), "old.example");
        CHECK_CONTAINS(shown(client, server, "OLD.example"), "old.example");
        CHECK_CONTAINS(shown(client, server, "www.old.example"), "old.example");
        /* Exactly: not what is below or beside, nor what the certificate would be for. */
        CHECK_CONTAINS(shown(client, server, "x.old.example"), "localhost");
        CHECK_CONTAINS(shown(client, server, "b.test.example"), "localhost");
        CHECK_CONTAINS(shown(client, server, "127.0.0.1"), "localhost");
        CHECK(is_shown(client, server, "a.test.example", "server-rsa"));
        CHECK(is_shown(client, server, "b.test.example", "server"));
        connected(client, server, "a.test.example");
        /* The default pair is replaced by a name of NULL. */
        add(server, NULL, "chain");
        CHECK(is_shown(client, server, "b.test.example", "chain"));
        CHECK(is_shown(client, server, NULL, "chain"));
        CHECK_CONTAINS(shown(client, server, "old.example"), "old.example");
    }
}

TEST(a_server_with_names_alone_has_no_other) {
    SocketTLSContext_T client = a_client(), server = server_of("server");
    add(server, "old.example", "wrong-name");
    connected(client, server, "old.example");
    /* The context may be freed before its sockets. */
    SocketTLSContext_T own = SocketTLSContext_new_server(cert("server.pem"), cert("server.key"), NULL);
    add(own, "old.example", "wrong-name");
    struct ends *ends = ends_of(client, own, "old.example");
    SocketTLSContext_free(&own);
    CHECK(shake(ends));
}

TEST(what_is_not_taken_into_the_table) {
    SocketTLSContext_T client = a_client(), server = a_server();
    const char *pem = cert("server.pem"), *key = cert("server.key");
    CHECK_RAISES_SAYING(SocketTLSContext_add_certificate(client, "a.test.example", pem, key), SocketTLS_Failed,
                        "for servers");
    const char *names[] = {"", "*.test.example", "a.test.example.", "a_b.test.example", "-a.test.example", "b\xfcrger"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK_RAISES_SAYING(SocketTLSContext_add_certificate(server, names[i], pem, key), SocketTLS_Failed, "hostname");
    CHECK_RAISES_SAYING(SocketTLSContext_add_certificate(server, "a.example", pem, key), SocketTLS_Failed, "not for");
    CHECK_RAISES_SAYING(SocketTLSContext_add_certificate(server, "a.test.example", pem, cert("client.key")),
                        SocketTLS_Failed, "is not the key");
    CHECK_RAISES_SAYING(SocketTLSContext_add_certificate(server, "a.test.example", cert("garbage.pem"), key),
                        SocketTLS_Failed, "no certificate");
    CHECK_RAISES_SAYING(SocketTLSContext_add_certificate(server, "a.test.example", "/nonexistent/x", key),
                        SocketTLS_Failed, "No such file");
    CHECK_RAISES_SAYING(add(server, "localhost", "weak-key"), SocketTLS_Failed, "too small");
    /* By its CN where there is no host's name beside it, and by an address. */
    add(server, "localhost", "cn-only");
    add(server, "127.0.0.1", "ip-only");
    CHECK_RAISES_SAYING(add(server, "localhost", "ip-only"), SocketTLS_Failed, "not for");
    CHECK_CONTAINS(shown(client, server, "a.test.example"), "localhost");
}

TEST(the_table_has_room_for_a_hundred) {
    SocketTLSContext_T client = a_client(), server = server_of("wrong-name");
    char name[40];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "n%d.test.example", i);
        add(server, name, "server");
    }
    CHECK_RAISES_SAYING(add(server, "n100.test.example", "server"), SocketTLS_Failed, "100");
    CHECK_CONTAINS(shown(client, server, "n99.test.example"), "localhost");
    CHECK_CONTAINS(shown(client, server, "n100.test.example"), "old.example");
    /* One that is there is replaced, and the default has a place of its own. */
    add(server, "N5.test.example", "server-rsa");
    CHECK(is_shown(client, server, "n5.test.example", "server-rsa"));
    add(server, NULL, "chain");
    CHECK_CONTAINS(shown(client, server, "n100.test.example"), "localhost");
}

static const char *chain_of(int authorities) {
    size_t leaf_len, ca_len, len;
    char *leaf = contents(cert("server.pem"), &leaf_len), *ca = contents(cert("ca.pem"), &ca_len);
    char *all = alloc(leaf_len + (size_t)authorities * ca_len), name[40];
    memcpy(all, leaf, leaf_len);
    len = leaf_len;
    for (int i = 0; i < authorities; i++, len += ca_len) memcpy(all + len, ca, ca_len);
    snprintf(name, sizeof name, "chain-of-%d.pem", authorities);
    return written(name, all, len);
}

static const char *of_size(const char *file, size_t size) {
    size_t len;
    char *bytes = contents(cert(file), &len), *all = alloc(size), name[100];
    memset(all, '\n', size);
    memcpy(all, bytes, len);
    snprintf(name, sizeof name, "%zu-%s", size, file);
    return written(name, all, size);
}

TEST(chains_and_files_of_the_table_have_a_limit) {
    SocketTLSContext_T server = a_server();
    const char *pem = cert("server.pem"), *key = cert("server.key");
    SocketTLSContext_add_certificate(server, "a.test.example", chain_of(9), key);
    CHECK_RAISES_SAYING(SocketTLSContext_add_certificate(server, "b.test.example", chain_of(10), key), SocketTLS_Failed,
                        "more than 10");
    size_t most = SOCKET_TLS_MAX_CERT_FILE_SIZE;
    SocketTLSContext_add_certificate(server, "a.test.example", of_size("server.pem", most), of_size("server.key", most));
    CHECK_RAISES_SAYING(SocketTLSContext_add_certificate(server, "b.test.example", of_size("server.pem", most + 1), key),
                        SocketTLS_Failed, "1 MiB");
    CHECK_RAISES_SAYING(SocketTLSContext_add_certificate(server, "b.test.example", pem, of_size("server.key", most + 1)),
                        SocketTLS_Failed, "1 MiB");
}

TEST_MAIN
