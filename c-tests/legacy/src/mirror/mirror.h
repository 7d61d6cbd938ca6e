/* mirror.h - a list of URLs, fetched several at a time over connections that are kept.  */
#ifndef MIRROR_H
#define MIRROR_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>

#include "evloop.h"
#include "net_conn.h"
#include "pconn.h"

/* The answer to one request, taken apart as it comes. */
enum http_state { H_STATUS, H_HEADER, H_BODY, H_CHUNK_SIZE, H_CHUNK, H_CHUNK_END, H_TRAILER, H_DONE };

struct response {
	enum http_state state;
	int no_body;		/* set by who asked: HEAD */
	int status, minor;
	long long length;	/* -1: until the end of the stream */
	long long left;
	int chunked, close;
	int range_ok;		/* Content-Range begins at ... */
	long long range_start, range_total;
	char *location, *etag;
	char line[8192];
	int line_len;
	/* Gets what belongs to the body; non-zero gives up. */
	int (*on_head)(void *);
	int (*on_body)(void *, const char *, size_t);
	void *arg;
	const char *why;	/* what made no sense */
};

void response_init(struct response *);
void response_free(struct response *);
/* How many of the bytes belong to this answer; -1 when it makes no sense, or a callback gave up. */
int response_feed(struct response *, const char *, size_t);
/* The stream has ended: 0 when that is the end of the answer too. */
int response_end(struct response *);

struct url {
	int tls;
	char *scheme, *host, *port, *path;
};
int url_parse(struct url *, const char *);
void url_free(struct url *);

void *xmalloc(size_t);
void *xrealloc(void *, size_t);
char *xstrdup(const char *);

#endif
