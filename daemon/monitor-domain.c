/* SPDX-License-Identifier: MIT */
/* monitor-domain.c - domains and the handles to them. */
#include <bsd/string.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor-keep.h"
#include "proto/names.h"

/* The kernel accounts pages in its own rounding: metadata pages come on top of what is mapped. */
#define MEMLOCK_SLACK_BYTES (UINT64_C(1) << 20)

/* ---- charges ---- */

/* A client that asks for nothing in particular gets half of what its user has left, so that there
 * is always something for the next domain. Then charge. */
static int domain_charge(struct session *s, uint64_t *bytes, uint32_t *mappings, struct fault *why)
{
	const struct quota *q = &s->quota;
	struct account *a = s->account;
	char needed[NAMES_BYTES], left[NAMES_BYTES], all[NAMES_BYTES];
	uint64_t bytes_left = q->max_bytes > a->bytes ? q->max_bytes - a->bytes : 0;
	uint32_t mappings_left = q->max_mappings > a->mappings ? q->max_mappings - a->mappings : 0;

	if (a->domains >= q->max_domains)
		return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0,
				 "max-domains: uid %u has %u domains", (unsigned)a->uid,
				 a->domains);
	if (*bytes == 0)
		*bytes = bytes_left < 8192 ? bytes_left : (bytes_left / 2) & ~(uint64_t)4095;
	if (*mappings == 0)
		*mappings = (mappings_left + 1) / 2;
	if (*bytes == 0 || *bytes > bytes_left)
		return fault_set(why, IOB_E_QUOTA, IOB_STEP_LIMIT, 0,
				 "max-bytes: %s needed, %s of %s left for uid %u",
				 names_bytes(*bytes ? *bytes : 4096, needed),
				 names_bytes(bytes_left, left), names_bytes(q->max_bytes, all),
				 (unsigned)a->uid);
	if (*mappings == 0 || *mappings > mappings_left)
		return fault_set(why, IOB_E_QUOTA, IOB_STEP_LIMIT, 0,
				 "max-mappings: %u asked, %u of %u left for uid %u", *mappings,
				 mappings_left, q->max_mappings, (unsigned)a->uid);
	a->domains++;
	a->bytes += *bytes;
	a->mappings += *mappings;
	a->references++;
	return 0;
}

static void domain_refund(struct domain *d)
{
	d->account->domains--;
	d->account->bytes -= d->max_bytes;
	d->account->mappings -= d->max_mappings;
	account_put(d->account);
}

/* The pid of a child is its own until it is collected; that of an adopted session, which somebody
 * else collects, is as long as it has not ended. */
static bool session_lives(const struct session *s)
{
	return !s->killed &&
	       (!s->adopted || syscall(SYS_pidfd_send_signal, s->pidfd, 0, NULL, 0) == 0);
}

/* The kernel's own limit follows the charge, so that a session taken over pins no more. */
static int session_set_memlock(struct session *s, uint64_t bytes, struct fault *why)
{
	struct rlimit limit = { bytes + MEMLOCK_SLACK_BYTES, bytes + MEMLOCK_SLACK_BYTES };

	/* The simulator pins nothing; of an ended session the pid may be somebody else's by now. */
	s->memlock_bytes = bytes;
	if (s->monitor->glue->backend == IOB_BACKEND_SIM || !session_lives(s))
		return 0;
	if (prlimit(s->pid, RLIMIT_MEMLOCK, &limit, NULL) < 0)
		return fault_set(why, IOB_E_INTERNAL, IOB_STEP_LIMIT, errno,
				 "the memlock limit of the session cannot be set: %s",
				 strerror(errno));
	return 0;
}

/* ---- handles ---- */

/*
 * The cap on lookers does more than spare memory: each new handle of theirs is a message on the
 * channel of a session that may be busy, and that is killed when no more fit. They count until it
 * has heard of them and tells that they are closed.
 */
static int handle_check_limit(const struct session *s, bool looker, struct fault *why)
{
	if (looker && s->looker_count >= PRIV_MAX_LOOKERS)
		return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0,
				 "lookers: at most %u handles that others opened to look at it are "
				 "served on a connection, at all of its domains",
				 PRIV_MAX_LOOKERS);
	if (!looker && s->handle_count >= PRIV_OWN_HANDLES)
		return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0,
				 "handles: a connection has at most %u", PRIV_OWN_HANDLES);
	return 0;
}

/* A socket pair whose client end is a handle of this session; *fds: session's end, client's end. */
static struct handle *handle_make(struct session *s, uint32_t kind, bool looker, int pair[2],
				  struct fault *why)
{
	struct handle *h = NULL;
	uint64_t cookie;

	if (handle_check_limit(s, looker, why) < 0 || keep_check_handles(s->monitor, why) < 0)
		return NULL;
	int r = message_socketpair(pair);

	if (r < 0) {
		fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_HANDLE, -r, "no handle could be made: %s",
			  strerror(-r));
		return NULL;
	}
	if (message_cookie(pair[1], &cookie) == 0)
		h = handle_new(s->monitor, s, kind, cookie, 0, looker);
	if (!h) {
		close(pair[0]);
		close(pair[1]);
		fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_HANDLE, ENOMEM, "out of memory");
	}
	return h;
}

struct handle *handle_make_device(struct session *s, struct device *d, int pair[2],
				  struct fault *why)
{
	struct handle *h = handle_make(s, IOB_KIND_DEVICE, false, pair, why);

	if (h)
		h->device = d;
	return h;
}

static struct handle *handle_make_domain(struct domain *d, uint32_t rights, bool looker,
					 int pair[2], struct fault *why)
{
	struct handle *h = handle_make(d->session, IOB_KIND_DOMAIN, looker, pair, why);

	if (!h)
		return NULL;
	h->domain = d;
	h->rights = rights;
	LIST_INSERT_HEAD(&d->handles, h, of_domain);
	return h;
}

/* ---- creation ---- */

static struct domain *domain_new(struct session *s, uint64_t bytes, uint32_t mappings)
{
	struct monitor *m = s->monitor;
	struct domain *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	do {
		d->id = ++m->next_domain_id;
	} while (d->id == 0 || domain_by_id(m, d->id));
	d->session = s;
	d->session_id = s->id;
	d->account = s->account;
	d->max_bytes = bytes;
	d->max_mappings = mappings;
	d->pid = s->peer.pid;
	d->context_fd = -1;
	LIST_INIT(&d->handles);
	LIST_INIT(&d->devices);
	LIST_INSERT_HEAD(&m->domains, d, link);
	LIST_INSERT_HEAD(&s->domains, d, of_session);
	return d;
}

static void domain_free(struct monitor *m, struct domain *d)
{
	keep_drop_domain(m, d);
	domain_refund(d);
	LIST_REMOVE(d, link);
	if (d->context_fd >= 0)
		close(d->context_fd);
	free(d);
}

/* fds: session's end, client's end, context for the session. All three are the caller's. */
static int domain_open(struct domain *d, int fds[3], struct fault *why)
{
	const struct glue_opener *glue = d->session->monitor->glue;

	if (session_set_memlock(d->session, d->session->memlock_bytes + d->max_bytes, why) < 0 ||
	    glue->context_open(&d->context_fd, &d->token, why) < 0)
		return -1;
	fds[2] = glue->descriptor_dup(d->context_fd);
	if (fds[2] < 0)
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_IOMMU_OPEN, -fds[2],
				 "the IOMMU context cannot be passed on: %s", strerror(-fds[2]));
	d->root = handle_make_domain(d, IOB_RIGHT_ALL, false, fds, why);
	if (!d->root) {
		close(fds[2]);
		return -1;
	}
	return 0;
}

static struct domain *domain_create(struct session *s, const struct priv_domain_create *q,
				    int fds[3], struct fault *why)
{
	struct monitor *m = s->monitor;
	uint64_t bytes = q->max_bytes;
	uint32_t mappings = q->max_mappings;

	if (!policy_may_create_domain(&m->config, &s->peer)) {
		fault_set(why, IOB_E_DENIED, IOB_STEP_POLICY, 0,
			  "no rule lets uid %u create domains (domains = yes)",
			  (unsigned)s->peer.uid);
		return NULL;
	}
	if (keep_check_room(m, 1, why) < 0 || keep_check_domains(m, why) < 0 ||
	    domain_charge(s, &bytes, &mappings, why) < 0)
		return NULL;
	struct domain *d = domain_new(s, bytes, mappings);

	if (!d) {
		s->account->domains--;
		s->account->bytes -= bytes;
		s->account->mappings -= mappings;
		account_put(s->account);
		fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_LIMIT, ENOMEM, "out of memory");
		return NULL;
	}
	if (domain_open(d, fds, why) < 0) {
		struct fault ignored;

		session_set_memlock(s, s->memlock_bytes - d->max_bytes, &ignored);
		LIST_REMOVE(d, of_session);
		domain_free(m, d);
		return NULL;
	}
	return d;
}

void monitor_domain_create(struct session *s, struct priv_message *msg)
{
	struct priv_message rep = { 0 };
	struct fault why = { 0 };
	int fds[3];
	struct domain *d = domain_create(s, &msg->domain_create, fds, &why);

	priv_status_from_fault(&rep.status, &why);
	if (!d) {
		session_reply(s, &rep, PRIV_DOMAIN_CREATE, msg->hdr.serial, NULL);
		return;
	}
	keep_domain(s->monitor, d);
	keep_handle(s->monitor, d->root);
	rep.domain_created.domain_id = d->id;
	rep.domain_created.handle_id = d->root->id;
	rep.domain_created.token = d->token;
	rep.domain_created.max_bytes = d->max_bytes;
	rep.domain_created.max_mappings = d->max_mappings;
	log_info("domain %u: made by session %u, %llu bytes, %u mappings", d->id, s->id,
		 (unsigned long long)d->max_bytes, d->max_mappings);
	session_reply(s, &rep, PRIV_DOMAIN_CREATE, msg->hdr.serial, fds);
	close_pair(fds);
	close(fds[2]);
}

/* ---- further handles ---- */

/* A grant has at most the rights and the window of its giver, and keeps its read-only flag. */
static int grant_check(const struct handle *giver, const struct priv_grant *q, struct fault *why)
{
	char asked[NAMES_BYTES], there[NAMES_BYTES];

	if (!giver || giver->kind != IOB_KIND_DOMAIN || giver->domain->state != DOMAIN_LIVE)
		return fault_set(why, IOB_E_GONE, IOB_STEP_HANDLE, 0, "the domain is gone");
	if ((giver->rights & IOB_RIGHT_GRANT) == 0 || (q->rights & ~giver->rights) != 0)
		return fault_set(why, IOB_E_RIGHTS, IOB_STEP_HANDLE, 0,
				 "rights %s asked, the giver has %s",
				 names_rights(q->rights, asked),
				 names_rights(giver->rights, there));
	if (q->rights == 0)
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
				 "a grant without any right");
	if ((q->flags & ~IOB_GRANT_READ_ONLY) != 0)
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_PARSE, 0,
				 "flags of a grant are 0 or 1 (READ_ONLY), not %u", q->flags);
	if (q->window_first > q->window_last || q->window_first < giver->window_first ||
	    q->window_last > giver->window_last)
		return fault_set(why, IOB_E_IOVA_WINDOW, IOB_STEP_RANGE, 0,
				 "window 0x%llx-0x%llx is not inside the giver's 0x%llx-0x%llx",
				 (unsigned long long)q->window_first,
				 (unsigned long long)q->window_last,
				 (unsigned long long)giver->window_first,
				 (unsigned long long)giver->window_last);
	return 0;
}

void monitor_grant(struct session *s, struct priv_message *msg)
{
	const struct priv_grant *q = &msg->grant;
	struct handle *giver = handle_of_session(s->monitor, s, q->handle_id);
	struct handle *h = NULL;
	struct priv_message rep = { 0 };
	struct fault why = { 0 };
	int pair[2];

	if (grant_check(giver, q, &why) == 0)
		h = handle_make_domain(giver->domain, q->rights, false, pair, &why);
	priv_status_from_fault(&rep.status, &why);
	if (!h) {
		session_reply(s, &rep, PRIV_GRANT, msg->hdr.serial, NULL);
		return;
	}
	h->flags = q->flags | giver->flags;
	h->window_first = q->window_first;
	h->window_last = q->window_last;
	keep_handle(s->monitor, h);
	rep.granted.handle_id = h->id;
	session_reply(s, &rep, PRIV_GRANT, msg->hdr.serial, pair);
	close_pair(pair);
}

/* Whoever may look gets a handle that can do nothing else, served by the domain's own session, and
 * out of what is set aside there for those who look. */
static struct handle *domain_inspect(struct session *s, uint32_t id, int pair[2], struct fault *why)
{
	struct domain *d = domain_by_id(s->monitor, id);
	bool visible = d && d->state == DOMAIN_LIVE &&
		       (d->account->uid == s->peer.uid ||
			policy_may_inspect_all(&s->monitor->config, &s->peer));

	if (!visible) {
		fault_set(why, IOB_E_GONE, IOB_STEP_HANDLE, 0, "domain %u: none that you may see",
			  id);
		return NULL;
	}
	return handle_make_domain(d, IOB_RIGHT_INSPECT, true, pair, why);
}

void monitor_domain_open(struct session *s, struct priv_message *msg)
{
	struct priv_message rep = { 0 }, adopt = { 0 };
	struct fault why = { 0 };
	int pair[2];
	struct handle *h = domain_inspect(s, msg->id.id, pair, &why);

	priv_status_from_fault(&rep.status, &why);
	if (!h) {
		session_reply(s, &rep, PRIV_DOMAIN_OPEN, msg->hdr.serial, NULL);
		return;
	}
	keep_handle(s->monitor, h);
	adopt.adopt.handle_id = h->id;
	adopt.adopt.domain_id = h->domain->id;
	adopt.adopt.rights = h->rights;
	adopt.adopt.window_last = UINT64_MAX;
	rep.done.id = h->domain->id;
	session_tell(h->session, &adopt, PRIV_ADOPT, &pair[0]);
	session_reply(s, &rep, PRIV_DOMAIN_OPEN, msg->hdr.serial, &pair[1]);
	close_pair(pair);
}

/* ---- end ---- */

/* Its devices leave it without waiting for anybody: unmapping is what counts. Their owners are
 * told, and a device is free again when its owner has let go too. */
static void domain_drop_devices(struct monitor *m, struct domain *d)
{
	struct device *dev;

	LIST_FOREACH(dev, &d->devices, of_domain) {
		if (dev->state == DEVICE_BINDING)
			fault_set(&dev->outcome, IOB_E_GONE, IOB_STEP_BIND, 0,
				  "the domain was closed meanwhile");
		if (dev->state != DEVICE_DETACHING) {
			device_detach(m, dev, IOB_UNBOUND_DOMAIN_GONE, true);
		} else if (dev->waiting & DEVICE_WAIT_DETACH) {
			session_forget_answer(m, dev, PRIV_DETACH);
			dev->waiting &= ~(unsigned)DEVICE_WAIT_DETACH;
		}
	}
}

void domain_end(struct monitor *m, struct domain *d)
{
	domain_drop_devices(m, d);
	reap_domain(m, d);
}

void domain_destroy(struct monitor *m, struct domain *d)
{
	struct handle *h, *next;

	log_info("domain %u: taken apart", d->id);
	d->state = DOMAIN_DYING;
	LIST_FOREACH_SAFE(h, &d->handles, of_domain, next)
		handle_free(m, h);
	d->root = NULL;
	LIST_REMOVE(d, of_session);
	d->session = NULL;
	keep_domain(m, d);
	domain_end(m, d);
}

void domain_reaped(struct monitor *m, struct domain *d)
{
	struct session *s = session_by_id(m, d->session_id);
	struct device *dev, *next;
	struct fault ignored;

	if (s) /* not before: until now its pins counted */
		session_set_memlock(s, s->memlock_bytes - d->max_bytes, &ignored);
	LIST_FOREACH_SAFE(dev, &d->devices, of_domain, next) {
		LIST_REMOVE(dev, of_domain);
		dev->domain = NULL;
		if (dev->reaped_with_domain)
			device_waited(m, dev, DEVICE_WAIT_REAPER);
	}
	log_info("domain %u: gone", d->id);
	domain_free(m, d);
}
