/* world.c - see world.h. */
#include "world.h"

#include "../harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void enter(void) {
    unsigned uid = getuid(), gid = getgid();
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
        /* Not root: become it in a user namespace. */
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) != 0)
            SKIP("needs namespaces of its own: %s (kernel.unprivileged_userns_clone, or root)", strerror(errno));
        char map[64];
        write_file("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "0 %u 1", uid);
        write_file("/proc/self/uid_map", map);
        snprintf(map, sizeof map, "0 %u 1", gid);
        write_file("/proc/self/gid_map", map);
    }
    /* Our mounts must not be seen outside. */
    if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0) SKIP("needs mounts of its own: %s", strerror(errno));
}

void enter_world_without_routes(void) { enter(); }

void enter_world(void) {
    enter();
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    CHECK_INT(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
}

static void put_over(const char *path, const char *name, const char *text) {
    char ours[300];
    snprintf(ours, sizeof ours, "%s/%s", temp_dir(), name);
    write_file(ours, text);
    if (mount(ours, path, "none", MS_BIND, NULL) != 0) SKIP("needs a mount over %s: %s", path, strerror(errno));
}

void set_hosts(const char *text) {
    put_over("/etc/hosts", "hosts", text);
    put_over("/etc/nsswitch.conf", "nsswitch.conf", "hosts: files\nservices: files\n");
}

void set_name_server(const char *address) {
    char text[100];
    snprintf(text, sizeof text, "nameserver %s\noptions timeout:30 attempts:1\n", address);
    put_over("/etc/resolv.conf", "resolv.conf", text);
    put_over("/etc/nsswitch.conf", "nsswitch.conf", "hosts: files dns\nservices: files\n");
}

static void close_fd(void *fd) { close((int)(intptr_t)fd); }

int dead_name_server(const char *address) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(53)};
    CHECK_INT(inet_pton(AF_INET, address, &where.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&where, sizeof where), 0);
    at_end(close_fd, (void *)(intptr_t)fd);
    return fd;
}
