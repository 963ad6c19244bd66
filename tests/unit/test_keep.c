/* SPDX-License-Identifier: MIT */
/*
 * A ledger on paper that is full: whoever wants one thing more is refused, before anything is made, and
 * what there is goes on. With tables of a few rows, and a backend that only counts its contexts.
 */
#include "daemon/monitor-keep.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/monitor-config-rules.h"

Suite *test_keep_suite(void);

#define DEVICE "0000:00:03.0"

static struct monitor m;
static struct session session;
static struct account account;
static struct device device;
static struct device *inventory[] = { &device };
static int client; /* the other end of the session's channel */
static int contexts;

/* ---- a backend ---- */

static int group(const char *name, struct glue_device **list, size_t *count, struct fault *why)
{
	(void)why;
	ck_assert_str_eq(name, DEVICE);
	*list = calloc(1, sizeof(**list));
	(*list)[0] = device.info;
	*count = 1;
	return 0;
}

static int context_open(int *context_fd, uint32_t *token, struct fault *why)
{
	(void)why;
	*token = 0;
	*context_fd = eventfd(0, EFD_CLOEXEC);
	contexts++;
	return 0;
}

static int descriptor_dup(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static const struct glue_opener backend = {
	.backend = IOB_BACKEND_SIM,
	.group = group,
	.context_open = context_open,
	.descriptor_dup = descriptor_dup,
};

/* ---- a monitor ---- */

static const struct device_pattern any = { .kind = PATTERN_NAME, .text = DEVICE };
static const uid_t alice[] = { 1000 };
static struct config_rule rules[] = {
	{ .name = (char *)"alice",
	  .users = (uid_t *)alice,
	  .user_count = 1,
	  .patterns = (struct device_pattern *)&any,
	  .pattern_count = 1,
	  .access = IOB_ACCESS_MEDIATED,
	  .domains = true,
	  .quota = { .max_bytes = 1 << 20,
		     .max_mappings = 100,
		     .max_sessions = 8,
		     .max_domains = 8,
		     .max_devices = 8,
		     .max_connects = QUOTA_UNLIMITED,
		     .max_setups = QUOTA_UNLIMITED },
	  .written = UINT32_MAX },
};

static void table(struct table *t, size_t row_bytes, uint32_t rows)
{
	ck_assert_int_eq(table_open(t, -1, "unit", row_bytes, rows), 0);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Some are closed by a thread that takes its time. */
static void expect_fds(int count)
{
	for (int i = 0; i < 1000 && open_fds() != count; i++)
		usleep(5000);
	ck_assert_int_eq(open_fds(), count);
}

static void session_make(void)
{
	int pair[2];

	ck_assert_int_eq(message_socketpair(pair), 0);
	client = pair[1];
	session = (struct session){ .monitor = &m,
				    .id = 1,
				    .channel = pair[0],
				    .pidfd = -1,
				    .state = PRIV_STATE_READY,
				    .row = 1,
				    .account = &account,
				    .quota = rules[0].quota,
				    .peer = { .uid = 1000, .gid = 1000, .pidfd = -1 } };
	LIST_INIT(&session.domains);
	LIST_INIT(&session.expectations);
	LIST_INSERT_HEAD(&m.sessions, &session, link);
}

static void set_up(void)
{
	setenv("FDSTORE", "64", 1);
	memset(&m, 0, sizeof(m));
	m.base = event_base_new();
	m.glue = &backend;
	m.config = (struct config){ .max_sessions = 10, .rules = rules, .rule_count = 1 };
	RB_INIT(&m.handles);
	RB_INIT(&m.handle_ids);
	account = (struct account){ .uid = 1000, .references = 1 };
	LIST_INSERT_HEAD(&m.accounts, &account, link);
	device = (struct device){ .monitor = &m, .bound = { -1, -1 } };
	strcpy(device.info.name, DEVICE);
	device.info.usable = true;
	m.devices = inventory;
	m.device_count = 1;
	session_make();
	contexts = 0;
}

/* So many rows of each; one of self is always enough. */
static void keep_rows(uint32_t sessions, uint32_t domains, uint32_t handles, uint32_t devices)
{
	table(&m.keep.self, sizeof(struct kept_self), 1);
	table(&m.keep.sessions, sizeof(struct kept_session), sessions);
	table(&m.keep.domains, sizeof(struct kept_domain), domains);
	table(&m.keep.handles, sizeof(struct kept_handle), handles);
	table(&m.keep.devices, sizeof(struct kept_device), devices);
	m.keep.active = true;
}

static void tear_down(void)
{
	event_base_free(m.base);
	table_close(&m.keep.self);
	table_close(&m.keep.sessions);
	table_close(&m.keep.domains);
	table_close(&m.keep.handles);
	table_close(&m.keep.devices);
	close(session.channel);
	close(client);
}

/* ---- requests ---- */

static struct priv_message reply;

/* The handles that come along are closed, of which the monitor hears nothing here. */
static uint32_t ask(uint32_t op, struct priv_message *msg)
{
	struct fd_list fds, none = { .count = 0 };

	msg->hdr = (struct priv_hdr){ .op = op, .serial = 7 };
	monitor_request(&session, msg, &none);
	ck_assert_int_gt(message_receive(client, &reply, sizeof(reply), &fds, 4), 0);
	fd_list_close(&fds);
	ck_assert_uint_eq(reply.hdr.op, op);
	return reply.status.code;
}

static uint32_t create(void)
{
	struct priv_message msg = { .domain_create = { .max_bytes = 4096, .max_mappings = 1 } };

	return ask(PRIV_DOMAIN_CREATE, &msg);
}

static uint32_t grant(uint32_t handle_id)
{
	struct priv_message msg = { .grant = { .handle_id = handle_id,
					       .rights = IOB_RIGHT_INSPECT,
					       .window_last = UINT64_MAX } };

	return ask(PRIV_GRANT, &msg);
}

static uint32_t look(uint32_t domain_id)
{
	struct priv_message msg = { .id = { .id = domain_id } };

	return ask(PRIV_DOMAIN_OPEN, &msg);
}

static uint32_t open_device(void)
{
	struct priv_message msg = { .device_open = { .name = DEVICE } };

	return ask(PRIV_DEVICE_OPEN, &msg);
}

static void says(const char *what)
{
	ck_assert_msg(strncmp(reply.status.text, what, strlen(what)) == 0, "%s", reply.status.text);
}

/* ---- full ---- */

START_TEST(no_handle_more)
{
	uint32_t root, domain, second;
	int fds;

	keep_rows(1, 8, 2, 8);
	fds = open_fds();
	ck_assert_uint_eq(create(), IOB_OK);
	root = reply.domain_created.handle_id;
	domain = reply.domain_created.domain_id;
	ck_assert_uint_eq(grant(root), IOB_OK);
	second = reply.granted.handle_id;
	ck_assert_uint_eq(grant(root), IOB_E_LIMIT);
	says("handles: ");
	ck_assert_uint_eq(look(domain), IOB_E_LIMIT);
	says("handles: ");
	ck_assert_uint_eq(create(), IOB_E_LIMIT);
	says("handles: ");
	ck_assert_uint_eq(open_device(), IOB_E_LIMIT);
	says("handles: ");
	ck_assert_uint_eq(session.handle_count, 2);
	ck_assert_uint_eq(session.looker_count, 0);
	ck_assert_uint_eq(account.domains, 1);
	ck_assert_uint_eq(account.devices, 0);
	ck_assert_int_eq(device.state, DEVICE_FREE);
	expect_fds(fds + 1); /* the context of the one domain */
	handle_gone(&m, handle_of_session(&m, &session, second));
	ck_assert_uint_eq(grant(root), IOB_OK);
	ck_assert_uint_eq(grant(root), IOB_E_LIMIT);
}
END_TEST

START_TEST(no_domain_more)
{
	int fds;

	keep_rows(1, 1, 8, 8);
	fds = open_fds();
	ck_assert_uint_eq(create(), IOB_OK);
	ck_assert_uint_eq(create(), IOB_E_LIMIT);
	says("domains: ");
	ck_assert_int_eq(contexts, 1);
	ck_assert_uint_eq(account.domains, 1);
	expect_fds(fds + 1); /* the context of the one domain */
}
END_TEST

START_TEST(no_device_more)
{
	const struct kept_device other = { .state = DEVICE_OPEN };
	uint32_t row = 0;

	keep_rows(1, 8, 8, 1);
	ck_assert_int_eq(table_put(&m.keep.devices, &row, &other), 0);
	ck_assert_uint_eq(open_device(), IOB_E_LIMIT);
	says("devices: ");
	ck_assert_int_eq(device.state, DEVICE_FREE);
	ck_assert_uint_eq(session.handle_count, 0);
	table_drop(&m.keep.devices, &row);
	ck_assert_uint_eq(open_device(), IOB_OK);
}
END_TEST

static void connect_once(char text[512])
{
	struct peer p = { .uid = 1000, .gid = 1000, .pidfd = -1 };
	int pair[2];
	ssize_t n;

	ck_assert_int_eq(message_socketpair(pair), 0);
	session_start(&m, pair[0], &p);
	n = read(pair[1], text, 511);
	ck_assert_int_gt(n, (int)(sizeof(struct iob_hdr) + sizeof(struct iob_error_body)));
	text[n] = '\0';
	memmove(text, text + sizeof(struct iob_hdr) + sizeof(struct iob_error_body),
		(size_t)n + 1 - sizeof(struct iob_hdr) - sizeof(struct iob_error_body));
	close(pair[1]);
}

/* The row of one that is not ready yet is not to be had any more. */
START_TEST(no_session_more)
{
	char text[512];

	keep_rows(1, 8, 8, 8);
	session.row = 0;
	connect_once(text);
	ck_assert_msg(strncmp(text, "connections: ", 13) == 0, "%s", text);
	keep_session(&session);
	ck_assert_uint_eq(session.row, 1);
	connect_once(text);
	ck_assert_msg(strncmp(text, "connections: ", 13) == 0, "%s", text);
}
END_TEST

/* Where nothing is kept there are no tables to be full. */
START_TEST(nothing_is_kept)
{
	uint32_t root;

	ck_assert_uint_eq(create(), IOB_OK);
	root = reply.domain_created.handle_id;
	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(grant(root), IOB_OK);
}
END_TEST

Suite *test_keep_suite(void)
{
	Suite *s = suite_create("keep");
	TCase *tc = tcase_create("full");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, no_handle_more);
	tcase_add_test(tc, no_domain_more);
	tcase_add_test(tc, no_device_more);
	tcase_add_test(tc, no_session_more);
	tcase_add_test(tc, nothing_is_kept);
	suite_add_tcase(s, tc);
	return s;
}
