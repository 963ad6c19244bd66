/* SPDX-License-Identifier: MIT */
/* monitor-session.c - the life of a session as the monitor sees it, and its private channel. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor-keep.h"

/* ---- sending ---- */

static void session_stop(struct session *s)
{
	s->killed = true;
	event_del(s->on_channel);
	if (s->on_start_timeout)
		event_del(s->on_start_timeout);
	syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
}

void session_kill(struct session *s, const char *reason)
{
	if (s->killed)
		return;
	log_info("session %u: ended: %s", s->id, reason);
	session_stop(s);
}

/* It is at its end, or has none of its own to come any more: how it ended is told when it is known. */
static void session_ends(struct session *s)
{
	if (s->killed)
		return;
	s->ends_itself = true;
	session_stop(s);
}

static bool session_send(struct session *s, struct priv_message *msg, uint32_t op, uint32_t serial,
			 bool reply, const int *fds)
{
	if (s->killed)
		return false;
	int r = priv_send(s->channel, msg, op, serial, reply, fds);

	/* The queue of a session that works is never full: it always reads its channel first. */
	if (r == -EAGAIN)
		session_kill(s, "it does not read its channel");
	else if (r < 0)
		session_ends(s);
	return r == 0;
}

void session_tell(struct session *s, struct priv_message *msg, uint32_t op, const int *fds)
{
	session_send(s, msg, op, 0, false, fds);
}

void session_reply(struct session *s, struct priv_message *msg, uint32_t op, uint32_t serial,
		   const int *fds)
{
	session_send(s, msg, op, serial, true, fds);
}

static void expectation_free(struct expectation *e)
{
	LIST_REMOVE(e, link);
	event_free(e->timer);
	free(e);
}

static void on_answer_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct expectation *e = arg;

	(void)fd;
	(void)what;
	log_warn("session %u: no answer to %s", e->session->id, priv_name(e->op));
	session_kill(e->session, "it does not answer");
}

static struct expectation *expectation_new(struct session *s, struct device *d, uint32_t op)
{
	bool long_op = op == PRIV_ATTACH || op == PRIV_ONLINE;
	struct timeval limit = { .tv_sec = long_op ? MONITOR_ATTACH_SECONDS :
						     MONITOR_ANSWER_SECONDS };
	struct expectation *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->op = op;
	e->serial = ++s->next_serial;
	e->device = d;
	e->session = s;
	e->timer = evtimer_new(s->monitor->base, on_answer_timeout, e);
	if (!e->timer || event_add(e->timer, &limit) < 0) {
		if (e->timer)
			event_free(e->timer);
		free(e);
		return NULL;
	}
	LIST_INSERT_HEAD(&s->expectations, e, link);
	return e;
}

bool session_ask(struct session *s, struct device *d, struct priv_message *msg, uint32_t op,
		 const int *fds)
{
	struct expectation *e = expectation_new(s, d, op);

	if (!e)
		session_kill(s, "out of memory");
	else
		session_send(s, msg, op, e->serial, false, fds);
	return e != NULL;
}

void session_forget_answer(struct monitor *m, struct device *d, uint32_t op)
{
	struct session *s;
	struct expectation *e;

	LIST_FOREACH(s, &m->sessions, link)
		LIST_FOREACH(e, &s->expectations, link)
			if (e->device == d && (op == 0 || e->op == op))
				e->device = NULL;
}

/* ---- receiving ---- */

static void session_answer(struct session *s, const struct priv_message *msg)
{
	struct expectation *e;
	struct fault f;

	LIST_FOREACH(e, &s->expectations, link)
		if (e->serial == msg->hdr.serial && e->op == msg->hdr.op)
			break;
	if (!e) {
		session_kill(s, "it answered what was not asked");
		return;
	}
	struct device *d = e->device;

	expectation_free(e);
	priv_status_to_fault(&msg->status, &f);
	if (msg->hdr.op == PRIV_RESUME)
		session_resumed(s, msg);
	else if (d)
		device_answered(s->monitor, d, msg->hdr.op, &f);
}

static void session_ready(struct session *s)
{
	struct priv_message msg = { 0 };

	event_free(s->on_start_timeout);
	s->on_start_timeout = NULL;
	s->state = PRIV_STATE_READY;
	keep_session(s);
	msg.init.session_id = s->id;
	msg.init.kept = s->monitor->keep.active;
	msg.init.max_rate = s->quota.max_rate;
	session_tell(s, &msg, PRIV_INIT, &s->client_fd);
	close_foreign_fd(s->client_fd);
	s->client_fd = -1;
}

static void session_message(struct session *s, struct priv_message *msg, size_t bytes,
			    struct fd_list *fds)
{
	if (priv_check(msg, bytes, fds->count, false, s->state) < 0) {
		log_warn("session %u: message outside the table: op %u, %zu bytes, %u fds", s->id,
			 msg->hdr.op, bytes, fds->count);
		session_kill(s, "it broke the private protocol");
		close_foreign(fds);
	} else if (s->resuming && !session_resumes(s, &msg->hdr)) {
		close_foreign(
			fds); /* said to an earlier monitor; what still counts is asked again */
	} else if (msg->hdr.reply) {
		session_answer(s, msg);
	} else if (msg->hdr.op == PRIV_READY) {
		session_ready(s);
	} else {
		monitor_request(s, msg, fds);
	}
}

static void on_channel(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	struct priv_message msg;
	struct fd_list fds;

	(void)what;
	for (int i = 0; i < MONITOR_MESSAGES_A_TURN && !s->killed && !s->paused; i++) {
		memset(&msg.hdr, 0, sizeof(msg.hdr));
		ssize_t n = message_receive((int)fd, &msg, sizeof(msg), &fds, PRIV_MAX_FDS);

		if (n == -EAGAIN)
			return;
		if (n > 0) {
			session_message(s, &msg, (size_t)n, &fds);
			continue;
		}
		close_foreign(&fds);
		if (n == 0 || n == -ECONNRESET) /* it left something unread */
			session_ends(s);
		else
			session_kill(s, "its channel cannot be read");
	}
}

/* ---- end ---- */

/* Descriptors that wait unread in a queue are closed with it: take them out first. 0 at the end of
 * the channel, -EAGAIN before. */
static int drain(int channel)
{
	struct priv_message msg;
	struct fd_list fds;
	ssize_t n = 1;

	/* bounded: somebody may have the other end and write on and on */
	for (int i = 0; i < MONITOR_MESSAGES_A_TURN && n != 0 && n != -EAGAIN; i++) {
		n = message_receive(channel, &msg, sizeof(msg), &fds, PRIV_MAX_FDS);
		close_foreign(&fds);
	}
	return n == 0 ? 0 : -EAGAIN;
}

/* Answers that will never come count as given: the process and its descriptors are gone. */
static void answer_for_the_dead(struct session *s)
{
	struct expectation *e;
	struct fault gone;

	fault_set(&gone, IOB_E_GONE, IOB_STEP_SESSION, 0,
		  "the session that serves the domain has ended");
	while ((e = LIST_FIRST(&s->expectations)) != NULL) {
		struct device *device = e->device;
		uint32_t op = e->op;

		expectation_free(e);
		if (device)
			device_answered(s->monitor, device, op, &gone);
	}
}

static void session_release_objects(struct session *s)
{
	struct monitor *m = s->monitor;
	struct domain *d, *next;

	for (size_t i = 0; i < m->device_count; i++)
		if (m->devices[i]->owner == s)
			device_release(m, m->devices[i]);
	LIST_FOREACH_SAFE(d, &s->domains, of_session, next)
		domain_destroy(m, d);
	answer_for_the_dead(s);
}

/* A client that gets no session is told why, as the reply to the HELLO it is about to send. */
static void refuse_client(int client_fd, const struct fault *f)
{
	struct iob_error_body body = {
		.step = f->step,
		.sys_errno = f->sys_errno,
		.text_bytes = (uint32_t)strlen(f->text),
	};
	struct iob_hdr hdr = {
		.size = (uint32_t)(sizeof(hdr) + sizeof(body)) + body.text_bytes,
		.op = IOB_OP_HELLO,
		.flags = IOB_MSG_REPLY,
		.code = f->code,
	};
	struct iovec iov[] = {
		{ &hdr, sizeof(hdr) },
		{ &body, sizeof(body) },
		{ (char *)f->text, body.text_bytes },
	};

	message_send(client_fd, iov, 3, NULL, 0);
	close_refused_fd(client_fd);
}

static void session_free(struct session *s)
{
	struct fault why;

	if (s->on_start_timeout)
		event_free(s->on_start_timeout);
	if (s->on_channel)
		event_free(s->on_channel);
	if (s->on_exit)
		event_free(s->on_exit);
	if (s->on_pause_over)
		event_free(s->on_pause_over);
	if (s->on_end)
		event_free(s->on_end);
	if (s->on_end_timeout)
		event_free(s->on_end_timeout);
	if (s->channel >= 0)
		close_foreign_fd(s->channel);
	if (s->pidfd >= 0)
		close(s->pidfd);
	if (s->client_fd >= 0) {
		fault_set(&why, IOB_E_INTERNAL, IOB_STEP_SESSION, 0,
			  "its session did not get ready; the log of the broker says why");
		refuse_client(s->client_fd, &why);
	}
	peer_deinit(&s->peer);
	free(s);
}

static void session_finish(struct session *s)
{
	session_release_objects(s);
	keep_drop_session(s);
	LIST_REMOVE(s, link);
	if (s->slot != MONITOR_NO_SLOT)
		s->monitor->slots[s->slot] = 0;
	s->monitor->session_count--;
	s->account->sessions--;
	account_put(s->account);
	session_free(s);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	if (drain((int)fd) == 0)
		session_finish(arg);
}

/* The companion hangs in a close(), or somebody else got hold of the channel: the monitor's own
 * descriptors have to do to take apart what the session had. */
static void on_end_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	(void)fd;
	(void)what;
	log_warn("session %u: something still holds its descriptors", s->id);
	session_finish(s);
}

/* A client that is done ends its session, with status 0; whatever it did, nothing else is ordinary. */
static void tell_end(const struct session *s, int end)
{
	if (end == 0)
		log_info("session %u: ended", s->id);
	else if (end < 0)
		log_warn("session %u: ended by signal %d, %s", s->id, -end, strsignal(-end));
	else
		log_warn("session %u: ended with status %d", s->id, end);
}

/* The session is dead; its descriptors are closed when its companion is, too. The end of the channel
 * tells: only then can its devices be had again. */
static void on_exit_event(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	struct timeval limit = { .tv_sec = MONITOR_END_SECONDS };
	int end = 0;

	(void)fd;
	(void)what;
	session_ends(s);
	/* Its companion, too. A session leads a process group of its own, whose number is taken as
	 * long as its leader is not collected. An adopted one is collected by somebody else; then
	 * the companion's death signal has to do. */
	if (!s->adopted) {
		kill(-s->pid, SIGKILL);
		end = spawn_collect(s->pidfd);
	}
	if (s->ends_itself)
		tell_end(s, end);
	s->on_end = event_new(s->monitor->base, s->channel, EV_READ | EV_PERSIST, on_end, s);
	s->on_end_timeout = evtimer_new(s->monitor->base, on_end_timeout, s);
	if (drain(s->channel) == 0 || !s->on_end || !s->on_end_timeout ||
	    event_add(s->on_end, NULL) < 0 || event_add(s->on_end_timeout, &limit) < 0)
		session_finish(s);
}

static void on_start_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	session_kill(arg, "it did not get ready");
}

/* ---- start ---- */

/* A uid offset that no living session has. */
static int slot_take(struct monitor *m, uint32_t *slot)
{
	for (uint32_t i = 0; i < m->config.session_uids; i++) {
		if (!m->slots[i]) {
			m->slots[i] = 1;
			*slot = i;
			return 0;
		}
	}
	return -ENOSPC;
}

void session_claim_slot(struct session *s)
{
	const struct config *c = &s->monitor->config;

	if (s->slot != MONITOR_NO_SLOT || s->uid < c->session_uid_base ||
	    s->uid - c->session_uid_base >= c->session_uids)
		return;
	s->slot = (uint32_t)(s->uid - c->session_uid_base);
	s->monitor->slots[s->slot] = 1;
}

/* Policy knows the uids that sessions may get today. One that was adopted may have another, which
 * somebody whom a rule names seems to have. */
static bool runs_a_session(const struct monitor *m, uid_t uid)
{
	const struct session *s;

	LIST_FOREACH(s, &m->sessions, link)
		if (s->uid == uid)
			return true;
	return false;
}

static int session_admit(struct monitor *m, const struct peer *p, struct quota *q,
			 struct account *a, struct fault *why)
{
	if (runs_a_session(m, p->uid))
		return fault_set(why, IOB_E_DENIED, IOB_STEP_POLICY, 0,
				 "uid %u is that of one of the broker's own sessions",
				 (unsigned)p->uid);
	if (!policy_knows(&m->config, p))
		return fault_set(why, IOB_E_DENIED, IOB_STEP_POLICY, 0,
				 "no rule of the configuration names uid %u", (unsigned)p->uid);
	policy_quota(&m->config, p, q);
	if (a->sessions >= q->max_sessions)
		return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0,
				 "max-sessions: uid %u has %u connections", (unsigned)p->uid,
				 a->sessions);
	if (m->session_count >= m->config.max_sessions)
		return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0,
				 "max-sessions: %u connections of all users", m->session_count);
	if (keep_check_room(m, 2, why) < 0 || keep_check_sessions(m, why) < 0)
		return -1;
	return account_charge_connect(a, q, why);
}

int session_watch(struct session *s)
{
	struct event_base *base = s->monitor->base;

	s->on_channel = event_new(base, s->channel, EV_READ | EV_PERSIST, on_channel, s);
	s->on_exit = event_new(base, s->pidfd, EV_READ, on_exit_event, s);
	if (!s->on_channel || !s->on_exit || event_add(s->on_channel, NULL) < 0 ||
	    event_add(s->on_exit, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static int watch_start(struct session *s)
{
	struct timeval limit = { .tv_sec = MONITOR_START_SECONDS };

	s->on_start_timeout = evtimer_new(s->monitor->base, on_start_timeout, s);
	return s->on_start_timeout && event_add(s->on_start_timeout, &limit) == 0 ? 0 : -ENOMEM;
}

static struct session *session_new(struct monitor *m, int client_fd, struct peer *p,
				   struct account *a)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->monitor = m;
	s->client_fd = client_fd;
	s->channel = s->pidfd = -1;
	s->state = PRIV_STATE_STARTING;
	s->peer = *p;
	s->account = a;
	LIST_INIT(&s->domains);
	LIST_INIT(&s->expectations);
	do {
		s->id = ++m->next_session_id;
	} while (s->id == 0 || session_by_id(m, s->id));
	return s;
}

static int session_launch(struct session *s, struct fault *why)
{
	struct monitor *m = s->monitor;

	if (slot_take(m, &s->slot) < 0)
		return fault_set(why, IOB_E_LIMIT, IOB_STEP_LIMIT, 0, "max-sessions: no free slot");
	s->uid = (uid_t)(m->config.session_uid_base + s->slot);
	int r = spawn_session(m, s->uid, &s->pid, &s->pidfd, &s->channel);

	if (r < 0) {
		m->slots[s->slot] = 0;
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_SESSION, -r,
				 "a session could not be started: %s", strerror(-r));
	}
	if (session_watch(s) < 0 || watch_start(s) < 0) {
		syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
		spawn_collect(s->pidfd);
		m->slots[s->slot] = 0;
		return fault_set(why, IOB_E_NO_MEMORY, IOB_STEP_SESSION, ENOMEM,
				 "a session could not be watched: out of memory");
	}
	return 0;
}

void session_start(struct monitor *m, int client_fd, struct peer *p)
{
	struct fault why;
	struct account *a = account_get(m, p->uid);
	struct session *s = a ? session_new(m, client_fd, p, a) : NULL;

	if (!s) {
		fault_set(&why, IOB_E_NO_MEMORY, IOB_STEP_SESSION, ENOMEM, "out of memory");
		refuse_client(client_fd, &why);
		peer_deinit(p);
	} else if (session_admit(m, p, &s->quota, a, &why) < 0 || session_launch(s, &why) < 0) {
		if (refusal_is_told(m))
			log_info("connection of uid %u refused: %s", (unsigned)p->uid, why.text);
		refuse_client(client_fd, &why);
		s->client_fd = -1;
		session_free(s);
	} else {
		a->sessions++;
		m->session_count++;
		LIST_INSERT_HEAD(&m->sessions, s, link);
		log_info("session %u: uid %u, pid %d, process %d", s->id, (unsigned)p->uid,
			 (int)p->pid, (int)s->pid);
		return;
	}
	if (a)
		account_put(a);
}
