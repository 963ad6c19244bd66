/* SPDX-License-Identifier: MIT */
/*
 * session-main.c - iommu-broker-session: lock up, tell the monitor, serve.
 *
 * Started by the monitor only, with the private channel and an empty directory as descriptors and
 * the uid to become and the number of the backend as arguments. The client's connection comes over the channel, and only
 * after the sandbox is closed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/session-closer.h"
#include "daemon/session-sandbox.h"
#include "daemon/session.h"

static int parse_number(const char *text, uint32_t *number)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || end == text || v == 0 || v >= UINT32_MAX)
		return -EINVAL;
	*number = (uint32_t)v;
	return 0;
}

/* What the loop needs of the kernel is made now: the filter knows no epoll_create. */
static int loop_new(struct session *s)
{
	struct event_config *c = event_config_new();

	if (!c)
		return -ENOMEM;
	event_config_set_flag(c, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	s->base = event_base_new_with_config(c);
	event_config_free(c);
	/* Channel before clients. */
	return s->base && event_base_priority_init(s->base, 2) == 0 ? 0 : -ENOMEM;
}

int main(int argc, char **argv)
{
	static struct session s;
	struct sandbox_params p = {
		.empty_dir_fd = PRIV_FD_EMPTY_DIR,
		.max_fds = SESSION_MAX_FDS,
	};
	struct fault why = { 0 };

	if (argc != 3 || parse_number(argv[1], &p.uid) < 0 ||
	    parse_number(argv[2], &s.backend) < 0 || !glue_mapper_for(s.backend)) {
		fputs("iommu-broker-session: started by iommu-brokerd only\n", stderr);
		return 2;
	}
	setvbuf(stderr, NULL, _IONBF, 0);
	log_start();
	p.backend = s.backend;
	s.glue = glue_mapper_for(s.backend);
	s.channel = PRIV_FD_CHANNEL;
	LIST_INIT(&s.handles);
	LIST_INIT(&s.domains);
	LIST_INIT(&s.pendings);
	rate_init(&s);
	if (closer_start(p.uid, &why) < 0) {
		log_error("session: cannot start: %s", why.text);
		return 1;
	}
	if (loop_new(&s) < 0) {
		log_error("session: no event loop");
		return 1;
	}
	glue_mapper_prepare();
	if (sandbox_enter(&p, &why) < 0) {
		log_error("session: cannot lock up: %s", why.text);
		return 1;
	}
	if (channel_start(&s) < 0)
		return 1;
	event_base_dispatch(s.base);
	_exit(0); /* the kernel closes what is left; exit handlers would only be more code */
}
