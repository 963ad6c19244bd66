/* SPDX-License-Identifier: MIT */
/*
 * Moving devices between drivers, on a prepared tree in place of sysfs. The test is the kernel: the
 * files that are written to are pipes that are full, so that a write waits until the test has done
 * what the kernel would, and lets go.
 */
#include "daemon/monitor-config-rules.h"
#include "daemon/monitor-driver.h"
#include "kernel-glue/opener.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *test_driver_suite(void);

#define CARD	"0000:00:03.0"
#define SIBLING "0000:00:03.1"
#define BRIDGE	"0000:00:02.0"
#define OTHER	"0000:00:04.0"

static char root[64];
static struct monitor m;
static struct session session;
static struct account account;
static int client; /* the other end of the session's channel */

/* ---- the tree ---- */

__attribute__((format(printf, 1, 2))) static const char *in_root(const char *format, ...)
{
	static char path[512];
	char name[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(name, sizeof(name), format, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "%s/sys/%s", root, name);
	for (char *p = path + strlen(root) + 1; *p; p++)
		if (*p == '/') {
			*p = '\0';
			mkdir(path, 0755);
			*p = '/';
		}
	return path;
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static const char *text_of(const char *path)
{
	static char text[128];
	FILE *f = fopen(path, "r");

	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void driver_is(const char *bdf, const char *driver)
{
	char target[128];
	const char *path = in_root("devices/%s/driver", bdf);

	unlink(path);
	if (!driver)
		return;
	snprintf(target, sizeof(target), "../../bus/pci/drivers/%s", driver);
	ck_assert_int_eq(symlink(target, path), 0);
}

static void put_device(const char *bdf, const char *class_code, const char *driver, int group)
{
	char target[128];

	put(in_root("devices/%s/vendor", bdf), "0x8086\n");
	put(in_root("devices/%s/device", bdf), "0x10d3\n");
	put(in_root("devices/%s/class", bdf), class_code);
	put(in_root("devices/%s/driver_override", bdf), "(null)\n");
	snprintf(target, sizeof(target), "../../../devices/%s", bdf);
	ck_assert_int_eq(symlink(target, in_root("bus/pci/devices/%s", bdf)), 0);
	snprintf(target, sizeof(target), "../../kernel/iommu_groups/%d", group);
	ck_assert_int_eq(symlink(target, in_root("devices/%s/iommu_group", bdf)), 0);
	snprintf(target, sizeof(target), "../../../../devices/%s", bdf);
	ck_assert_int_eq(symlink(target, in_root("kernel/iommu_groups/%d/devices/%s", group, bdf)),
			 0);
	driver_is(bdf, driver);
}

struct gate {
	int fd;
	int opened; /* inotify: somebody has it open */
};

static void gate_fill(const struct gate *g)
{
	static const char junk[4096];

	while (write(g->fd, junk, sizeof(junk)) > 0)
		;
}

/* A file that takes a write when the test says so. */
static struct gate put_gate(const char *path)
{
	struct gate g;

	ck_assert_int_eq(mkfifo(path, 0644), 0);
	g.fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(g.fd, 0);
	gate_fill(&g);
	g.opened = inotify_init1(IN_CLOEXEC);
	ck_assert_int_ge(inotify_add_watch(g.opened, path, IN_OPEN), 0);
	return g;
}

/* Until the other process has opened it, and so does not look for it any more. */
static void gate_wait(const struct gate *g)
{
	struct inotify_event e;

	ck_assert_int_eq(read(g->opened, &e, sizeof(e)), sizeof(e));
}

/* Lets one write through, which must be of this name, and no other. */
static void gate_open(const struct gate *g, const char *bdf)
{
	struct pollfd p = { .fd = g->fd, .events = POLLIN };
	char text[4096];
	ssize_t n;

	do {
		poll(&p, 1, -1);
		n = read(g->fd, text, sizeof(text) - 1);
	} while (n <= 0 || text[n - 1] == '\0');
	text[n] = '\0';
	ck_assert_str_eq(text + n - strlen(bdf), bdf);
	gate_fill(g);
}

static struct gate card_unbind, vfio_bind;

/* A card and a sibling without a driver in group 3, behind a bridge; another device. */
static void tree_make(void)
{
	static char sys[80];

	snprintf(root, sizeof(root), "/tmp/test-driver-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(sys, sizeof(sys), "%s/sys", root);
	sysfs_roots_set(sys, root, root);
	put_device(BRIDGE, "0x060400\n", "pcieport", 3);
	put_device(CARD, "0x020000\n", "e1000e", 3);
	put_device(SIBLING, "0x020000\n", NULL, 3);
	put_device(OTHER, "0x020000\n", "vfio-pci", 4);
	card_unbind = put_gate(in_root("bus/pci/drivers/e1000e/unbind"));
	vfio_bind = put_gate(in_root("bus/pci/drivers/vfio-pci/bind"));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

/* ---- the monitor ---- */

static const struct device_pattern the_card = { .kind = PATTERN_NAME, .text = CARD };
static const uid_t alice[] = { 1000 }, bob[] = { 1001 };
static struct config_rule rules[] = {
	{ .name = (char *)"alice",
	  .users = (uid_t *)alice,
	  .user_count = 1,
	  .patterns = (struct device_pattern *)&the_card,
	  .pattern_count = 1,
	  .access = IOB_ACCESS_MEDIATED,
	  .drivers = true },
	{ .name = (char *)"bob",
	  .users = (uid_t *)bob,
	  .user_count = 1,
	  .patterns = (struct device_pattern *)&the_card,
	  .pattern_count = 1,
	  .access = IOB_ACCESS_MEDIATED },
};

static void inventory_make(void)
{
	struct fault why;

	ck_assert_int_eq(inventory_load(&m, &why), 0);
}

static void monitor_make(void)
{
	int pair[2];

	tree_make();
	memset(&m, 0, sizeof(m));
	m.base = event_base_new();
	m.glue = &glue_opener_type1;
	m.config = (struct config){
		.session_uid_base = 5000, .max_sessions = 10, .rules = rules, .rule_count = 2
	};
	inventory_make();
	memset(&account, 0, sizeof(account));
	account.references = 1;
	LIST_INSERT_HEAD(&m.accounts, &account, link);
	ck_assert_int_eq(message_socketpair(pair), 0);
	client = pair[1];
	session = (struct session){ .monitor = &m,
				    .id = 1,
				    .channel = pair[0],
				    .state = PRIV_STATE_READY,
				    .account = &account };
	session.quota.max_devices = 16;
	session.quota.max_setups = QUOTA_UNLIMITED;
	LIST_INSERT_HEAD(&m.sessions, &session, link);
}

static void monitor_remove(void)
{
	inventory_free(&m);
	event_base_free(m.base);
	close(session.channel);
	close(client);
	sysfs_roots_set(NULL, NULL, NULL);
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void user_is(uid_t uid)
{
	session.peer = (struct peer){ .uid = uid, .gid = uid, .pidfd = -1 };
	account.uid = uid;
}

static struct device *device(const char *name)
{
	return device_by_name(&m, name);
}

/* ---- requests ---- */

static struct priv_message reply;

static bool answered(void)
{
	struct fd_list fds;
	ssize_t n = message_receive(client, &reply, sizeof(reply), &fds, 4);

	fd_list_close(&fds);
	return n > 0;
}

/* An answer that is there at once: the loop has not run. */
static uint32_t ask(uint32_t op, struct priv_message *msg)
{
	struct fd_list none = { .count = 0 };

	msg->hdr = (struct priv_hdr){ .op = op, .serial = 7 };
	monitor_request(&session, msg, &none);
	ck_assert(answered());
	ck_assert_uint_eq(reply.hdr.op, op);
	return reply.status.code;
}

static uint32_t list(const char *name)
{
	struct priv_message msg = { 0 };

	strcpy(msg.driver_list_req.name, name);
	return ask(PRIV_DRIVER_LIST, &msg);
}

static struct priv_message set_request(const char *name, enum iob_driver to, uint32_t flags)
{
	struct priv_message msg = { 0 };

	if (list(name) == IOB_OK)
		msg.driver_set_req.stamp = reply.driver_list.records[0].stamp;
	strcpy(msg.driver_set_req.name, name);
	msg.driver_set_req.driver = to;
	msg.driver_set_req.flags = flags;
	return msg;
}

static uint32_t set_now(const char *name, enum iob_driver to, uint32_t flags)
{
	struct priv_message msg = set_request(name, to, flags);

	return ask(PRIV_DRIVER_SET, &msg);
}

/* One that takes its time. */
static void set_begins(const char *name, enum iob_driver to, uint32_t flags)
{
	struct priv_message msg = set_request(name, to, flags);

	msg.hdr = (struct priv_hdr){ .op = PRIV_DRIVER_SET, .serial = 8 };
	monitor_driver_set(&session, &msg);
	ck_assert(!answered());
	ck_assert_ptr_nonnull(LIST_FIRST(&m.moves));
}

static void loop(void)
{
	ck_assert_int_eq(event_base_loop(m.base, EVLOOP_ONCE), 0);
}

static void until_step(uint32_t index, enum glue_driver_step step)
{
	const struct move *v = LIST_FIRST(&m.moves);

	while (v->report.step != step || v->report.index != index)
		loop();
}

static void until_answered(void)
{
	while (!answered())
		loop();
	ck_assert_uint_eq(reply.hdr.op, PRIV_DRIVER_SET);
	ck_assert_uint_eq(reply.hdr.serial, 8);
}

static void until_idle(void)
{
	while (!LIST_EMPTY(&m.moves))
		loop();
	ck_assert_uint_eq(m.move_count, 0);
	ck_assert_uint_eq(account.moves, 0);
	ck_assert_uint_eq(account.references, 1);
	for (size_t i = 0; i < m.device_count; i++)
		ck_assert_ptr_null(m.devices[i]->move);
}

#define says(words)                                                                  \
	ck_assert_msg(strstr(reply.status.text, (words)), "\"%s\" in \"%s\"", words, \
		      reply.status.text)

/* ---- the kernel ---- */

static void card_lets_go(void)
{
	until_step(0, GLUE_DRIVER_UNBIND);
	ck_assert_str_eq(text_of(in_root("devices/" CARD "/driver_override")), "vfio-pci\n");
	gate_wait(&card_unbind);
	driver_is(CARD, NULL);
	gate_open(&card_unbind, CARD);
}

static void vfio_takes(uint32_t index, const char *bdf)
{
	until_step(index, GLUE_DRIVER_PROBE);
	gate_wait(&vfio_bind);
	driver_is(bdf, "vfio-pci");
	gate_open(&vfio_bind, bdf);
}

/* So that there is a gate between the two. */
static struct gate sibling_gets_driver(void)
{
	driver_is(SIBLING, "igb");
	return put_gate(in_root("bus/pci/drivers/igb/unbind"));
}

static void card_moves(void)
{
	set_begins(CARD, IOB_DRIVER_VFIO, 0);
	card_lets_go();
	vfio_takes(0, CARD);
	until_answered();
	ck_assert_uint_eq(reply.status.code, IOB_OK);
	until_idle();
}

/* ---- tests ---- */

START_TEST(group_is_shown)
{
	const struct iob_driver_rec *r = reply.driver_list.records;

	user_is(0);
	ck_assert_uint_eq(list(SIBLING), IOB_OK);
	ck_assert_uint_eq(reply.driver_list.count, 3);
	ck_assert_uint_eq(reply.driver_list.next, 0);
	ck_assert_str_eq(r[0].device.name, BRIDGE);
	ck_assert_uint_eq(r[0].flags, IOB_DRIVER_STAYS);
	ck_assert_str_eq(r[1].device.driver, "e1000e");
	ck_assert_uint_eq(r[1].flags, IOB_DRIVER_YOURS);
	ck_assert_str_eq(r[2].device.driver, "");
	ck_assert(r[0].stamp == r[1].stamp && r[1].stamp == r[2].stamp && r[0].stamp != 0);
	ck_assert_uint_eq(list(OTHER), IOB_OK);
	ck_assert_uint_eq(r[0].flags, IOB_DRIVER_YOURS | IOB_DRIVER_ON_VFIO);
	ck_assert_uint_eq(list("0000:00:09.0"), IOB_E_NO_DEVICE);
	user_is(1000);
	ck_assert_uint_eq(list(CARD), IOB_OK);
	ck_assert_uint_eq(r[1].flags, IOB_DRIVER_YOURS);
	ck_assert_uint_eq(r[2].flags, 0);
	ck_assert_uint_eq(list(OTHER), IOB_E_NO_DEVICE);
}
END_TEST

/* A bus may be long, and meanwhile nobody is answered. */
START_TEST(only_the_group_is_read)
{
	int opened = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct priv_message open = { 0 };
	struct inotify_event e;

	ck_assert_int_ge(inotify_add_watch(opened, in_root("devices/" OTHER "/vendor"), IN_OPEN),
			 0);
	user_is(1000);
	ck_assert_uint_eq(list(CARD), IOB_OK);
	strcpy(open.device_open.name, CARD);
	ck_assert_uint_eq(ask(PRIV_DEVICE_OPEN, &open), IOB_E_UNSAFE);
	ck_assert_int_lt(read(opened, &e, sizeof(e)), 0);
	user_is(0);
	ck_assert_uint_eq(list(OTHER), IOB_OK);
	ck_assert_int_eq(read(opened, &e, sizeof(e)), sizeof(e));
	close(opened);
}
END_TEST

START_TEST(device_moves_and_comes_back)
{
	struct gate back = put_gate(in_root("bus/pci/drivers/e1000e/bind"));

	user_is(0);
	card_moves();
	ck_assert_uint_eq(reply.driver_set.data.moved, 1);
	ck_assert(device(CARD)->info.on_vfio && device(CARD)->info.usable);
	ck_assert_str_eq(device(CARD)->former, "e1000e");
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_VFIO, 0), IOB_OK);
	ck_assert_uint_eq(reply.driver_set.data.moved, 0);

	put(in_root("bus/pci/drivers/vfio-pci/unbind"), "");
	put(in_root("bus/pci/drivers_probe"), "");
	set_begins(CARD, IOB_DRIVER_HOST, 0);
	until_step(0, GLUE_DRIVER_PROBE);
	gate_wait(&back);
	/* as one that had it by its driver_override wants */
	ck_assert_str_eq(text_of(in_root("devices/" CARD "/driver_override")), "e1000e\n");
	ck_assert_str_eq(text_of(in_root("bus/pci/drivers/vfio-pci/unbind")), CARD);
	driver_is(CARD, "e1000e");
	gate_open(&back, CARD);
	until_answered();
	ck_assert_uint_eq(reply.status.code, IOB_OK);
	ck_assert_str_eq(text_of(in_root("devices/" CARD "/driver_override")), "\n");
	ck_assert_str_eq(text_of(in_root("bus/pci/drivers_probe")), "");
	until_idle();
	ck_assert(!device(CARD)->info.on_vfio);
	ck_assert_str_eq(device(CARD)->former, "");
}
END_TEST

/* It was unloaded meanwhile: whichever knows the device may have it. */
START_TEST(former_driver_is_gone)
{
	struct gate probe = put_gate(in_root("bus/pci/drivers_probe"));
	struct gate vfio_unbind = put_gate(in_root("bus/pci/drivers/vfio-pci/unbind"));

	user_is(0);
	card_moves();
	set_begins(CARD, IOB_DRIVER_HOST, 0);
	gate_wait(&vfio_unbind);
	driver_is(CARD, NULL);
	gate_open(&vfio_unbind, CARD);
	until_step(0, GLUE_DRIVER_PROBE);
	gate_wait(&probe);
	ck_assert_str_eq(text_of(in_root("devices/" CARD "/driver_override")), "\n");
	driver_is(CARD, "igb");
	gate_open(&probe, CARD);
	until_answered();
	ck_assert_uint_eq(reply.status.code, IOB_OK);
	until_idle();
	ck_assert_str_eq(device(CARD)->info.driver, "igb");
}
END_TEST

/* The monitor goes on while the kernel does not, and says so to who waits. */
START_TEST(unbind_that_waits)
{
	struct priv_message open = { 0 }, status = { 0 };
	struct move *v;

	user_is(0);
	set_begins(CARD, IOB_DRIVER_VFIO, 0);
	until_step(0, GLUE_DRIVER_UNBIND);
	ck_assert_uint_eq(ask(PRIV_STATUS, &status), IOB_OK);
	ck_assert_uint_eq(list(SIBLING), IOB_OK);
	ck_assert_uint_eq(reply.driver_list.records[1].flags, IOB_DRIVER_YOURS | IOB_DRIVER_MOVING);
	for (uint32_t i = 0; i < reply.driver_list.count; i++) /* all of its group */
		ck_assert(reply.driver_list.records[i].flags & IOB_DRIVER_MOVING);
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_HOST, 0), IOB_OK); /* it is there already */
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_VFIO, 0), IOB_E_BUSY);
	ck_assert_uint_eq(set_now(SIBLING, IOB_DRIVER_VFIO, 0), IOB_E_BUSY);
	says("already");
	user_is(1000);
	strcpy(open.device_open.name, CARD);
	ck_assert_uint_eq(ask(PRIV_DEVICE_OPEN, &open), IOB_E_BUSY);
	says("is being changed");
	user_is(0);

	v = LIST_FIRST(&m.moves);
	event_active(v->on_late, EV_TIMEOUT, 0);
	until_answered();
	ck_assert_uint_eq(reply.status.code, IOB_E_BUSY);
	ck_assert_int_eq(reply.status.sys_errno, ETIMEDOUT);
	says("driver e1000e has not let go of " CARD);
	ck_assert(v->late);
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_VFIO, 0), IOB_E_BUSY);

	card_lets_go();
	vfio_takes(0, CARD);
	until_idle();
	ck_assert(!answered());
	ck_assert(device(CARD)->info.on_vfio);
	ck_assert_str_eq(device(CARD)->former, "e1000e");
}
END_TEST

START_TEST(whole_group_moves_but_for_bridges)
{
	struct gate sibling_unbind = sibling_gets_driver();

	user_is(0);
	set_begins(SIBLING, IOB_DRIVER_VFIO, IOB_DRIVER_GROUP);
	card_lets_go();
	vfio_takes(0, CARD);
	until_step(1, GLUE_DRIVER_UNBIND);
	gate_wait(&sibling_unbind);
	driver_is(SIBLING, NULL);
	gate_open(&sibling_unbind, SIBLING);
	vfio_takes(1, SIBLING);
	until_answered();
	ck_assert_uint_eq(reply.driver_set.data.moved, 2);
	until_idle();
	ck_assert(device(CARD)->info.usable && device(SIBLING)->info.usable);
	ck_assert_str_eq(device(BRIDGE)->info.driver, "pcieport");
}
END_TEST

/* A bridge that is a device to VFIO: named, it is moved; in a group it stays unless it has a driver. */
START_TEST(bridges_to_nowhere)
{
	const struct iob_driver_rec *r = reply.driver_list.records;

	put_device("0000:00:03.2", "0x060100\n", NULL, 3);
	put_device("0000:00:03.3", "0x068000\n", "e1000e", 3);
	user_is(0);
	ck_assert_uint_eq(list(CARD), IOB_OK);
	ck_assert_uint_eq(r[3].flags, IOB_DRIVER_STAYS);
	ck_assert_uint_eq(r[4].flags, IOB_DRIVER_YOURS);
	ck_assert_uint_eq(list("0000:00:03.2"), IOB_OK);
	ck_assert_uint_eq(r[3].flags, IOB_DRIVER_YOURS);
}
END_TEST

/* vfio-pci does not take it, nor does the old driver take it back. */
START_TEST(failure_says_where_the_device_is)
{
	user_is(0);
	ck_assert_int_eq(unlink(in_root("bus/pci/drivers/vfio-pci/bind")), 0);
	put(in_root("bus/pci/drivers/e1000e/bind"), "");
	set_begins(CARD, IOB_DRIVER_VFIO, IOB_DRIVER_GROUP);
	card_lets_go();
	until_answered();
	ck_assert_uint_eq(reply.status.code, IOB_E_KERNEL);
	says("0 of 2 devices were moved");
	says("vfio-pci did not take " CARD);
	says("it has no driver now");
	ck_assert_str_eq(text_of(in_root("bus/pci/drivers/e1000e/bind")), CARD);
	ck_assert_str_eq(text_of(in_root("devices/" CARD "/driver_override")), "\n");
	until_idle();
}
END_TEST

START_TEST(failure_is_rolled_back)
{
	struct gate back = put_gate(in_root("bus/pci/drivers/e1000e/bind"));

	user_is(0);
	put(in_root("devices/" CARD "/driver_override"), "e1000e\n");
	ck_assert_int_eq(unlink(in_root("bus/pci/drivers/vfio-pci/bind")), 0);
	set_begins(CARD, IOB_DRIVER_VFIO, 0);
	card_lets_go();
	until_step(0, GLUE_DRIVER_PROBE);
	gate_wait(&back);
	driver_is(CARD, "e1000e");
	gate_open(&back, CARD);
	until_answered();
	ck_assert_uint_eq(reply.status.code, IOB_E_KERNEL);
	says("driver e1000e has it");
	ck_assert_str_eq(text_of(in_root("devices/" CARD "/driver_override")), "e1000e\n");
	until_idle();
	ck_assert_str_eq(device(CARD)->info.driver, "e1000e");
	ck_assert_str_eq(device(CARD)->former, "");
}
END_TEST

START_TEST(process_that_dies)
{
	struct move *v;

	user_is(0);
	set_begins(CARD, IOB_DRIVER_VFIO, 0);
	until_step(0, GLUE_DRIVER_UNBIND);
	v = LIST_FIRST(&m.moves);
	syscall(SYS_pidfd_send_signal, v->pidfd, SIGKILL, NULL, 0);
	until_answered();
	ck_assert_uint_eq(reply.status.code, IOB_E_INTERNAL);
	says(CARD " has e1000e now");
	until_idle();
}
END_TEST

/* The loop of events takes nothing more. */
static void break_loop(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char path[64], target[64];

	ck_assert_int_ge(null, 0);
	for (int fd = 0; fd < null; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		if (strcmp(target, "anon_inode:[eventpoll]") == 0)
			ck_assert_int_eq(dup2(null, fd), fd);
	}
	close(null);
}

START_TEST(process_that_cannot_be_watched)
{
	struct priv_message msg;

	user_is(0);
	msg = set_request(CARD, IOB_DRIVER_VFIO, 0);
	break_loop();
	ck_assert_uint_eq(ask(PRIV_DRIVER_SET, &msg), IOB_E_NO_MEMORY);
	says("cannot be watched");
	ck_assert_int_lt(waitpid(-1, NULL, 0), 0);
	ck_assert_int_eq(errno, ECHILD);
	ck_assert_ptr_null(LIST_FIRST(&m.moves));
	ck_assert_str_eq(text_of(in_root("devices/" CARD "/driver_override")), "(null)\n");
}
END_TEST

START_TEST(nobody_left_to_tell)
{
	user_is(0);
	set_begins(CARD, IOB_DRIVER_VFIO, 0);
	LIST_REMOVE(&session, link);
	card_lets_go();
	vfio_takes(0, CARD);
	until_idle();
	ck_assert(!answered());
	ck_assert(device(CARD)->info.on_vfio);
}
END_TEST

START_TEST(who_may)
{
	user_is(1000);
	card_moves();
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_HOST, IOB_DRIVER_GROUP), IOB_E_DENIED);
	says(SIBLING);
	ck_assert_uint_eq(set_now(SIBLING, IOB_DRIVER_VFIO, 0), IOB_E_NO_DEVICE);
	user_is(1001); /* may open it */
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_HOST, 0), IOB_E_DENIED);
	user_is(1002);
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_HOST, 0), IOB_E_NO_DEVICE);
	user_is(5000); /* a session of the broker's own */
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_HOST, 0), IOB_E_NO_DEVICE);
	ck_assert(device(CARD)->info.on_vfio);
}
END_TEST

START_TEST(what_is_in_use_stays)
{
	struct session bobs = { .monitor = &m, .peer = { .uid = 1001 } };

	user_is(0);
	device(SIBLING)->state = DEVICE_OPEN;
	device(SIBLING)->owner = &bobs;
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_VFIO, 0), IOB_E_BUSY);
	says(SIBLING " is open in a client");
	device(SIBLING)->owner = NULL;
	device(SIBLING)->state = DEVICE_DETACHING;
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_VFIO, 0), IOB_E_BUSY);
	ck_assert_ptr_null(LIST_FIRST(&m.moves));
}
END_TEST

/* Between DEVICE_OPEN, for which policy was asked, and BIND. */
START_TEST(another_device_at_the_address)
{
	static const struct {
		const char *attribute, *text;
	} others[] = {
		{ "vendor", "0x8087\n" },
		{ "device", "0x10d4\n" },
		{ "class", "0x020001\n" },
		{ "iommu_group", NULL },
	};
	const struct glue_device opened = device(CARD)->info;
	struct glue_device now;
	struct fault why;

	driver_is(CARD, "vfio-pci");
	ck_assert_int_eq(opener_check_device(&opened, &now, &why), 0);
	if (others[_i].text) {
		put(in_root("devices/%s/%s", CARD, others[_i].attribute), others[_i].text);
	} else {
		unlink(in_root("devices/%s/iommu_group", CARD));
		ck_assert_int_eq(symlink("../../kernel/iommu_groups/77",
					 in_root("devices/%s/iommu_group", CARD)),
				 0);
	}
	ck_assert_int_lt(opener_check_device(&opened, &now, &why), 0);
	ck_assert_uint_eq(why.code, IOB_E_NO_DEVICE);
	ck_assert_ptr_nonnull(strstr(why.text, "not the one that was opened"));
}
END_TEST

START_TEST(what_cannot_move)
{
	user_is(0);
	ck_assert_uint_eq(set_now(BRIDGE, IOB_DRIVER_VFIO, 0), IOB_E_UNSUPPORTED);
	says("bridge");
	ck_assert_int_eq(symlink("../0000:00:13.0", in_root("devices/" CARD "/virtfn0")), 0);
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_VFIO, 0), IOB_E_UNSAFE);
	ck_assert_int_eq(unlink(in_root("devices/" CARD "/virtfn0")), 0);
	ck_assert_int_eq(unlink(in_root("bus/pci/drivers/vfio-pci/bind")), 0);
	ck_assert_int_eq(rmdir(in_root("bus/pci/drivers/vfio-pci")), 0);
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_VFIO, 0), IOB_E_UNSUPPORTED);
	says("modprobe vfio-pci");
	ck_assert_ptr_null(LIST_FIRST(&m.moves));
	ck_assert_str_eq(text_of(in_root("devices/" CARD "/driver_override")), "(null)\n");
}
END_TEST

/* By a session, of a monitor that did it and ended before it could answer. */
START_TEST(asked_again_when_it_is_done)
{
	struct fd_list none = { .count = 0 };
	struct priv_message msg;

	user_is(0);
	msg = set_request(CARD, IOB_DRIVER_VFIO, 0);
	driver_is(CARD, "vfio-pci"); /* as that monitor left it */
	ck_assert_uint_eq(ask(PRIV_DRIVER_SET, &msg), IOB_E_GROUP);
	msg.hdr = (struct priv_hdr){ .op = PRIV_DRIVER_SET, .serial = 7, .again = 1 };
	monitor_request(&session, &msg, &none);
	ck_assert(answered());
	ck_assert_uint_eq(reply.status.code, IOB_OK);
	ck_assert_uint_eq(reply.driver_set.data.moved, 0);
	/* not done: what was shown is what counts, also for the second time */
	msg.driver_set_req.driver = IOB_DRIVER_HOST;
	msg.hdr = (struct priv_hdr){ .op = PRIV_DRIVER_SET, .serial = 7, .again = 1 };
	monitor_request(&session, &msg, &none);
	ck_assert(answered());
	ck_assert_uint_eq(reply.status.code, IOB_E_GROUP);
	ck_assert_ptr_null(LIST_FIRST(&m.moves));
}
END_TEST

START_TEST(requests_that_make_no_sense)
{
	struct priv_message msg;

	user_is(0);
	msg = set_request(CARD, IOB_DRIVER_VFIO, 0);
	msg.driver_set_req.stamp ^= 1;
	ck_assert_uint_eq(ask(PRIV_DRIVER_SET, &msg), IOB_E_GROUP);
	msg = set_request(CARD, IOB_DRIVER_VFIO, 0);
	driver_is(SIBLING, "e1000e"); /* meanwhile */
	ck_assert_uint_eq(ask(PRIV_DRIVER_SET, &msg), IOB_E_GROUP);
	says("look again");
	for (uint32_t bit = 1; bit < 32; bit++) {
		msg = set_request(CARD, IOB_DRIVER_VFIO, 1u << bit);
		ck_assert_uint_eq(ask(PRIV_DRIVER_SET, &msg), IOB_E_UNSUPPORTED);
		msg = set_request(CARD, (enum iob_driver)(1u << bit | 1u), 0);
		ck_assert_uint_eq(ask(PRIV_DRIVER_SET, &msg), IOB_E_UNSUPPORTED);
	}
	msg = set_request(CARD, (enum iob_driver)0, 0);
	ck_assert_uint_eq(ask(PRIV_DRIVER_SET, &msg), IOB_E_UNSUPPORTED);
	msg = set_request(CARD, IOB_DRIVER_VFIO, 0);
	memset(msg.driver_set_req.name, 'a', IOB_NAME_BYTES);
	ck_assert_uint_eq(ask(PRIV_DRIVER_SET, &msg), IOB_E_NO_DEVICE);
	memset(&msg, 0, sizeof(msg));
	memset(msg.driver_list_req.name, 'a', IOB_NAME_BYTES);
	ck_assert_uint_eq(ask(PRIV_DRIVER_LIST, &msg), IOB_E_NO_DEVICE);
	memset(&msg, 0, sizeof(msg));
	strcpy(msg.driver_list_req.name, CARD);
	msg.driver_list_req.cursor = UINT32_MAX;
	ck_assert_uint_eq(ask(PRIV_DRIVER_LIST, &msg), IOB_OK);
	ck_assert_uint_eq(reply.driver_list.count, 0);
	ck_assert_ptr_null(LIST_FIRST(&m.moves));
}
END_TEST

START_TEST(moves_are_limited)
{
	user_is(0);
	account.moves = MONITOR_USER_MOVES;
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_VFIO, 0), IOB_E_LIMIT);
	account.moves = 0;
	m.move_count = MONITOR_DRIVER_MOVES;
	ck_assert_uint_eq(set_now(CARD, IOB_DRIVER_VFIO, 0), IOB_E_LIMIT);
	m.move_count = MONITOR_DRIVER_MOVES - 1;
	set_begins(CARD, IOB_DRIVER_VFIO, 0);
	m.move_count = 1;
	card_lets_go();
	vfio_takes(0, CARD);
	until_idle();
}
END_TEST

/* ---- at the start ---- */

static struct config_vfio wanted[] = {
	{ .pattern = { .kind = PATTERN_CLASS, .class_code = 0x02, .class_shift = 16 } },
	{ .pattern = { .kind = PATTERN_ID, .vendor = 0x8086, .device = 0x10d3 } },
};

static void kernel_goes_on(evutil_socket_t fd, short what, void *arg)
{
	const struct move *v = LIST_FIRST(&m.moves);

	(void)fd;
	(void)what;
	(void)arg;
	if (!v || v->report.step != GLUE_DRIVER_UNBIND) {
		const struct timeval soon = { .tv_usec = 1000 };

		event_base_once(m.base, -1, EV_TIMEOUT, kernel_goes_on, NULL, &soon);
		return;
	}
	gate_wait(&card_unbind);
	driver_is(CARD, NULL);
	gate_open(&card_unbind, CARD);
	driver_is(CARD, "vfio-pci");
	gate_wait(&vfio_bind);
	driver_is(SIBLING, "vfio-pci");
	gate_open(&vfio_bind, CARD);
}

/* Siblings that match too, and no bridge though it matches. */
START_TEST(configuration_moves)
{
	m.config.vfio = wanted;
	m.config.vfio_count = 2;
	kernel_goes_on(-1, 0, NULL);
	ck_assert(drivers_at_start(&m));
	until_idle();
	ck_assert(device(CARD)->info.usable && device(SIBLING)->info.usable);
	ck_assert_str_eq(device(BRIDGE)->info.driver, "pcieport");
	ck_assert_str_eq(device(CARD)->former, "e1000e");
}
END_TEST

static void it_is_late(evutil_socket_t fd, short what, void *arg)
{
	const struct move *v = LIST_FIRST(&m.moves);
	const struct timeval soon = { .tv_usec = 1000 };

	(void)fd;
	(void)what;
	(void)arg;
	if (v && v->report.step == GLUE_DRIVER_UNBIND)
		event_active(v->on_late, EV_TIMEOUT, 0);
	else
		event_base_once(m.base, -1, EV_TIMEOUT, it_is_late, NULL, &soon);
}

START_TEST(configuration_does_not_wait_for_ever)
{
	m.config.vfio = wanted;
	m.config.vfio_count = 1;
	it_is_late(-1, 0, NULL);
	ck_assert(drivers_at_start(&m));
	ck_assert_ptr_nonnull(device(CARD)->move);
	ck_assert(!device(CARD)->info.on_vfio);
	gate_wait(&card_unbind);
	driver_is(CARD, NULL);
	gate_open(&card_unbind, CARD);
	until_step(0, GLUE_DRIVER_PROBE);
	gate_wait(&vfio_bind);
	driver_is(SIBLING, "vfio-pci");
	driver_is(CARD, "vfio-pci");
	gate_open(&vfio_bind, CARD);
	until_idle();
	ck_assert(device(CARD)->info.on_vfio);
}
END_TEST

Suite *test_driver_suite(void)
{
	Suite *s = suite_create("driver");
	TCase *t = tcase_create("driver");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, monitor_make, monitor_remove);
	tcase_add_test(t, group_is_shown);
	tcase_add_test(t, only_the_group_is_read);
	tcase_add_test(t, device_moves_and_comes_back);
	tcase_add_test(t, former_driver_is_gone);
	tcase_add_test(t, unbind_that_waits);
	tcase_add_test(t, whole_group_moves_but_for_bridges);
	tcase_add_test(t, bridges_to_nowhere);
	tcase_add_test(t, failure_says_where_the_device_is);
	tcase_add_test(t, failure_is_rolled_back);
	tcase_add_test(t, process_that_dies);
	tcase_add_test(t, process_that_cannot_be_watched);
	tcase_add_test(t, nobody_left_to_tell);
	tcase_add_test(t, who_may);
	tcase_add_test(t, what_is_in_use_stays);
	tcase_add_loop_test(t, another_device_at_the_address, 0, 4);
	tcase_add_test(t, what_cannot_move);
	tcase_add_test(t, requests_that_make_no_sense);
	tcase_add_test(t, asked_again_when_it_is_done);
	tcase_add_test(t, moves_are_limited);
	tcase_add_test(t, configuration_moves);
	tcase_add_test(t, configuration_does_not_wait_for_ever);
	suite_add_tcase(s, t);
	return s;
}
