#include "mirror.h"

#include <strings.h>

void *xmalloc(size_t n)
{
	return xrealloc(NULL, n);
}

void *xrealloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (p == NULL) {
		fputs("mirror: out of memory\n", stderr);
		exit(2);
	}
	return p;
}

char *xstrdup(const char *s)
{
	return strcpy(xmalloc(strlen(s) + 1), s);
}

static char *piece(const char *from, const char *to)
{
	char *s = xmalloc(to - from + 1);
	memcpy(s, from, to - from);
	s[to - from] = 0;
	return s;
}

int url_parse(struct url *u, const char *text)
{
	const char *p = strstr(text, "://"), *slash, *colon;
	memset(u, 0, sizeof *u);
	if (p == NULL || (strncasecmp(text, "http:", 5) && strncasecmp(text, "https:", 6)))
		return -1;
	u->scheme = piece(text, p);
	u->tls = strlen(u->scheme) == 5;
	p += 3;
	slash = p + strcspn(p, "/");
	colon = memchr(p, ':', slash - p);
	u->host = piece(p, colon ? colon : slash);
	u->port = colon ? piece(colon + 1, slash) : xstrdup(u->tls ? "443" : "80");
	u->path = xstrdup(*slash ? slash : "/");
	return 0;
}

void url_free(struct url *u)
{
	free(u->scheme);
	free(u->host);
	free(u->port);
	free(u->path);
	memset(u, 0, sizeof *u);
}
