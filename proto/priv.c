/* SPDX-License-Identifier: MIT */
/* priv.c - the table of the private channel. */
#include "proto/priv.h"

#include <errno.h>
#include <string.h>

#include "proto/message.h"

#define SIZE(type) (uint16_t)sizeof(struct type)
#define READY	   PRIV_STATE_READY

static const struct priv_rule rules[] = {
	/* op, from monitor, states, fds, reply fds, bytes, reply bytes, name */
	{ PRIV_READY, false, PRIV_STATE_STARTING, 0, 0, 0, 0, "READY" },
	{ PRIV_DEVICE_LIST, false, READY, 0, 0, SIZE(priv_cursor), SIZE(priv_device_list),
	  "DEVICE_LIST" },
	{ PRIV_DOMAIN_CREATE, false, READY, 0, 3, SIZE(priv_domain_create),
	  SIZE(priv_domain_created), "DOMAIN_CREATE" },
	{ PRIV_DEVICE_OPEN, false, READY, 0, 2, SIZE(priv_device_open), SIZE(priv_device_opened),
	  "DEVICE_OPEN" },
	{ PRIV_DOMAIN_LIST, false, READY, 0, 0, SIZE(priv_cursor), SIZE(priv_domain_list),
	  "DOMAIN_LIST" },
	{ PRIV_DOMAIN_OPEN, false, READY, 0, 1, SIZE(priv_id), SIZE(priv_done), "DOMAIN_OPEN" },
	{ PRIV_STATUS, false, READY, 0, 0, 0, SIZE(priv_status_rep), "STATUS" },
	{ PRIV_GRANT, false, READY, 0, 2, SIZE(priv_grant), SIZE(priv_granted), "GRANT" },
	{ PRIV_BIND, false, READY, 1, 0, SIZE(priv_id), SIZE(priv_done), "BIND" },
	{ PRIV_UNBIND, false, READY, 0, 0, SIZE(priv_id), SIZE(priv_done), "UNBIND" },
	{ PRIV_CLOSED, false, READY, 0, 0, SIZE(priv_id), 0, "CLOSED" },
	{ PRIV_DRIVER_LIST, false, READY, 0, 0, SIZE(iob_driver_list_req), SIZE(priv_driver_list),
	  "DRIVER_LIST" },
	{ PRIV_DRIVER_SET, false, READY, 0, 0, SIZE(iob_driver_set_req), SIZE(priv_driver_set),
	  "DRIVER_SET" },

	{ PRIV_INIT, true, READY, 1, 0, SIZE(priv_init), 0, "INIT" },
	{ PRIV_ATTACH, true, READY, 1, 0, SIZE(priv_attach), SIZE(priv_answer), "ATTACH" },
	{ PRIV_ONLINE, true, READY, 0, 0, SIZE(priv_attach), SIZE(priv_answer), "ONLINE" },
	{ PRIV_DETACH, true, READY, 0, 0, SIZE(priv_attach), SIZE(priv_answer), "DETACH" },
	{ PRIV_GAINED, true, READY, 1, 0, SIZE(priv_gained), 0, "GAINED" },
	{ PRIV_LOST, true, READY, 0, 0, SIZE(priv_lost), SIZE(priv_answer), "LOST" },
	{ PRIV_FREED, true, READY, 0, 0, SIZE(priv_lost), 0, "FREED" },
	{ PRIV_LIMITS, true, READY, 0, 0, SIZE(priv_limits), 0, "LIMITS" },
	{ PRIV_ADOPT, true, READY, 1, 0, SIZE(priv_adopt), 0, "ADOPT" },
	{ PRIV_RESUME, true, READY, 0, 0, 0, SIZE(priv_resumed), "RESUME" },
};

const struct priv_rule *priv_rule_find(uint32_t op)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].op == op)
			return &rules[i];
	return NULL;
}

const char *priv_name(uint32_t op)
{
	const struct priv_rule *r = priv_rule_find(op);

	return r ? r->name : "?";
}

static void make_printable(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (char *p = text; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
}

int priv_check(struct priv_message *m, size_t bytes, unsigned fds, bool from_monitor,
	       uint32_t state)
{
	if (bytes < sizeof(m->hdr) || m->hdr.reply > 1 || m->hdr.again > 1)
		return -EBADMSG;
	if (m->hdr.again == 1 && (m->hdr.reply == 1 || from_monitor))
		return -EBADMSG;
	const struct priv_rule *r = priv_rule_find(m->hdr.op);
	bool reply = m->hdr.reply == 1;

	/* A reply travels against the direction of its request. */
	if (!r || (r->states & state) == 0 || (r->from_monitor != reply) != from_monitor)
		return -EBADMSG;
	if (!reply)
		return bytes == sizeof(m->hdr) + r->bytes && fds == r->fds ? 0 : -EBADMSG;
	if (r->reply_bytes == 0 || bytes != sizeof(m->hdr) + r->reply_bytes)
		return -EBADMSG;
	make_printable(m->status.text, sizeof(m->status.text));
	return fds == (m->status.code == IOB_OK ? r->reply_fds : 0) ? 0 : -EBADMSG;
}

int priv_send(int channel, struct priv_message *m, uint32_t op, uint32_t serial, bool reply,
	      const int *fds)
{
	const struct priv_rule *r = priv_rule_find(op);

	if (!r)
		return -EINVAL;
	size_t body = reply ? r->reply_bytes : r->bytes;
	unsigned count = reply ? r->reply_fds : r->fds;

	if (reply && m->status.code != IOB_OK)
		count = 0;
	m->hdr = (struct priv_hdr){
		.op = op, .serial = serial, .reply = reply, .again = m->hdr.again
	};
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(m->hdr) + body };

	return message_send(channel, &iov, 1, fds, count);
}

void priv_status_from_fault(struct priv_status *s, const struct fault *f)
{
	memset(s, 0, sizeof(*s));
	s->code = f->code;
	s->step = f->step;
	s->sys_errno = f->sys_errno;
	memcpy(s->text, f->text, sizeof(f->text));
}

void priv_status_to_fault(const struct priv_status *s, struct fault *f)
{
	f->code = s->code;
	f->step = s->step;
	f->sys_errno = s->sys_errno;
	memcpy(f->text, s->text, sizeof(f->text));
	f->text[sizeof(f->text) - 1] = '\0';
}
