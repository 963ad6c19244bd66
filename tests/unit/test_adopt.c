/* SPDX-License-Identifier: MIT */
/*
 * Two monitors, one after the other: the first writes the ledger down, the second goes on with it.
 *
 * The test is the service manager, which keeps descriptors, and the sessions, which say what they like. It
 * passes descriptors from 3 on, which are Check's: each test has a process of its own for that.
 */
#include "daemon/monitor-config-rules.h"
#include "daemon/monitor-keep.h"
#include "daemon/monitor-manager.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *test_adopt_suite(void);

#define FIRST 3	  /* SD_LISTEN_FDS_START */
#define ABOVE 100 /* where nothing is passed */

static int complaints = -1; /* standard error is the log's */

#define must(condition)                                                                     \
	do {                                                                                \
		if (!(condition)) {                                                         \
			dprintf(complaints, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			_exit(1);                                                           \
		}                                                                           \
	} while (0)

static int above(int fd)
{
	int there = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE);

	must(there >= ABOVE);
	close(fd);
	return there;
}

/* ---- the log ---- */

static int log_file;

static void log_to_file(void)
{
	complaints = above(dup(STDERR_FILENO));
	log_file = above(memfd_create("log", MFD_CLOEXEC));
	must(dup2(log_file, STDERR_FILENO) == STDERR_FILENO);
}

static bool log_has(const char *text)
{
	static char all[16384];
	ssize_t n = pread(log_file, all, sizeof(all) - 1, 0);

	must(n >= 0);
	all[n] = '\0';
	return strstr(all, text) != NULL;
}

/* ---- the service manager ---- */

static char folder[32], path[64];
static int manager = -1;
static struct {
	int fd;
	char name[64];
} kept[64];
static int kept_count;

static void forget(const char *name)
{
	int n = 0;

	for (int i = 0; i < kept_count; i++) {
		if (strcmp(kept[i].name, name) == 0)
			close(kept[i].fd);
		else
			kept[n++] = kept[i];
	}
	kept_count = n;
}

static int first_of(const char *name)
{
	int i = 0;

	while (strcmp(kept[i].name, name) != 0)
		must(++i < kept_count);
	return i;
}

static bool hear_one(void)
{
	char text[512];
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(manager, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&h);
	const char *name;
	int fds[4];

	if (n < 0)
		return false;
	text[n] = '\0';
	name = strstr(text, "FDNAME=");
	must(name);
	name += strlen("FDNAME=");
	if (strstr(text, "FDSTOREREMOVE=1"))
		forget(name);
	if (!c)
		return true;
	memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
		kept[kept_count].fd = above(fds[i]);
		snprintf(kept[kept_count++].name, sizeof(kept[0].name), "%s", name);
	}
	return true;
}

static void hear(void)
{
	while (hear_one())
		;
}

static void manager_make(void)
{
	static const char *const others[] = { "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID",
					      "WATCHDOG_USEC" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		unsetenv(others[i]);
	manager = above(manager);
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("FDSTORE", "64", 1);
}

static void pass_all(void)
{
	static char names[sizeof(kept)];
	char number[16];

	names[0] = '\0';
	for (int i = 0; i < kept_count; i++) {
		must(dup2(kept[i].fd, FIRST + i) == FIRST + i);
		strcat(strcat(names, i ? ":" : ""), kept[i].name);
	}
	setenv("LISTEN_FDNAMES", names, 1);
	snprintf(number, sizeof(number), "%d", kept_count);
	setenv("LISTEN_FDS", number, 1);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
}

/* ---- the monitor ---- */

enum { ALICE = 1000, BOB = 1001 };

static const uid_t users[] = { ALICE, BOB };
static struct config_rule rules[] = {
	{ .name = (char *)"both",
	  .users = (uid_t *)users,
	  .user_count = 2,
	  .quota = { .max_sessions = 4, .max_devices = 8, .max_rate = 300, .max_setups = 1000 },
	  .written = UINT32_MAX },
};

static struct monitor m;
static int dup_glue(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* In whatever process: so many times, of which so many go wrong, or are the end of it. */
static struct revoking {
	unsigned times, failing, fatal;
} * revoking;

static int revoke_glue(int fd, uint32_t token)
{
	(void)token;
	must(fcntl(fd, F_GETFD) >= 0);
	revoking->times++;
	if (revoking->times <= revoking->fatal)
		kill(getpid(), SIGKILL);
	return revoking->times <= revoking->failing ? -EIO : 0;
}

static const struct glue_opener glue = { .backend = IOB_BACKEND_SIM,
					 .name = "test",
					 .descriptor_dup = dup_glue,
					 .context_revoke = revoke_glue };

enum { CARD, TWIN, SPARE, DEVICES };

static void monitor_make(void)
{
	struct fault why = { 0 };

	memset(&m, 0, sizeof(m));
	LIST_INIT(&m.sessions);
	LIST_INIT(&m.accounts);
	LIST_INIT(&m.domains);
	LIST_INIT(&m.moves);
	RB_INIT(&m.handles);
	RB_INIT(&m.handle_ids);
	m.base = event_base_new();
	close_init(m.base);
	m.glue = &glue;
	m.config = (struct config){ .session_uid_base = 5000,
				    .max_sessions = 10,
				    .session_uids = 10,
				    .rules = rules,
				    .rule_count = 1 };
	m.slots = calloc(10, 1);
	for (int i = 0; i < DEVICES; i++) {
		struct glue_device info = { .usable = true, .group = 9 };

		snprintf(info.name, IOB_NAME_BYTES, "0000:00:03.%d", i);
		must(inventory_learn(&m, &info) != NULL);
	}
	must(manager_init(&why) == 0);
	must(keep_open(&m, &why) == 0);
	hear();
}

static void restart(void)
{
	hear();
	pass_all();
	monitor_make();
	adopt_all(&m);
	hear();
}

/* ---- what the first one has ---- */

enum {
	ALICES = 7, /* sessions */
	BOBS = 8,
	DOMAIN = 20,
	ROOT = 30, /* handles */
	GRANT,
	DEVICE,
	OPENED,
	STRANGE, /* bob's */
};

static struct {
	int alice, bob;
} end; /* that the sessions have of their channels */

static struct session *session_make(uint32_t id, uid_t uid, int *other)
{
	struct session *s = calloc(1, sizeof(*s));
	int pair[2];

	must(message_socketpair(pair) == 0);
	*other = above(pair[1]);
	s->monitor = &m;
	s->id = id;
	s->uid = 5000 + id - ALICES;
	s->pid = 4711;
	s->channel = pair[0];
	s->pidfd = eventfd(0, EFD_CLOEXEC); /* a process that never ends */
	s->client_fd = -1;
	s->state = PRIV_STATE_READY;
	s->peer = (struct peer){ .uid = uid,
				 .gid = uid + 1,
				 .pid = 815,
				 .pidfd = -1,
				 .group_count = 2,
				 .groups = { 70, 71 } };
	s->account = account_get(&m, uid);
	s->account->sessions++;
	s->quota.max_devices = 8;
	s->quota.max_setups = QUOTA_UNLIMITED;
	LIST_INSERT_HEAD(&m.sessions, s, link);
	keep_session(s);
	hear();
	return s;
}

static struct domain *domain_make(struct session *s)
{
	struct domain *d = calloc(1, sizeof(*d));

	d->id = DOMAIN;
	d->session = s;
	d->session_id = s->id;
	d->account = s->account;
	d->max_bytes = 1 << 20;
	d->max_mappings = 64;
	d->token = 5;
	d->pid = 815;
	d->context_fd = memfd_create("context", MFD_CLOEXEC);
	LIST_INSERT_HEAD(&m.domains, d, link);
	LIST_INSERT_HEAD(&s->domains, d, of_session);
	keep_domain(&m, d);
	return d;
}

static struct handle *handle_make(struct session *s, uint32_t kind, uint32_t id)
{
	struct handle *h = handle_new(&m, s, kind, 1000 + id, id, false);

	must(h);
	return h;
}

static void domain_handle_make(struct domain *d, uint32_t id, uint32_t rights)
{
	struct handle *h = handle_make(d->session, IOB_KIND_DOMAIN, id);

	h->domain = d;
	h->rights = rights;
	LIST_INSERT_HEAD(&d->handles, h, of_domain);
	if (id == ROOT) {
		d->root = h;
	} else {
		h->flags = IOB_GRANT_READ_ONLY;
		h->window_first = 0x1000;
		h->window_last = 0x1fff;
	}
	keep_handle(&m, h);
}

static void device_make(int which, struct session *s, struct domain *d, uint32_t id)
{
	struct device *dev = m.devices[which];

	dev->owner = s;
	dev->handle = handle_make(s, IOB_KIND_DEVICE, id);
	dev->handle->device = dev;
	dev->access = IOB_ACCESS_MEDIATED | IOB_ACCESS_FD;
	dev->state = DEVICE_OPEN;
	if (d) {
		dev->state = DEVICE_BOUND;
		dev->domain = d;
		dev->direct = dev->gained = true;
		dev->bound.device_fd = memfd_create("device", MFD_CLOEXEC);
		LIST_INSERT_HEAD(&d->devices, dev, of_domain);
	}
	keep_device(&m, dev);
	if (d)
		keep_bound(&m, dev);
	keep_handle(&m, dev->handle);
	hear();
}

static void set_scene(void)
{
	struct session *alice, *bob;
	struct domain *d;

	manager_make();
	monitor_make();
	must(m.keep.active);
	m.next_session_id = 100;
	m.next_domain_id = 200;
	alice = session_make(ALICES, ALICE, &end.alice);
	bob = session_make(BOBS, BOB, &end.bob);
	d = domain_make(alice);
	domain_handle_make(d, ROOT, IOB_RIGHT_ALL);
	domain_handle_make(d, GRANT, IOB_RIGHT_MAP);
	device_make(CARD, alice, d, DEVICE);
	m.next_handle_id = 300;
	device_make(TWIN, bob, NULL, STRANGE);
}

static struct session *session(uint32_t id)
{
	struct session *s = session_by_id(&m, id);

	must(s);
	return s;
}

/* ---- what sessions say ---- */

/* The serial of the next message, which is this. */
static uint32_t heard(int channel, uint32_t op)
{
	struct priv_message msg;
	struct fd_list fds;

	must(message_receive(channel, &msg, sizeof(msg), &fds, 4) > 0);
	fd_list_close(&fds);
	must(msg.hdr.op == op);
	return msg.hdr.serial;
}

static void loop(void)
{
	event_base_loop(m.base, EVLOOP_NONBLOCK);
}

static void known(struct priv_message *msg, uint32_t handle, uint32_t kind, uint32_t bound)
{
	struct priv_resumed *r = &msg->resumed;

	r->known[r->count++] =
		(struct priv_known){ .handle_id = handle, .kind = kind, .bound = bound };
}

static struct priv_message truth(void)
{
	struct priv_message msg = { .resumed.session_id = ALICES };

	known(&msg, ROOT, IOB_KIND_DOMAIN, 0);
	known(&msg, GRANT, IOB_KIND_DOMAIN, 0);
	known(&msg, DEVICE, IOB_KIND_DEVICE, PRIV_BOUND);
	return msg;
}

static void resumes(int channel, struct priv_message *msg, uint32_t serial)
{
	must(priv_send(channel, msg, PRIV_RESUME, serial, true, NULL) == 0);
	loop();
}

/* ---- each test ---- */

static void in_child(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		log_to_file();
		body();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static void set_up(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	revoking = mmap(NULL, sizeof(*revoking), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	ck_assert_ptr_ne(revoking, MAP_FAILED);
	strcpy(folder, "/tmp/iob-adopt-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/notify", folder);
	strcpy(a.sun_path, path);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&a, sizeof(a)), 0);
}

static void tear_down(void)
{
	close(manager);
	unlink(path);
	rmdir(folder);
}

/* ---- what is kept ---- */

static void everything_is_there(void)
{
	set_scene();
	restart();
	const struct session *s = session(ALICES);
	const struct domain *d = domain_by_id(&m, DOMAIN);
	const struct handle *root = handle_of_session(&m, s, ROOT);
	const struct handle *grant = handle_of_session(&m, s, GRANT);
	const struct device *card = m.devices[CARD], *twin = m.devices[TWIN];

	must(s->adopted && s->uid == 5000 && s->pid == 4711 && s->peer.uid == ALICE);
	must(s->peer.gid == ALICE + 1 && s->peer.pid == 815);
	must(s->peer.group_count == 2 && s->peer.groups[0] == 70 && s->peer.groups[1] == 71);
	must(s->quota.max_devices == 8 && s->handle_count == 3);
	must(s->memlock_bytes == 1 << 20);
	must(d && d->state == DOMAIN_LIVE && d->session == s && d->root == root);
	must(d->max_bytes == 1 << 20 && d->max_mappings == 64 && d->token == 5 && d->pid == 815);
	must(d->context_fd >= 0);
	must(root && root->rights == IOB_RIGHT_ALL && root->cookie == 1000 + ROOT);
	must(grant && grant->rights == IOB_RIGHT_MAP && grant->flags == IOB_GRANT_READ_ONLY);
	must(grant->window_first == 0x1000 && grant->window_last == 0x1fff);
	must(card->state == DEVICE_BOUND && card->owner == s && card->domain == d);
	must(card->direct && card->gained && card->bound.device_fd >= 0 && card->handle);
	must(card->access == (IOB_ACCESS_MEDIATED | IOB_ACCESS_FD));
	must(twin->state == DEVICE_OPEN && twin->owner == session(BOBS) && !twin->domain);
	must(m.session_count == 2 && m.slots[0] == 1 && m.slots[1] == 1 && m.slots[2] == 0);
}

START_TEST(what_was_there_is_there_again)
{
	in_child(everything_is_there);
}
END_TEST

static void accounts_are_charged(void)
{
	set_scene();
	unsigned descriptors = m.keep.descriptors;

	must(descriptors == 6); /* two of each session, a context, a device */
	restart();
	const struct account *a = session(ALICES)->account, *b = session(BOBS)->account;

	must(a->sessions == 1 && a->domains == 1 && a->devices == 1);
	must(a->bytes == 1 << 20 && a->mappings == 64);
	must(b->sessions == 1 && b->domains == 0 && b->devices == 1 && b->bytes == 0);
	must(m.keep.descriptors == descriptors);
}

START_TEST(what_is_charged_is_counted_anew)
{
	in_child(accounts_are_charged);
}
END_TEST

/* An id that was given may be remembered by somebody. */
static void ids_go_on(void)
{
	set_scene();
	restart();
	must(m.next_session_id == 100 && m.next_domain_id == 200 && m.next_handle_id == 300);
}

START_TEST(ids_are_not_given_again)
{
	in_child(ids_go_on);
}
END_TEST

/* ---- what does not fit together ---- */

static unsigned rows(struct table *t, size_t bytes)
{
	uint64_t row[64];
	unsigned n = 0;

	must(bytes <= sizeof(row));
	for (uint32_t r = 0; (r = table_next(t, r, row)) != 0;)
		n++;
	return n;
}

static unsigned handle_rows(void)
{
	return rows(&m.keep.handles, sizeof(struct kept_handle));
}

static void misfits_are_dropped(void)
{
	static const struct kept_handle misfits[] = {
		{ .cookie = 1,
		  .id = 81,
		  .kind = IOB_KIND_DOMAIN,
		  .session_id = 99,
		  .domain_id = DOMAIN },
		{ .cookie = 2,
		  .id = 82,
		  .kind = IOB_KIND_DOMAIN,
		  .session_id = BOBS,
		  .domain_id = DOMAIN },
		{ .cookie = 3,
		  .id = 83,
		  .kind = IOB_KIND_DOMAIN,
		  .session_id = ALICES,
		  .domain_id = 99 },
		{ .cookie = 4,
		  .id = 84,
		  .kind = IOB_KIND_DEVICE,
		  .session_id = ALICES,
		  .device = 99 },
		{ .cookie = 5,
		  .id = 85,
		  .kind = IOB_KIND_DEVICE,
		  .session_id = ALICES,
		  .device = 0 },
		{ .cookie = 6, .id = 86, .kind = IOB_KIND_DEVICE, .session_id = BOBS, .device = 1 },
		{ .cookie = 7,
		  .id = 87,
		  .kind = IOB_KIND_DOMAIN,
		  .session_id = ALICES,
		  .domain_id = DOMAIN,
		  .root = 1 },
	};

	set_scene();
	must(m.devices[CARD]->row == 1);
	for (size_t i = 0; i < sizeof(misfits) / sizeof(misfits[0]); i++) {
		uint32_t row = 0;

		must(table_put(&m.keep.handles, &row, &misfits[i]) == 0);
	}
	must(handle_rows() == 4 + 7);
	restart();
	must(handle_rows() == 4);
	for (size_t i = 0; i < sizeof(misfits) / sizeof(misfits[0]); i++)
		must(!handle_by_cookie(&m, misfits[i].cookie));
}

START_TEST(handles_that_fit_nothing_are_crossed_out)
{
	in_child(misfits_are_dropped);
}
END_TEST

static void groups_have_an_end(void)
{
	struct kept_session k;
	uint32_t row;

	set_scene();
	row = table_next(&m.keep.sessions, 0, &k);
	k.group_count = PEER_MAX_GROUPS + 1;
	must(table_put(&m.keep.sessions, &row, &k) == 0);
	restart();
	must(session(k.id)->peer.group_count == PEER_MAX_GROUPS);
}

START_TEST(groups_of_a_user_have_an_end)
{
	in_child(groups_have_an_end);
}
END_TEST

/* DOMAIN_LIST goes by it from page to page; rows are used again. */
static void newest_domain_is_first(void)
{
	static const uint32_t ids[] = { 907, 905, 909, 906 };
	struct kept_domain k;
	uint32_t last = UINT32_MAX;
	struct domain *d;
	unsigned n = 0;

	set_scene();
	must(table_next(&m.keep.domains, 0, &k) != 0);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		uint32_t row = 0;

		k.id = ids[i];
		must(table_put(&m.keep.domains, &row, &k) == 0);
	}
	restart();
	LIST_FOREACH(d, &m.domains, link) {
		must(d->id < last);
		last = d->id;
		n++;
	}
	must(n >= 5);
}

START_TEST(domains_are_listed_newest_first)
{
	in_child(newest_domain_is_first);
}
END_TEST

static void versions_differ(void)
{
	struct kept_self self;
	uint32_t row;

	set_scene();
	row = table_next(&m.keep.self, 0, &self);
	self.private_version++;
	must(table_put(&m.keep.self, &row, &self) == 0);
	restart();
	must(LIST_EMPTY(&m.sessions) && RB_EMPTY(&m.handles));
	must(m.devices[CARD]->state == DEVICE_FREE && handle_rows() == 0);
	must(rows(&m.keep.sessions, sizeof(struct kept_session)) == 0);
	must(keep_backend(&m) == IOB_BACKEND_SIM); /* of the domain, until it is gone */
}

/* A device in somebody's hands may have the context alive: nothing stays mapped in it. Who sees to that
 * may be ended, and does it again; until it is done the next monitor could. */
static void orphans_end(void)
{
	char name[KEEP_NAME_BYTES];
	struct domain *d;

	versions_differ();
	d = domain_by_id(&m, DOMAIN);
	must(d && d->state == DOMAIN_DYING && m.next_domain_id >= DOMAIN);
	keep_name(name, KEEP_CONTEXT, DOMAIN);
	while (domain_by_id(&m, DOMAIN)) {
		hear();
		first_of(name);
		must(event_base_loop(m.base, EVLOOP_ONCE) == 0);
	}
	hear();
	for (int i = 0; i < kept_count; i++)
		must(strcmp(kept[i].name, name) != 0);
	must(rows(&m.keep.domains, sizeof(struct kept_domain)) == 0);
	must(keep_backend(&m) == 0);
	must(log_has("could not be removed") == (revoking->failing > revoking->times));
}

static const struct {
	struct revoking how;
	unsigned times;
} revokings[] = {
	{ { .failing = 0 }, 1 },
	{ { .fatal = 1 }, 2 },
	{ { .failing = 2 }, 3 },
	{ { .failing = 9 }, 3 },
};

START_TEST(nothing_stays_mapped_of_another_version)
{
	*revoking = revokings[_i].how;
	in_child(orphans_end);
	ck_assert_uint_eq(revoking->times, revokings[_i].times);
}
END_TEST

START_TEST(another_version_is_not_gone_on_with)
{
	in_child(versions_differ);
}
END_TEST

/* Opened on paper, and the handle was not made: nobody has it, whoever says so. */
static void device_without_handle(void)
{
	const struct kept_handle claim = {
		.cookie = 1, .id = 81, .kind = IOB_KIND_DEVICE, .session_id = BOBS, .device = 3
	};
	uint32_t row = 0;

	set_scene();
	m.devices[SPARE]->state = DEVICE_OPEN;
	m.devices[SPARE]->owner = session(ALICES);
	keep_device(&m, m.devices[SPARE]);
	must(m.devices[SPARE]->row == claim.device);
	must(table_put(&m.keep.handles, &row, &claim) == 0);
	restart();
	must(m.devices[SPARE]->state == DEVICE_FREE && m.devices[SPARE]->row == 0);
	must(!m.devices[SPARE]->owner && !m.devices[SPARE]->handle);
	must(session(ALICES)->account->devices == 1 && session(BOBS)->account->devices == 1);
	must(!handle_by_cookie(&m, 1) && handle_rows() == 4);
}

START_TEST(device_without_handle_is_nobodys)
{
	in_child(device_without_handle);
}
END_TEST

/* Bob's device in alice's domain, and bob's session is gone. */
static void device_without_owner(void)
{
	char name[KEEP_NAME_BYTES];

	set_scene();
	device_make(SPARE, session(BOBS), domain_by_id(&m, DOMAIN), OPENED);
	keep_name(name, KEEP_SESSION, BOBS);
	forget(name);
	restart();
	must(m.devices[SPARE]->state == DEVICE_DETACHING && !m.devices[SPARE]->owner);
	must(m.devices[SPARE]->waiting == (DEVICE_WAIT_DETACH | DEVICE_WAIT_REAPER));
	must(m.devices[CARD]->state == DEVICE_BOUND);
	heard(end.alice, PRIV_RESUME);
	heard(end.alice, PRIV_LIMITS);
	heard(end.alice, PRIV_DETACH);
}

START_TEST(device_without_owner_leaves_its_domain)
{
	in_child(device_without_owner);
}
END_TEST

/* It was taken apart with its domain, and nobody had said so yet. */
static void domain_is_gone(void)
{
	char name[KEEP_NAME_BYTES];
	struct domain *d;
	int fd;

	set_scene();
	d = domain_by_id(&m, DOMAIN);
	keep_drop_domain(&m, d);
	keep_name(name, KEEP_DEVICE, m.devices[CARD]->row);
	hear();
	fd = FIRST + first_of(name);
	restart();
	must(!domain_by_id(&m, DOMAIN) && session(ALICES)->handle_count == 1);
	must(m.devices[CARD]->state == DEVICE_OPEN && !m.devices[CARD]->domain);
	must(fcntl(fd, F_GETFD) < 0 && m.devices[CARD]->bound.device_fd < 0);
	must(m.keep.descriptors == 4); /* of the sessions */
}

START_TEST(device_of_a_domain_that_is_gone_is_closed)
{
	in_child(domain_is_gone);
}
END_TEST

/* Its session lives, and has other domains, perhaps. */
static void domain_was_dying(void)
{
	struct domain *d;

	set_scene();
	d = domain_by_id(&m, DOMAIN);
	d->state = DOMAIN_DYING;
	keep_domain(&m, d);
	restart();
	d = domain_by_id(&m, DOMAIN);
	must(d->state == DOMAIN_DYING && !d->session && d->context_fd < 0);
	must(LIST_EMPTY(&session(ALICES)->domains) && !d->root && LIST_EMPTY(&d->handles));
	must(!handle_by_cookie(&m, 1000 + ROOT) && !handle_by_cookie(&m, 1000 + GRANT));
	must(d->account->domains == 1 && session(ALICES)->memlock_bytes == 1 << 20);
	must(m.devices[CARD]->state == DEVICE_DETACHING && m.devices[CARD]->reaped_with_domain);
	domain_reaped(&m, d);
	must(session(ALICES)->account->domains == 0 && session(ALICES)->memlock_bytes == 0);
}

START_TEST(dying_domain_dies)
{
	in_child(domain_was_dying);
}
END_TEST

static void backend_is_of_what_is_left(void)
{
	set_scene();
	must(keep_backend(&m) == IOB_BACKEND_SIM);
	keep_drop_session(session(ALICES));
	must(keep_backend(&m) == IOB_BACKEND_SIM);
	keep_drop_session(session(BOBS));
	must(keep_backend(&m) ==
	     IOB_BACKEND_SIM); /* of the domain, which is yet to be taken apart */
	keep_drop_domain(&m, domain_by_id(&m, DOMAIN));
	must(keep_backend(&m) == 0);
}

START_TEST(backend_stays_as_long_as_it_is_needed)
{
	in_child(backend_is_of_what_is_left);
}
END_TEST

/* It is replaced, not kept beside the new one, which it would stand before for ever. */
static void table_is_bad(void)
{
	int which, other = memfd_create("other", MFD_CLOEXEC), same = 0;

	manager_make();
	monitor_make();
	which = first_of("iob-sessions");
	close(kept[which].fd);
	kept[which].fd = above(other);
	restart();
	must(m.keep.active && log_has("sessions of an earlier monitor cannot be read"));
	must(kept_count == 5);
	for (int i = 0; i < kept_count; i++)
		same += strcmp(kept[i].name, "iob-sessions") == 0;
	must(same == 1);
}

START_TEST(table_that_cannot_be_read_is_replaced)
{
	in_child(table_is_bad);
}
END_TEST

static void descriptors_are_missing(void)
{
	char name[KEEP_NAME_BYTES];

	set_scene();
	keep_name(name, KEEP_SESSION, BOBS);
	forget(name);
	restart();
	must(!session_by_id(&m, BOBS));
	must(rows(&m.keep.sessions, sizeof(struct kept_session)) == 1);
	must(m.devices[TWIN]->state == DEVICE_FREE && m.devices[TWIN]->row == 0);
	must(m.keep.descriptors == 4);
	/* nobody's: no account is left that could be charged */
	must(account_get(&m, BOB)->devices == 0);
}

START_TEST(session_without_descriptors_is_given_up)
{
	in_child(descriptors_are_missing);
}
END_TEST

static const enum device_state halfway[] = { DEVICE_BINDING, DEVICE_DETACHING };
static enum device_state left_in;

/* Both sessions let go of it, or did before; then it is taken apart. */
static void device_is_taken_out(void)
{
	set_scene();
	m.devices[CARD]->state = left_in;
	m.devices[CARD]->gained = false;
	keep_device(&m, m.devices[CARD]);
	restart();
	must(m.devices[CARD]->state == DEVICE_DETACHING);
	must(m.devices[CARD]->waiting == (DEVICE_WAIT_DETACH | DEVICE_WAIT_REAPER));
	must(heard(end.alice, PRIV_RESUME) != 0);
	heard(end.alice, PRIV_LIMITS);
	heard(end.alice, PRIV_DETACH);
}

START_TEST(what_was_under_way_is_undone)
{
	left_in = halfway[_i];
	in_child(device_is_taken_out);
}
END_TEST

/* Also of sessions that are starting: theirs are kept when they are ready. */
static void room_is_counted(void)
{
	struct session starting = { .monitor = &m };
	struct fault why;

	set_scene();
	setenv("FDSTORE", "15", 1); /* 6 of the scene, and 6 for the monitor itself */
	must(keep_check_room(&m, 3, &why) == 0 && keep_check_room(&m, 4, &why) < 0);
	LIST_INSERT_HEAD(&m.sessions, &starting, link);
	must(keep_check_room(&m, 1, &why) == 0 && keep_check_room(&m, 2, &why) < 0);
	must(why.code == IOB_E_LIMIT);
}

START_TEST(nothing_is_taken_that_is_not_kept)
{
	in_child(room_is_counted);
}
END_TEST

/* ---- what is said, and what is on paper by then ---- */

static void generations_differ(void)
{
	uint32_t first, second;

	set_scene();
	restart();
	first = heard(end.alice, PRIV_RESUME);
	heard(end.alice, PRIV_LIMITS);
	restart();
	second = heard(end.alice, PRIV_RESUME);
	must(second - first > 1000); /* more than it had time to ask */
}

START_TEST(serials_are_of_one_monitor)
{
	in_child(generations_differ);
}
END_TEST

/* What a process would say on this channel ends it. */
static void dies_when_it_speaks(int channel, void (*speak)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		const struct scmp_arg_cmp said = { .arg = 0,
						   .op = SCMP_CMP_EQ,
						   .datum_a = (uint64_t)channel };
		scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);

		prctl(PR_SET_DUMPABLE, 0);
		must(f && seccomp_rule_add_array(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(sendmsg), 1,
						 &said) == 0);
		must(seccomp_load(f) == 0);
		speak();
		_exit(1); /* it should have */
	}
	must(waitpid(pid, &status, 0) == pid);
	must(WIFSIGNALED(status));
	hear();
}

static void asks(struct session *s, uint32_t op, struct priv_message *msg)
{
	struct fd_list none = { .count = 0 };

	msg->hdr = (struct priv_hdr){ .op = op, .serial = 1 };
	monitor_request(s, msg, &none);
}

static void alice_grants(void)
{
	struct priv_message msg = { .grant = { .handle_id = ROOT,
					       .rights = IOB_RIGHT_MAP,
					       .flags = IOB_GRANT_READ_ONLY,
					       .window_first = 0x3000,
					       .window_last = 0x3fff } };

	asks(session(ALICES), PRIV_GRANT, &msg);
}

static void card_is_given(void)
{
	device_give_to_owner(m.devices[CARD]);
}

static void said_is_on_paper(void)
{
	struct kept_handle h;
	struct kept_device d;
	struct kept_self self;
	bool found = false;

	set_scene();
	dies_when_it_speaks(session(ALICES)->channel, alice_grants);
	for (uint32_t r = 0; (r = table_next(&m.keep.handles, r, &h)) != 0 && !found;)
		found = h.id == 301;
	must(found && h.window_first == 0x3000 && h.window_last == 0x3fff);
	must(h.rights == IOB_RIGHT_MAP && h.flags == IOB_GRANT_READ_ONLY && !h.root);
	table_next(&m.keep.self, 0, &self);
	must(self.next_handle_id == 301);

	m.devices[CARD]->gained = false;
	keep_device(&m, m.devices[CARD]);
	dies_when_it_speaks(session(ALICES)->channel, card_is_given);
	table_next(&m.keep.devices, 0, &d);
	must(d.gained);
}

START_TEST(what_is_said_is_on_paper)
{
	in_child(said_is_on_paper);
}
END_TEST

/* Told twice rather than never. */
static void card_is_out(void)
{
	struct device *d = m.devices[CARD];

	LIST_REMOVE(d, of_domain);
	d->domain = NULL;
	d->lost = IOB_UNBOUND_DOMAIN_GONE;
	device_detached(&m, d);
}

static void freed_is_told_first(void)
{
	struct kept_device d;

	set_scene();
	m.devices[CARD]->state = DEVICE_DETACHING;
	m.devices[CARD]->lost = IOB_UNBOUND_DOMAIN_GONE;
	keep_device(&m, m.devices[CARD]);
	dies_when_it_speaks(session(ALICES)->channel, card_is_out);
	table_next(&m.keep.devices, 0, &d);
	must(d.state == DEVICE_DETACHING && d.lost == IOB_UNBOUND_DOMAIN_GONE);
}

START_TEST(what_is_over_is_told_first)
{
	in_child(freed_is_told_first);
}
END_TEST

static void go_on(void)
{
	adopt_all(&m);
}

static uint32_t kept_generation(void)
{
	struct kept_self self = { 0 };

	table_next(&m.keep.self, 0, &self);
	return self.generation;
}

static void generation_is_kept_first(void)
{
	uint32_t before;

	set_scene();
	before = kept_generation();
	pass_all();
	monitor_make();
	dies_when_it_speaks(FIRST + first_of("iob-session-7"), go_on); /* its channel */
	must(kept_generation() == before + 1);
}

START_TEST(generation_is_on_paper_before_it_speaks)
{
	in_child(generation_is_kept_first);
}
END_TEST

/* ---- a session's word ---- */

static void the_truth_is_believed(void)
{
	struct priv_message msg = truth();
	struct session *s;

	set_scene();
	restart();
	s = session(ALICES);
	must(s->resuming);
	resumes(end.alice, &msg, heard(end.alice, PRIV_RESUME));
	must(!s->killed && !s->resuming && s->handle_count == 3);
	must(m.devices[CARD]->state == DEVICE_BOUND && m.devices[CARD]->gained);
	must(log_has("session 7: goes on"));
}

START_TEST(truth_is_believed)
{
	in_child(the_truth_is_believed);
}
END_TEST

static void unknown_is_released(void)
{
	struct priv_message msg = truth();
	struct session *s;

	msg.resumed.known[1] = msg.resumed.known[2];
	msg.resumed.known[1].bound = PRIV_NOT_BOUND; /* it never got the device */
	msg.resumed.count = 2;
	set_scene();
	restart();
	s = session(ALICES);
	heard(end.alice, PRIV_RESUME);
	heard(end.alice, PRIV_LIMITS);
	resumes(end.alice, &msg, s->next_serial);
	must(!s->killed && s->handle_count == 2);
	must(!handle_of_session(&m, s, GRANT) && handle_rows() == 3);
	heard(end.alice, PRIV_GAINED);
	must(m.devices[CARD]->gained);
}

START_TEST(what_it_does_not_know_is_released)
{
	in_child(unknown_is_released);
}
END_TEST

static const struct lie {
	uint32_t session, handle, kind, bound, more;
	const char *why;
} lies[] = {
	{ ALICES, 99, IOB_KIND_DOMAIN, 0, 0, "it has a handle that was not kept" },
	{ ALICES, STRANGE, IOB_KIND_DEVICE, 0, 0, "it has a handle that was not kept" },
	{ ALICES, ROOT, IOB_KIND_DEVICE, 0, 0, "it has a handle that was not kept" },
	{ ALICES, DEVICE, IOB_KIND_DOMAIN, 0, 0, "it has a handle that was not kept" },
	{ ALICES, OPENED, IOB_KIND_DEVICE, PRIV_BOUND, 0, "it has a device that is in no domain" },
	{ ALICES, GRANT, IOB_KIND_DOMAIN, PRIV_BOUND, 0, "it has a device that is in no domain" },
	{ 0, ROOT, IOB_KIND_DOMAIN, 0, 0, "it never got its client" },
	{ BOBS, ROOT, IOB_KIND_DOMAIN, 0, 0, "it never got its client" },
	{ ALICES, ROOT, IOB_KIND_DOMAIN, 0, PRIV_MAX_HANDLES, "it broke the private protocol" },
	{ ALICES, ROOT, IOB_KIND_DOMAIN, 0, UINT32_MAX - 1, "it broke the private protocol" },
};
static const struct lie *lie;

static void lie_ends_it(void)
{
	struct priv_message msg = { .resumed.session_id = lie->session };
	struct session *s;

	set_scene();
	device_make(SPARE, session(ALICES), NULL, OPENED);
	restart();
	s = session(ALICES);
	known(&msg, lie->handle, lie->kind, lie->bound);
	msg.resumed.count += lie->more;
	resumes(end.alice, &msg, heard(end.alice, PRIV_RESUME));
	must(s->killed && log_has(lie->why));
	/* nothing goes before its process has ended */
	must(s->handle_count == 4 && m.devices[CARD]->state == DEVICE_BOUND);
	must(!session(BOBS)->killed && handle_of_session(&m, session(BOBS), STRANGE));
}

START_TEST(what_it_claims_beyond_the_ledger_ends_it)
{
	lie = &lies[_i];
	in_child(lie_ends_it);
}
END_TEST

/* It was said to somebody else. */
static void old_words_count_nothing(void)
{
	struct priv_message gone = { .id.id = ROOT }, nothing = { .resumed.session_id = ALICES },
			    lost = { 0 }, msg = truth();
	struct session *s;
	uint32_t serial;

	set_scene();
	restart();
	s = session(ALICES);
	serial = heard(end.alice, PRIV_RESUME);
	must(priv_send(end.alice, &gone, PRIV_CLOSED, 0, false, NULL) == 0);
	must(priv_send(end.alice, &lost, PRIV_LOST, serial, true, NULL) == 0);
	must(priv_send(end.alice, &nothing, PRIV_RESUME, serial - (1 << 20), true, NULL) == 0);
	loop();
	must(!s->killed && s->resuming && handle_of_session(&m, s, ROOT));
	resumes(end.alice, &msg, serial);
	must(!s->killed && !s->resuming && s->handle_count == 3);
	/* now its word counts again, and only once */
	must(priv_send(end.alice, &msg, PRIV_RESUME, serial, true, NULL) == 0);
	loop();
	must(s->killed && log_has("it answered what was not asked"));
}

START_TEST(what_was_said_before_counts_nothing)
{
	in_child(old_words_count_nothing);
}
END_TEST

/* ---- what is asked again ---- */

static struct priv_message answer;

/* Of alice's session. */
static uint32_t asks_again(uint32_t op, uint32_t handle, uint32_t again, struct fd_list *fds)
{
	struct priv_message msg = { .hdr = { .op = op, .serial = 1, .again = again },
				    .id.id = handle };
	struct fd_list none = { .count = 0 };

	monitor_request(session(ALICES), &msg, fds ? fds : &none);
	must(message_receive(end.alice, &answer, sizeof(answer), &none, 4) > 0);
	must(answer.hdr.op == op && answer.hdr.reply == 1 && answer.hdr.serial == 1);
	return answer.status.code;
}

static uint32_t binds(uint32_t again, int client)
{
	struct fd_list fds = { .count = 1 };

	fds.fd[0] = fcntl(client, F_DUPFD_CLOEXEC, ABOVE);
	return asks_again(PRIV_BIND, DEVICE, again, &fds);
}

/* Only into the domain that it is in. */
static void bound_before_is_bound(void)
{
	struct domain other = { .id = DOMAIN + 1 };
	struct handle *h;
	uint64_t cookie;
	int pair[2];

	set_scene();
	must(message_socketpair(pair) == 0 && message_cookie(pair[1], &cookie) == 0);
	h = handle_new(&m, session(ALICES), IOB_KIND_DOMAIN, cookie, 0, false);
	h->rights = IOB_RIGHT_BIND;
	h->domain = domain_by_id(&m, DOMAIN);
	must(binds(0, pair[1]) == IOB_E_ALREADY_BOUND);
	must(binds(1, pair[1]) == IOB_OK && answer.done.id == DOMAIN);
	other.session = session(ALICES);
	h->domain = &other;
	must(binds(1, pair[1]) == IOB_E_ALREADY_BOUND);
}

START_TEST(bind_that_was_carried_out_succeeds)
{
	in_child(bound_before_is_bound);
}
END_TEST

static void unbound_before_is_unbound(void)
{
	struct priv_message again = { .hdr = { .op = PRIV_UNBIND, .serial = 6, .again = 1 },
				      .id.id = DEVICE };
	struct fd_list none = { .count = 0 };
	struct device *d;

	set_scene();
	d = m.devices[CARD];
	device_make(SPARE, session(ALICES), NULL, OPENED);
	must(asks_again(PRIV_UNBIND, OPENED, 0, NULL) == IOB_E_NOT_BOUND);
	must(asks_again(PRIV_UNBIND, OPENED, 1, NULL) == IOB_OK);
	must(asks_again(PRIV_UNBIND, ROOT, 1, NULL) == IOB_E_NOT_BOUND);
	d->state = DEVICE_DETACHING; /* begun by an earlier monitor, for nobody by now */
	must(asks_again(PRIV_UNBIND, DEVICE, 0, NULL) == IOB_E_NOT_BOUND);
	monitor_request(session(ALICES), &again, &none);
	must(message_receive(end.alice, &answer, sizeof(answer), &none, 4) == -EAGAIN);
	must(d->requester.session_id == ALICES && d->requester.serial == 6);
}

START_TEST(unbind_that_was_begun_is_waited_for)
{
	in_child(unbound_before_is_unbound);
}
END_TEST

Suite *test_adopt_suite(void)
{
	Suite *suite = suite_create("adopt");
	TCase *tc = tcase_create("paper");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, what_was_there_is_there_again);
	tcase_add_test(tc, what_is_charged_is_counted_anew);
	tcase_add_test(tc, ids_are_not_given_again);
	tcase_add_test(tc, handles_that_fit_nothing_are_crossed_out);
	tcase_add_test(tc, groups_of_a_user_have_an_end);
	tcase_add_test(tc, domains_are_listed_newest_first);
	tcase_add_test(tc, another_version_is_not_gone_on_with);
	tcase_add_loop_test(tc, nothing_stays_mapped_of_another_version, 0,
			    (int)(sizeof(revokings) / sizeof(revokings[0])));
	tcase_add_test(tc, session_without_descriptors_is_given_up);
	tcase_add_test(tc, device_without_handle_is_nobodys);
	tcase_add_test(tc, device_without_owner_leaves_its_domain);
	tcase_add_test(tc, device_of_a_domain_that_is_gone_is_closed);
	tcase_add_test(tc, dying_domain_dies);
	tcase_add_test(tc, backend_stays_as_long_as_it_is_needed);
	tcase_add_test(tc, table_that_cannot_be_read_is_replaced);
	tcase_add_loop_test(tc, what_was_under_way_is_undone, 0, 2);
	tcase_add_test(tc, nothing_is_taken_that_is_not_kept);
	suite_add_tcase(suite, tc);

	tc = tcase_create("order");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, serials_are_of_one_monitor);
	tcase_add_test(tc, what_is_said_is_on_paper);
	tcase_add_test(tc, what_is_over_is_told_first);
	tcase_add_test(tc, generation_is_on_paper_before_it_speaks);
	suite_add_tcase(suite, tc);

	tc = tcase_create("word");
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, truth_is_believed);
	tcase_add_test(tc, what_it_does_not_know_is_released);
	tcase_add_loop_test(tc, what_it_claims_beyond_the_ledger_ends_it, 0,
			    (int)(sizeof(lies) / sizeof(lies[0])));
	tcase_add_test(tc, what_was_said_before_counts_nothing);
	tcase_add_test(tc, bind_that_was_carried_out_succeeds);
	tcase_add_test(tc, unbind_that_was_begun_is_waited_for);
	suite_add_tcase(suite, tc);
	return suite;
}
