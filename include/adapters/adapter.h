/*
 * adapter.h - what the adapters to other libraries' loops share. Programs include libev.h, libevent.h, libuv.h or
 * glib.h, of this folder.
 */
#ifndef NETCONN_ADAPTER_H
#define NETCONN_ADAPTER_H

#include "../evloop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What each adapter puts at its loop begins with this. */
struct netconn_adapter {
    char name[12];
    struct ev_loop *loop;
};

/* Whether this is a living loop of netconn's. Any pointer may be asked about: it is looked for, not followed. */
static inline int netconn_adapter_is_loop(void *pointer) {
    int before = errno, found;
    errno = 0;
    evloop_get_attachment((struct ev_loop *)pointer);
    found = errno == 0;
    errno = before;
    return found;
}

/* Memory of `size` bytes, zeroed, put at the loop; it is the caller's. NULL and errno. */
static inline void *netconn_adapter_new(const char *name, size_t size, struct ev_loop *loop, void *host,
                                        void (*detach)(void *adapter)) {
    struct netconn_adapter *adapter;
    if (host == NULL || netconn_adapter_is_loop(host)) {
        errno = EINVAL;
        return NULL;
    }
    adapter = (struct netconn_adapter *)calloc(1, size);
    if (adapter == NULL) return NULL;
    strncpy(adapter->name, name, sizeof adapter->name - 1);
    adapter->loop = loop;
    /* The descriptor is asked for first here, so that it cannot fail later. */
    if (evloop_set_attachment(loop, adapter, detach) == 0) {
        if (evloop_fd(loop) >= 0) return adapter;
        evloop_set_attachment(loop, NULL, NULL);
    }
    {
        int error = errno;
        free(adapter);
        errno = error;
    }
    return NULL;
}

/*
 * Takes the adapter of this name away from the loop and gives it to the caller. NULL and errno: EINVAL for what is no loop
 * of netconn's, and where nothing is attached or another adapter is. May leave EINVAL where it succeeds.
 */
static inline void *netconn_adapter_take(const char *name, struct ev_loop *loop) {
    struct netconn_adapter *adapter;
    errno = EINVAL;
    adapter = (struct netconn_adapter *)evloop_get_attachment(loop);
    if (adapter == NULL || strcmp(adapter->name, name) != 0) return NULL;
    if (evloop_set_attachment(loop, NULL, NULL) != 0) return NULL;
    return adapter;
}

#endif
