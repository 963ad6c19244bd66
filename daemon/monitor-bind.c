/* SPDX-License-Identifier: MIT */
/*
 * monitor-bind.c - putting a device into a domain and taking it out.
 *
 * The domain belongs to one session, the device to another. The monitor recognises both handles,
 * opens and binds the device, has the domain's session attach it (which pins what is mapped, and
 * may take long), and gives it to the device's session only then. On the way out both sessions
 * let go first; then a throwaway process quiesces, detaches and closes.
 *
 *   OPEN -> BINDING -> BOUND -> DETACHING -> OPEN or FREE
 *              \________________/
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor-keep.h"
#include "daemon/monitor-manager.h"
#include "proto/names.h"

static void answer(struct monitor *m, const struct requester *r, const struct fault *f,
		   uint32_t domain_id)
{
	struct session *s = r->session_id ? session_by_id(m, r->session_id) : NULL;
	struct priv_message rep = { 0 };

	if (!s)
		return;
	priv_status_from_fault(&rep.status, f);
	rep.done.id = domain_id;
	session_reply(s, &rep, r->op, r->serial, NULL);
}

/* ---- in ---- */

/* The client's end of a connection: no object, and its cookie is not known here. What is asked of the
 * socket only decides how the refusal is called. */
static bool is_connection(const struct monitor *m, int fd)
{
	struct sockaddr_un ours = { 0 }, theirs = { 0 };
	socklen_t our_bytes = sizeof(ours), their_bytes = sizeof(theirs);

	return getsockname(m->listen_fd, (struct sockaddr *)&ours, &our_bytes) == 0 &&
	       getpeername(fd, (struct sockaddr *)&theirs, &their_bytes) == 0 &&
	       our_bytes > sizeof(ours.sun_family) && our_bytes == their_bytes &&
	       memcmp(&ours, &theirs, sizeof(ours)) == 0;
}

static int wrong_kind(uint32_t passed, uint32_t wanted, struct fault *why)
{
	return fault_set(why, IOB_E_WRONG_KIND, IOB_STEP_HANDLE, 0,
			 "a %s handle was passed where a %s handle belongs", names_kind(passed),
			 names_kind(wanted));
}

/* The handle that the client passed, recognised by the kernel's identity of the socket. */
static struct handle *passed_handle(struct monitor *m, int fd, uint32_t kind, struct fault *why)
{
	uint64_t cookie;
	struct handle *h = message_cookie(fd, &cookie) == 0 ? handle_by_cookie(m, cookie) : NULL;

	if (h && h->kind == kind)
		return h;
	if (h || is_connection(m, fd))
		wrong_kind(h ? h->kind : IOB_KIND_CONNECTION, kind, why);
	else
		fault_set(why, IOB_E_BAD_HANDLE, IOB_STEP_HANDLE, 0,
			  "the descriptor passed is no living handle of this broker; a %s handle "
			  "belongs here",
			  names_kind(kind));
	return NULL;
}

/* Which of the two is the domain handle, which the device handle. */
static int bind_parties(struct session *s, uint32_t id, int fd, struct handle **domain,
			struct handle **device, struct fault *why)
{
	struct handle *own = handle_of_session(s->monitor, s, id);

	if (!own)
		return fault_set(why, IOB_E_GONE, IOB_STEP_HANDLE, 0, "the object is gone");
	bool is_domain = own->kind == IOB_KIND_DOMAIN;
	struct handle *other =
		passed_handle(s->monitor, fd, is_domain ? IOB_KIND_DEVICE : IOB_KIND_DOMAIN, why);

	if (!other)
		return -1;
	*domain = is_domain ? own : other;
	*device = is_domain ? other : own;
	return 0;
}

/* The group descriptor of another device of the group that is in the same domain, or -1. */
static int sibling_group_fd(const struct domain *domain, const struct device *d)
{
	struct device *o;

	LIST_FOREACH(o, &domain->devices, of_domain)
		if (o != d && o->info.group == d->info.group && o->bound.group_fd >= 0 &&
		    o->state != DEVICE_DETACHING)
			return o->bound.group_fd;
	return -1;
}

static uint32_t domain_device_count(const struct domain *domain)
{
	struct device *d;
	uint32_t n = 0;

	LIST_FOREACH(d, &domain->devices, of_domain)
		n += d->state == DEVICE_BINDING || d->state == DEVICE_BOUND;
	return n;
}

static int bind_check(const struct handle *domain, const struct device *d, struct fault *why)
{
	const struct device *o;
	uint32_t there = 0;

	if ((domain->rights & IOB_RIGHT_BIND) == 0)
		return fault_set(why, IOB_E_RIGHTS, IOB_STEP_HANDLE, 0,
				 "the domain handle lacks the right to bind");
	if (domain->domain->state != DOMAIN_LIVE)
		return fault_set(why, IOB_E_GONE, IOB_STEP_HANDLE, 0, "the domain is gone");
	if (d->state == DEVICE_BOUND)
		return fault_set(why, IOB_E_ALREADY_BOUND, IOB_STEP_BIND, 0,
				 "device %s is in domain %u already", d->info.name, d->domain->id);
	if (d->state != DEVICE_OPEN && d->state != DEVICE_DETACHING)
		return fault_set(why, IOB_E_BUSY, IOB_STEP_BIND, 0, "device %s is just being bound",
				 d->info.name);
	if (d->parked.requester.session_id != 0)
		return fault_set(why, IOB_E_BUSY, IOB_STEP_BIND, 0,
				 "somebody else waits to bind device %s", d->info.name);
	LIST_FOREACH(o, &domain->domain->devices, of_domain)
		there++; /* also those on their way out */
	if (there >= MONITOR_DOMAIN_DEVICES)
		return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0,
				 "devices: a domain has at most %u", MONITOR_DOMAIN_DEVICES);
	return 0;
}

static void attach_failed(struct device *d)
{
	fault_set(&d->outcome, IOB_E_NO_MEMORY, IOB_STEP_ATTACH, ENOMEM, "out of memory");
	device_detach(d->domain->session->monitor, d, IOB_UNBOUND_FAILED, false);
}

static void ask_to_attach(struct device *d, uint32_t handle_id)
{
	struct session *s = d->domain->session;
	struct priv_message msg = { 0 };

	msg.attach.domain_id = d->domain->id;
	msg.attach.devices = domain_device_count(d->domain);
	msg.attach.handle_id = handle_id;
	if (glue_opener_type1.backend == s->monitor->glue->backend) {
		if (!session_ask(s, d, &msg, PRIV_ONLINE, NULL))
			attach_failed(d);
		return;
	}
	int fd = s->monitor->glue->descriptor_dup(d->bound.device_fd);

	if (fd < 0) {
		fault_set(&d->outcome, IOB_E_NO_MEMORY, IOB_STEP_ATTACH, -fd,
			  "the device cannot be passed on: %s", strerror(-fd));
		device_detach(s->monitor, d, IOB_UNBOUND_FAILED, false);
		return;
	}
	if (!session_ask(s, d, &msg, PRIV_ATTACH, &fd))
		attach_failed(d);
	close(fd);
}

static void bind_parked(struct device *d);

static void on_try_again(evutil_socket_t fd, short what, void *arg)
{
	struct device *d = arg;

	(void)fd;
	(void)what;
	if (d->state == DEVICE_OPEN)
		bind_parked(d);
}

/* Somebody who was killed may not have closed the device yet; nothing tells when it has. */
static bool try_again_later(struct device *d, const struct handle *domain,
			    const struct requester *r, unsigned tries, const struct fault *why)
{
	struct timeval pause = { .tv_usec = MONITOR_BIND_PAUSE_US };

	if (why->code != IOB_E_BUSY || tries == 0 ||
	    event_base_once(d->monitor->base, -1, EV_TIMEOUT, on_try_again, d, &pause) < 0)
		return false;
	d->parked = (struct parked_bind){ *r, domain->cookie, tries - 1 };
	return true;
}

/* Of a device that is in no domain. */
static void bind_begin(struct device *d, const struct handle *domain, const struct requester *r,
		       unsigned tries)
{
	struct monitor *m = d->monitor;
	struct fault why = { 0 };

	manager_alive(); /* opening may wait for a device's reset, and several may do so in a row */
	if (keep_check_room(m, 2, &why) < 0 ||
	    m->glue->device_bind(domain->domain->context_fd, &d->info,
				 sibling_group_fd(domain->domain, d), &d->bound, &why) < 0) {
		if (!try_again_later(d, domain, r, tries, &why))
			answer(m, r, &why, 0);
		return;
	}
	d->state = DEVICE_BINDING;
	d->domain = domain->domain;
	d->direct = (domain->rights & IOB_RIGHT_DIRECT) != 0 && (d->access & IOB_ACCESS_FD) != 0;
	d->requester = *r;
	memset(&d->outcome, 0, sizeof(d->outcome));
	LIST_INSERT_HEAD(&d->domain->devices, d, of_domain);
	keep_device(m, d);
	keep_bound(m, d);
	ask_to_attach(d, domain->id);
}

/* Asked again after a restart, and the earlier monitor had done it. */
static bool bound_before(const struct priv_message *msg, const struct device *d,
			 const struct handle *domain)
{
	return msg->hdr.again == 1 && d->state == DEVICE_BOUND && d->domain == domain->domain;
}

void monitor_bind(struct session *s, struct priv_message *msg, struct fd_list *fds)
{
	const struct requester asking = { s->id, msg->hdr.serial, msg->hdr.op };
	struct handle *domain = NULL, *device = NULL;
	struct fault why = { 0 };
	int r = bind_parties(s, msg->id.id, fds->fd[0], &domain, &device, &why);

	close_foreign(fds);
	if (r == 0 && bound_before(msg, device->device, domain)) {
		answer(s->monitor, &asking, &why, domain->domain->id);
		return;
	}
	if (r < 0 || bind_check(domain, device->device, &why) < 0) {
		answer(s->monitor, &asking, &why, 0);
		return;
	}
	struct device *d = device->device;

	if (d->state == DEVICE_DETACHING)
		d->parked = (struct parked_bind){ asking, domain->cookie, MONITOR_BIND_TRIES };
	else
		bind_begin(d, domain, &asking, MONITOR_BIND_TRIES);
}

/* The device can be bound, or may be by now, and somebody waits for that. */
static void bind_parked(struct device *d)
{
	const struct parked_bind p = d->parked;
	struct handle *domain = handle_by_cookie(d->monitor, p.domain_cookie);
	struct fault why = { 0 };

	memset(&d->parked, 0, sizeof(d->parked));
	if (p.requester.session_id == 0)
		return;
	if (!domain)
		fault_set(&why, IOB_E_GONE, IOB_STEP_HANDLE, 0, "the domain was closed meanwhile");
	if (!domain || bind_check(domain, d, &why) < 0)
		answer(d->monitor, &p.requester, &why, 0);
	else
		bind_begin(d, domain, &p.requester, p.tries);
}

void bind_give_up(struct device *d)
{
	struct fault why;

	fault_set(&why, IOB_E_GONE, IOB_STEP_HANDLE, 0, "the device handle was closed meanwhile");
	answer(d->monitor, &d->parked.requester, &why, 0);
	memset(&d->parked, 0, sizeof(d->parked));
}

int device_give_to_owner(struct device *d)
{
	struct priv_message msg = { 0 };
	int fd = d->owner->monitor->glue->descriptor_dup(d->bound.device_fd);

	if (fd < 0)
		return fault_set(&d->outcome, IOB_E_NO_MEMORY, IOB_STEP_BIND, -fd,
				 "the device cannot be passed on: %s", strerror(-fd));
	msg.gained.handle_id = d->handle->id;
	msg.gained.domain_id = d->domain->id;
	msg.gained.direct = d->direct;
	d->gained = true;
	keep_device(d->owner->monitor, d);
	session_tell(d->owner, &msg, PRIV_GAINED, &fd);
	close(fd);
	return 0;
}

static void bind_attached(struct monitor *m, struct device *d, const struct fault *f)
{
	if (d->state != DEVICE_BINDING)
		return; /* it was given up meanwhile */
	if (f->code != IOB_OK) {
		d->outcome = *f;
		device_detach(m, d, IOB_UNBOUND_FAILED, false);
		return;
	}
	d->state = DEVICE_BOUND;
	if (device_give_to_owner(d) < 0) {
		device_detach(m, d, IOB_UNBOUND_FAILED, false);
		return;
	}
	log_info("device %s: in domain %u", d->info.name, d->domain->id);
	answer(m, &d->requester, &d->outcome, d->domain->id);
	d->requester.session_id = 0;
}

/* ---- out ---- */

/* Of a domain that lives the device goes alone, when everybody has let go; of a dying one
 * reap_domain() takes it along. */
void device_detach(struct monitor *m, struct device *d, enum iob_unbound_reason reason,
		   bool tell_owner)
{
	struct priv_message lost = { 0 }, detach = { 0 };

	session_forget_answer(m, d, 0); /* an ATTACH still under way is answered to nobody */
	d->state = DEVICE_DETACHING;
	d->waiting = DEVICE_WAIT_REAPER;
	if (tell_owner && d->owner && d->gained)
		d->lost = reason;
	keep_device(m, d);
	if (tell_owner && d->owner && d->gained) {
		lost.lost.handle_id = d->handle->id;
		lost.lost.reason = reason;
		if (session_ask(d->owner, d, &lost, PRIV_LOST, NULL))
			d->waiting |= DEVICE_WAIT_LOST;
	}
	if (d->domain->state == DOMAIN_LIVE) {
		detach.attach.domain_id = d->domain->id;
		detach.attach.devices = domain_device_count(d->domain);
		if (session_ask(d->domain->session, d, &detach, PRIV_DETACH, NULL))
			d->waiting |= DEVICE_WAIT_DETACH;
		device_waited(m, d, 0);
	}
}

static void device_out(struct monitor *m, struct device *d)
{
	struct requester r = d->requester;
	uint32_t domain_id = 0;

	if (d->domain) {
		domain_id = d->domain->id;
		LIST_REMOVE(d, of_domain);
		d->domain = NULL;
	}
	d->requester.session_id = 0;
	device_detached(m, d);
	answer(m, &r, &d->outcome, domain_id);
	if (d->state == DEVICE_OPEN)
		bind_parked(d);
}

void device_waited(struct monitor *m, struct device *d, unsigned what)
{
	d->waiting &= ~what;
	if (d->waiting == DEVICE_WAIT_REAPER && !d->reaping)
		reap_device(m, d);
	else if (d->waiting == 0)
		device_out(m, d);
}

void device_answered(struct monitor *m, struct device *d, uint32_t op, const struct fault *f)
{
	if (op == PRIV_ATTACH || op == PRIV_ONLINE)
		bind_attached(m, d, f);
	else
		device_waited(m, d, op == PRIV_LOST ? DEVICE_WAIT_LOST : DEVICE_WAIT_DETACH);
}

/* The asking session has closed its descriptor of the device before it asked. */
void monitor_unbind(struct session *s, struct priv_message *msg)
{
	struct handle *h = handle_of_session(s->monitor, s, msg->id.id);
	struct fault why = { 0 };
	struct device *d = h && h->kind == IOB_KIND_DEVICE ? h->device : NULL;
	struct requester asking = { s->id, msg->hdr.serial, msg->hdr.op };

	if (d && msg->hdr.again == 1 && d->state == DEVICE_DETACHING &&
	    d->requester.session_id == 0) {
		d->requester = asking; /* an earlier monitor began it */
		return;
	}
	if (!d || d->state != DEVICE_BOUND) {
		if (!d || msg->hdr.again == 0 || d->state != DEVICE_OPEN)
			fault_set(&why, IOB_E_NOT_BOUND, IOB_STEP_DETACH, 0,
				  "the device is in no domain");
		answer(s->monitor, &asking, &why, 0);
		return;
	}
	d->gained = false;
	d->requester = asking;
	memset(&d->outcome, 0, sizeof(d->outcome));
	device_detach(s->monitor, d, IOB_UNBOUND_REQUEST, false);
}
