/* SPDX-License-Identifier: MIT */
/*
 * session-channel.c - the session's side of the private channel.
 *
 * Never blocks on the monitor: what it does not take is queued, and MAP and UNMAP go on meanwhile.
 * A new monitor asks what there is, and is asked again what the one before it left unanswered. The
 * end of the channel means that no monitor will ever come back: what the clients have stays, unless
 * the other end was kept by the service manager, which drops it when the service is stopped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/session-closer.h"
#include "daemon/session.h"

/* ---- to the monitor ---- */

static int enqueue(struct session *s, const struct priv_message *msg, uint32_t op, uint32_t serial,
		   bool is_reply, const int *fd)
{
	struct queued *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->op = op;
	e->serial = serial;
	e->reply = is_reply;
	e->msg = *msg;
	e->fd = fd ? fcntl(*fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (fd && e->fd < 0) {
		free(e);
		return -EMFILE;
	}
	STAILQ_INSERT_TAIL(&s->queue, e, link);
	event_add(s->on_channel_write, NULL);
	return 0;
}

/* At most one descriptor ever goes this way (BIND). */
static int channel_send(struct session *s, struct priv_message *msg, uint32_t op, uint32_t serial,
			bool is_reply, const int *fd)
{
	if (s->channel < 0)
		return -EPIPE;
	int r = STAILQ_EMPTY(&s->queue) ? priv_send(s->channel, msg, op, serial, is_reply, fd) :
					  -EAGAIN;

	if (r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM)
		r = enqueue(s, msg, op, serial, is_reply, fd);
	return r;
}

static void queued_free(struct session *s, struct queued *e)
{
	STAILQ_REMOVE_HEAD(&s->queue, link);
	if (e->fd >= 0)
		closer_close(e->fd);
	free(e);
}

static void on_channel_write(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	struct queued *e;

	(void)what;
	while ((e = STAILQ_FIRST(&s->queue)) != NULL) {
		int r = priv_send((int)fd, &e->msg, e->op, e->serial, e->reply,
				  e->fd >= 0 ? &e->fd : NULL);

		if (r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM)
			return;
		queued_free(s, e);
	}
	event_del(s->on_channel_write);
}

struct pending *channel_ask(struct handle *h, const struct request *q, struct priv_message *msg,
			    uint32_t priv_op, const int *fds)
{
	struct session *s = h->session;
	size_t bytes = priv_rule_find(priv_op)->bytes;
	struct pending *p = calloc(1, sizeof(*p) + bytes);
	struct fault why;
	int r = p ? channel_send(s, msg, priv_op, s->next_serial + 1, false, fds) : -ENOMEM;

	if (r < 0) {
		free(p);
		fault_set(&why, r == -EPIPE ? IOB_E_MONITOR : IOB_E_NO_MEMORY, IOB_STEP_SESSION, -r,
			  "the monitor cannot be asked: %s", strerror(-r));
		reply_fault(h, q->op, q->tag, &why);
		return NULL;
	}
	p->serial = ++s->next_serial;
	p->priv_op = priv_op;
	p->handle = h;
	p->op = q->op;
	p->tag = q->tag;
	p->fd = fds ? fd_list_steal(q->fds, 0) : -1;
	p->bytes = bytes;
	memcpy(p->body, &msg->status, bytes);
	LIST_INSERT_HEAD(&s->pendings, p, link);
	h->pending = p;
	event_del(h->on_read);
	return p;
}

static bool option_is(int fd, int option, int wanted)
{
	int value;
	socklen_t bytes = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &bytes) == 0 && value == wanted;
}

/*
 * Whether it is a handle, the monitor knows. But only what can be one gets there: each close() of
 * a file of FUSE lasts as long as its file system likes, in the monitor and in all that it forks.
 */
void channel_bind(struct handle *h, const struct request *q)
{
	struct priv_message msg = { 0 };
	struct fault why;

	msg.id.id = h->id;
	if (option_is(q->fds->fd[0], SO_DOMAIN, AF_UNIX) &&
	    option_is(q->fds->fd[0], SO_TYPE, SOCK_SEQPACKET)) {
		channel_ask(h, q, &msg, PRIV_BIND, &q->fds->fd[0]);
		return;
	}
	fault_set(&why, IOB_E_BAD_HANDLE, IOB_STEP_HANDLE, 0,
		  "the descriptor passed is no handle: not a UNIX socket of type SEQPACKET");
	reply_fault(h, q->op, q->tag, &why);
}

void channel_closed(struct session *s, uint32_t handle_id)
{
	struct priv_message msg = { 0 };

	msg.id.id = handle_id;
	channel_send(s, &msg, PRIV_CLOSED, 0, false, NULL);
}

/* ---- answers of the monitor ---- */

static void pending_free(struct pending *p)
{
	struct handle *h = p->handle;

	LIST_REMOVE(p, link);
	if (p->fd >= 0)
		closer_close(p->fd);
	if (h) {
		h->pending = NULL;
		if (!h->out)
			event_add(h->on_read, NULL);
	}
	free(p);
}

/* The asking handle is gone. What was made for it goes too. */
static void answer_to_nobody(struct session *s, const struct priv_message *msg)
{
	if (msg->status.code == IOB_OK && msg->hdr.op == PRIV_GRANT)
		channel_closed(s, msg->granted.handle_id);
}

static void pending_answer(struct pending *p, struct priv_message *msg, struct fd_list *fds)
{
	struct handle *h = p->handle;
	struct fault f;

	if (msg->status.code != IOB_OK) {
		priv_status_to_fault(&msg->status, &f);
		reply_fault(h, p->op, p->tag, &f);
	} else if (h->kind == IOB_KIND_CONNECTION) {
		connection_answer(p, msg, fds);
	} else if (h->kind == IOB_KIND_DOMAIN) {
		domain_answer(p, msg, fds);
	} else {
		device_answer(p, msg, fds);
	}
}

static int channel_reply(struct session *s, struct priv_message *msg, struct fd_list *fds)
{
	struct pending *p;

	LIST_FOREACH(p, &s->pendings, link)
		if (p->serial == msg->hdr.serial && p->priv_op == msg->hdr.op)
			break;
	if (!p)
		return -EBADMSG;
	if (p->handle)
		pending_answer(p, msg, fds);
	else
		answer_to_nobody(s, msg);
	pending_free(p);
	return 0;
}

/* ---- commands of the monitor ---- */

static void command_init(struct session *s, const struct priv_init *c, struct fd_list *fds)
{
	s->id = c->session_id;
	s->kept = c->kept == 1;
	rate_limit(s, c->max_rate);
	if (!handle_new(s, fd_list_steal(fds, 0), 0, IOB_KIND_CONNECTION))
		_exit(1);
}

static void command_attach(struct session *s, struct priv_message *msg, struct fd_list *fds)
{
	struct priv_message rep = { 0 };
	struct domain *d = domain_by_id(s, msg->attach.domain_id);
	struct fault why = { 0 };
	int fd = fds->count ? fds->fd[0] : -1;

	if (!d)
		fault_set(&why, IOB_E_GONE, IOB_STEP_ATTACH, 0, "the domain is gone");
	else if (msg->hdr.op == PRIV_DETACH)
		domain_detach(d, msg->attach.devices);
	else if (!handle_by_id(s, msg->attach.handle_id, IOB_KIND_DOMAIN))
		/* Revoked here, and the monitor has not heard of it yet. */
		fault_set(&why, IOB_E_GONE, IOB_STEP_ATTACH, 0,
			  "the domain handle was revoked or closed meanwhile");
	else
		domain_attach(d, fd, msg->attach.devices, &why);
	priv_status_from_fault(&rep.answer.status, &why);
	channel_send(s, &rep, msg->hdr.op, msg->hdr.serial, true, NULL);
}

static void command_gained(struct session *s, const struct priv_gained *c, struct fd_list *fds)
{
	struct handle *h = handle_by_id(s, c->handle_id, IOB_KIND_DEVICE);

	if (h)
		device_gained(h, fd_list_steal(fds, 0), c->domain_id, c->direct == 1);
}

static void command_lost(struct session *s, struct priv_message *msg)
{
	struct handle *h = handle_by_id(s, msg->lost.handle_id, IOB_KIND_DEVICE);
	struct priv_message rep = { 0 };

	if (h)
		device_lost(h);
	channel_send(s, &rep, PRIV_LOST, msg->hdr.serial, true, NULL);
}

static void command_freed(struct session *s, const struct priv_lost *c)
{
	struct handle *h = handle_by_id(s, c->handle_id, IOB_KIND_DEVICE);

	if (h)
		device_freed(h, c->reason);
}

static void command_adopt(struct session *s, const struct priv_adopt *c, struct fd_list *fds)
{
	struct domain *d = domain_by_id(s, c->domain_id);
	struct handle *h = NULL;

	if (d)
		h = handle_new(s, fd_list_steal(fds, 0), c->handle_id, IOB_KIND_DOMAIN);
	if (!h) {
		channel_closed(s, c->handle_id);
		return;
	}
	h->domain = d;
	h->looker = true;
	h->rights = c->rights;
	h->flags = c->flags;
	h->window_first = c->window_first;
	h->window_last = c->window_last;
}

/* ---- a new monitor ---- */

static uint32_t bound_state(const struct handle *h)
{
	if (!h->device)
		return PRIV_NOT_BOUND;
	if (h->pending && h->pending->priv_op == PRIV_UNBIND)
		return PRIV_UNBINDING;
	return h->device->fd >= 0 ? PRIV_BOUND : PRIV_NOT_BOUND;
}

/* The first message after it goes out: what the earlier monitor was told or asked before does not
 * count any more. */
static void tell_what_there_is(struct session *s, uint32_t serial)
{
	struct priv_message rep = { 0 };
	struct priv_resumed *r = &rep.resumed;
	struct handle *h;

	while (!STAILQ_EMPTY(&s->queue))
		queued_free(s, STAILQ_FIRST(&s->queue));
	r->session_id = s->id;
	LIST_FOREACH(h, &s->handles, link) {
		if (h->kind == IOB_KIND_CONNECTION || r->count == PRIV_MAX_HANDLES)
			continue;
		r->known[r->count].handle_id = h->id;
		r->known[r->count].kind = h->kind;
		r->known[r->count++].bound = bound_state(h);
	}
	channel_send(s, &rep, PRIV_RESUME, serial, true, NULL);
}

static void ask_again(struct session *s, struct pending *p)
{
	struct priv_message msg = { .hdr.again = 1 };
	struct fault why;

	memcpy(&msg.status, p->body, p->bytes);
	int r = channel_send(s, &msg, p->priv_op, p->serial, false, p->fd >= 0 ? &p->fd : NULL);

	if (r == 0)
		return;
	fault_set(&why, IOB_E_NO_MEMORY, IOB_STEP_SESSION, -r, "the monitor cannot be asked: %s",
		  strerror(-r));
	reply_fault(p->handle, p->op, p->tag, &why);
	pending_free(p);
}

/* What was asked for a handle that is gone by now was, if it was made, not in the list above. */
static void command_resume(struct session *s, struct priv_message *msg)
{
	struct pending *p, *next;

	tell_what_there_is(s, msg->hdr.serial);
	LIST_FOREACH_SAFE(p, &s->pendings, link, next) {
		if (p->handle)
			ask_again(s, p);
		else
			pending_free(p);
	}
}

static void channel_command(struct session *s, struct priv_message *msg, struct fd_list *fds)
{
	switch (msg->hdr.op) {
	case PRIV_INIT:
		command_init(s, &msg->init, fds);
		break;
	case PRIV_ATTACH:
	case PRIV_ONLINE:
	case PRIV_DETACH:
		command_attach(s, msg, fds);
		break;
	case PRIV_GAINED:
		command_gained(s, &msg->gained, fds);
		break;
	case PRIV_LOST:
		command_lost(s, msg);
		break;
	case PRIV_FREED:
		command_freed(s, &msg->lost);
		break;
	case PRIV_LIMITS:
		rate_limit(s, msg->limits.max_rate);
		break;
	case PRIV_ADOPT:
		command_adopt(s, &msg->adopt, fds);
		break;
	case PRIV_RESUME:
		command_resume(s, msg);
		break;
	default:
		break; /* priv_check() let nothing else through */
	}
}

/* ---- receiving ---- */

/* First the mappings: the client sees the end of its handles with the end of this process, and what others
 * bound into its domains may have its context alive for as long as they like. */
static void __attribute__((noreturn)) service_stopped(struct session *s)
{
	struct domain *d;

	log_info("session %u: the service was stopped", s->id);
	LIST_FOREACH(d, &s->domains, link)
		mapping_drop_domain(d);
	_exit(0);
}

/* Requests under way will not be answered by anybody. */
static void channel_lost(struct session *s)
{
	struct pending *p;
	struct fault f;

	if (s->kept)
		service_stopped(s);
	log_warn("session %u: the monitor is gone; mappings stay", s->id);
	event_del(s->on_channel);
	event_del(s->on_channel_write);
	close(s->channel);
	s->channel = -1;
	fault_set(&f, IOB_E_MONITOR, IOB_STEP_SESSION, EPIPE, "the monitor is gone");
	while (!STAILQ_EMPTY(&s->queue))
		queued_free(s, STAILQ_FIRST(&s->queue));
	while ((p = LIST_FIRST(&s->pendings)) != NULL) {
		if (p->handle)
			reply_fault(p->handle, p->op, p->tag, &f);
		pending_free(p);
	}
	if (s->handle_count == 0)
		event_base_loopbreak(s->base);
}

static void on_channel(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	struct priv_message msg;
	struct fd_list fds;
	ssize_t n;

	(void)what;
	memset(&msg.hdr, 0, sizeof(msg.hdr));
	n = message_receive((int)fd, &msg, sizeof(msg), &fds, MESSAGE_MAX_FDS);
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		fd_list_close(&fds);
		channel_lost(s);
		return;
	}
	int r = priv_check(&msg, (size_t)n, fds.count, true, PRIV_STATE_READY);

	if (r == 0 && msg.hdr.reply)
		r = channel_reply(s, &msg, &fds);
	else if (r == 0)
		channel_command(s, &msg, &fds);
	fd_list_close(&fds);
	if (r < 0) {
		log_error("session %u: a message of the monitor makes no sense", s->id);
		_exit(1);
	}
}

int channel_start(struct session *s)
{
	struct priv_message msg = { 0 };

	STAILQ_INIT(&s->queue);
	s->on_channel = event_new(s->base, s->channel, EV_READ | EV_PERSIST, on_channel, s);
	s->on_channel_write =
		event_new(s->base, s->channel, EV_WRITE | EV_PERSIST, on_channel_write, s);
	/* The monitor is heard before any client: revocation must not queue behind requests. */
	if (!s->on_channel || !s->on_channel_write || event_priority_set(s->on_channel, 0) < 0 ||
	    event_add(s->on_channel, NULL) < 0)
		return -ENOMEM;
	return channel_send(s, &msg, PRIV_READY, 0, false, NULL);
}
