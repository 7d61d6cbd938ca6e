/* response.c - RFC 2616 with the eyes half closed.  */
#include "mirror.h"

#include <strings.h>

void response_init(struct response *r)
{
	memset(r, 0, sizeof *r);
	r->length = -1;
	r->range_start = r->range_total = -1;
}

void response_free(struct response *r)
{
	free(r->location);
	free(r->etag);
	r->location = r->etag = NULL;
}

static int nonsense(struct response *r, const char *why)
{
	r->why = why;
	return -1;
}

static int header_line(struct response *r, char *line)
{
	char *value = strchr(line, ':');
	if (value == NULL)
		return nonsense(r, "a header without a colon");
	*value++ = 0;
	value += strspn(value, " \t");
	if (!strcasecmp(line, "Content-Length")) {
		char *end;
		r->length = strtoll(value, &end, 10);
		if (end == value || *end || r->length < 0)
			return nonsense(r, "a strange Content-Length");
	} else if (!strcasecmp(line, "Transfer-Encoding")) {
		r->chunked = !strcasecmp(value, "chunked");
	} else if (!strcasecmp(line, "Connection")) {
		if (!strcasecmp(value, "close"))
			r->close = 1;
		if (!strcasecmp(value, "keep-alive"))
			r->close = 0;
	} else if (!strcasecmp(line, "Location")) {
		free(r->location);
		r->location = xstrdup(value);
	} else if (!strcasecmp(line, "ETag")) {
		free(r->etag);
		r->etag = xstrdup(value);
	} else if (!strcasecmp(line, "Content-Range")) {
		long long last;
		if (sscanf(value, "bytes %lld-%lld/%lld", &r->range_start, &last, &r->range_total) != 3)
			sscanf(value, "bytes */%lld", &r->range_total);
	}
	return 0;
}

static int head_is_over(struct response *r)
{
	if (r->status / 100 == 1) {	/* the real one follows */
		r->state = H_STATUS;
		return 0;
	}
	if (r->no_body || r->status == 204 || r->status == 304) {
		r->length = 0;
		r->chunked = 0;
	}
	if (r->chunked)
		r->length = -1;
	r->left = r->length;
	r->state = r->chunked ? H_CHUNK_SIZE : r->length == 0 ? H_DONE : H_BODY;
	return r->on_head(r->arg);
}

static int whole_line(struct response *r)
{
	switch (r->state) {
	case H_STATUS:
		if (sscanf(r->line, "HTTP/1.%d %d", &r->minor, &r->status) != 2)
			return nonsense(r, "no HTTP/1");
		r->close = r->minor == 0;
		r->state = H_HEADER;
		return 0;
	case H_HEADER:
		if (r->line_len == 0)
			return head_is_over(r);
		return header_line(r, r->line);
	case H_CHUNK_SIZE: {
		char *end;
		r->left = strtoll(r->line, &end, 16);
		if (end == r->line || r->left < 0 || (*end && *end != ';' && *end != ' '))
			return nonsense(r, "a strange chunk");
		r->state = r->left ? H_CHUNK : H_TRAILER;
		return 0;
	}
	case H_CHUNK_END:
		if (r->line_len)
			return nonsense(r, "a chunk that does not end");
		r->state = H_CHUNK_SIZE;
		return 0;
	case H_TRAILER:
		if (r->line_len == 0)
			r->state = H_DONE;
		return 0;
	default:
		return nonsense(r, "a bug");
	}
}

int response_feed(struct response *r, const char *bytes, size_t n)
{
	const char *p = bytes, *end = bytes + n;
	while (p < end && r->state != H_DONE) {
		if (r->state == H_BODY || r->state == H_CHUNK) {
			size_t m = end - p;
			if (r->left >= 0 && (long long) m > r->left)
				m = r->left;
			if (r->on_body(r->arg, p, m))
				return -1;
			p += m;
			if (r->left >= 0 && (r->left -= m) == 0)
				r->state = r->state == H_BODY ? H_DONE : H_CHUNK_END;
			continue;
		}
		if (*p != '\n') {
			if (r->line_len == sizeof r->line - 1)
				return nonsense(r, "a line that is too long");
			r->line[r->line_len++] = *p++;
			continue;
		}
		p++;
		if (r->line_len && r->line[r->line_len - 1] == '\r')
			r->line_len--;
		r->line[r->line_len] = 0;
		if (whole_line(r))
			return -1;
		r->line_len = 0;
	}
	return p - bytes;
}

int response_end(struct response *r)
{
	if (r->state == H_BODY && r->length < 0) {
		r->state = H_DONE;
		return 0;
	}
	return nonsense(r, r->state == H_STATUS && r->line_len == 0 ? "no answer" : "half an answer");
}
