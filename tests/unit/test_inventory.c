/* SPDX-License-Identifier: MIT */
/* What the monitor knows of devices that come, go, and change their drivers while it runs. */
#include "daemon/monitor-config-rules.h"
#include "daemon/monitor.h"

#include <event2/event.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Suite *test_inventory_suite(void);

#define A "0000:00:03.0"
#define B "0000:00:04.0"
#define C "0000:00:05.0"

/* ---- the machine ---- */

static struct glue_device there[8];
static size_t there_count;
static uint64_t events;
static int events_error, reading_error;
static unsigned readings;

static int machine_inventory(struct glue_device **list, size_t *count, struct fault *why)
{
	readings++;
	if (reading_error)
		return fault_set(why, IOB_E_KERNEL, IOB_STEP_NONE, reading_error, "no");
	*list = calloc(8, sizeof(**list));
	memcpy(*list, there, there_count * sizeof(**list));
	*count = there_count;
	return 0;
}

static int machine_group(const char *name, struct glue_device **list, size_t *count,
			 struct fault *why)
{
	(void)why;
	*list = calloc(1, sizeof(**list));
	*count = 0;
	for (size_t i = 0; i < there_count; i++)
		if (strcmp(there[i].name, name) == 0)
			(*list)[(*count)++] = there[i];
	return 0;
}

static int machine_changes(uint64_t *number)
{
	*number = events;
	return events_error;
}

static const struct glue_opener machine = {
	.name = "machine",
	.inventory = machine_inventory,
	.group = machine_group,
	.changes = machine_changes,
};

static void comes(const char *name, const char *driver)
{
	struct glue_device *d = &there[there_count++];

	*d = (struct glue_device){ .group = (uint32_t)there_count };
	strcpy(d->name, name);
	strcpy(d->driver, driver);
	d->usable = d->on_vfio = strcmp(driver, "vfio-pci") == 0;
	events++;
}

static struct glue_device *one(const char *name)
{
	for (size_t i = 0; i < there_count; i++)
		if (strcmp(there[i].name, name) == 0)
			return &there[i];
	ck_abort_msg("%s", name);
}

static void goes(const char *name)
{
	*one(name) = there[--there_count];
	events++;
}

static void moves(const char *name, const char *driver)
{
	struct glue_device *d = one(name);

	strcpy(d->driver, driver);
	d->usable = d->on_vfio = strcmp(driver, "vfio-pci") == 0;
	events++;
}

/* ---- a monitor ---- */

static struct monitor m;
static struct session session;
static struct account account;
static int client;
static struct priv_message reply;

static const uid_t alice[] = { 1000 };
static const struct device_pattern on_vfio = { .kind = PATTERN_DRIVER, .text = "vfio-pci" };
static const struct device_pattern everything = { .kind = PATTERN_ALL };
static struct config_rule rules[] = {
	{ .name = (char *)"alice",
	  .users = (uid_t *)alice,
	  .user_count = 1,
	  .patterns = (struct device_pattern *)&on_vfio,
	  .pattern_count = 1,
	  .access = IOB_ACCESS_MEDIATED },
};

static void set_up(void)
{
	struct fault why;
	int pair[2];

	there_count = readings = 0;
	events_error = reading_error = 0;
	comes(A, "vfio-pci");
	comes(B, "e1000e");
	memset(&m, 0, sizeof(m));
	m.base = event_base_new();
	m.glue = &machine;
	m.config = (struct config){ .rules = rules, .rule_count = 1 };
	RB_INIT(&m.handles);
	RB_INIT(&m.handle_ids);
	close_init(m.base);
	ck_assert_int_eq(message_socketpair(pair), 0);
	client = pair[1];
	account = (struct account){ .uid = 1000, .references = 1 };
	session = (struct session){ .monitor = &m,
				    .id = 1,
				    .channel = pair[0],
				    .state = PRIV_STATE_READY,
				    .account = &account,
				    .peer = { .uid = 1000, .pidfd = -1 } };
	session.quota.max_devices = 16;
	session.quota.max_setups = 1000000;
	LIST_INSERT_HEAD(&m.sessions, &session, link);
	ck_assert_int_eq(inventory_load(&m, &why), 0);
	readings = 0;
}

static void tear_down(void)
{
	struct handle *h;

	while ((h = RB_MIN(handle_tree, &m.handles)) != NULL)
		handle_free(&m, h);
	inventory_free(&m);
	event_base_free(m.base);
	close(session.channel);
	close(client);
}

static uint32_t ask(uint32_t op, struct priv_message *msg)
{
	struct fd_list fds = { .count = 0 };

	msg->hdr = (struct priv_hdr){ .op = op, .serial = 7 };
	monitor_request(&session, msg, &fds);
	ck_assert_int_gt(message_receive(client, &reply, sizeof(reply), &fds, 4), 0);
	fd_list_close(&fds);
	return reply.status.code;
}

static uint32_t opens(const char *name)
{
	struct priv_message msg = { 0 };

	strcpy(msg.device_open.name, name);
	return ask(PRIV_DEVICE_OPEN, &msg);
}

/* DEVICE_LIST, as "NAME NAME" */
static const char *listed(void)
{
	static char names[256];
	struct priv_message msg = { 0 };

	ask(PRIV_DEVICE_LIST, &msg);
	names[0] = '\0';
	for (uint32_t i = 0; i < reply.device_list.count; i++) {
		strcat(names, i ? " " : "");
		strcat(names, reply.device_list.records[i].name);
	}
	return names;
}

/* ---- tests ---- */

START_TEST(nothing_is_read_twice)
{
	ck_assert_str_eq(listed(), A);
	ck_assert_str_eq(listed(), A);
	ck_assert_uint_eq(readings, 0);
	ck_assert_uint_eq(account.setups.spent_until_ns, 0);
	ck_assert_uint_eq(opens(C), IOB_E_NO_DEVICE);
	ck_assert_uint_eq(readings, 0);
}
END_TEST

START_TEST(a_driver_changes)
{
	moves(B, "vfio-pci");
	ck_assert_str_eq(listed(), A " " B);
	moves(A, "e1000e");
	ck_assert_str_eq(listed(), B);
	ck_assert_str_eq(listed(), B);
	ck_assert_uint_eq(readings, 2);
}
END_TEST

START_TEST(who_makes_it_read_pays)
{
	moves(B, "vfio-pci");
	listed();
	uint64_t spent = account.setups.spent_until_ns;

	ck_assert_uint_gt(spent, 0);
	listed();
	ck_assert_uint_eq(account.setups.spent_until_ns, spent);
}
END_TEST

START_TEST(what_policy_goes_by_is_looked_at_again)
{
	moves(B, "vfio-pci");
	ck_assert_uint_eq(opens(B), IOB_OK);
}
END_TEST

START_TEST(a_device_comes)
{
	comes(C, "vfio-pci");
	ck_assert_uint_eq(opens(C), IOB_OK);
	ck_assert_str_eq(listed(), A " " C);
	ck_assert_uint_eq(inventory_count(&m), 3);
}
END_TEST

START_TEST(a_device_goes)
{
	struct priv_message msg = { 0 };

	strcpy(device_by_name(&m, A)->former, "e1000e");
	goes(A);
	ck_assert_str_eq(listed(), "");
	ask(PRIV_STATUS, &msg);
	ck_assert_uint_eq(reply.status_rep.data.devices, 1);
	ck_assert_uint_eq(opens(A), IOB_E_NO_DEVICE);
	comes(A, "vfio-pci");
	ck_assert_str_eq(listed(), A);
	ck_assert_str_eq(device_by_name(&m, A)->former, "");
}
END_TEST

START_TEST(only_a_place_of_one_that_is_gone_is_used_again)
{
	struct device *a = device_by_name(&m, A), *b = device_by_name(&m, B);

	goes(A);
	listed();
	comes(C, "vfio-pci");
	listed();
	ck_assert_ptr_eq(device_by_name(&m, C), a);
	ck_assert_ptr_eq(device_by_name(&m, B), b);
	comes(A, "vfio-pci");
	listed();
	ck_assert_uint_eq(m.device_count, 3);
	ck_assert_ptr_eq(m.devices[2], device_by_name(&m, A));
	ck_assert_ptr_eq(m.devices[2]->monitor, &m);
	ck_assert_int_eq(m.devices[2]->bound.device_fd, -1);
}
END_TEST

/* What the broker moved there is no more: the new one never had that driver. */
START_TEST(another_one_at_the_same_address)
{
	struct device *a = device_by_name(&m, A);

	strcpy(a->former, "e1000e");
	moves(B, "vfio-pci");
	listed();
	ck_assert_str_eq(a->former, "e1000e");
	one(A)->vendor = 0x144d;
	events++;
	listed();
	ck_assert_str_eq(a->former, "");
	strcpy(a->former, "e1000e");
	moves(A, "nvme");
	listed();
	ck_assert_str_eq(a->former, "");
}
END_TEST

/* Opened by its name before anybody has looked again. */
START_TEST(back_again_and_opened)
{
	struct device *a = device_by_name(&m, A);

	goes(A);
	listed();
	ck_assert(a->gone);
	comes(A, "vfio-pci");
	m.config.rules[0].patterns = (struct device_pattern *)&everything;
	ck_assert_uint_eq(opens(A), IOB_OK);
	ck_assert(!a->gone);
	ck_assert_str_eq(listed(), A " " B);
	device_release(&m, a);
	ck_assert_str_eq(listed(), A " " B);
	m.config.rules[0].patterns = (struct device_pattern *)&on_vfio;
}
END_TEST

/* Whoever has the kernel announce one thing after the other, and asks each time. */
START_TEST(who_is_in_debt_hears_what_was_so)
{
	session.quota.max_setups = 1;
	session.on_channel = event_new(m.base, session.channel, EV_READ, NULL, NULL);
	for (int i = 0; i < 50; i++) {
		events++;
		listed();
	}
	ck_assert_uint_ge(readings, 4);
	ck_assert_uint_le(readings, 6);
	event_free(session.on_channel);
	if (session.on_pause_over)
		event_free(session.on_pause_over);
}
END_TEST

/* Its user goes on with what he knows, and so does a check of who has what. */
START_TEST(what_is_in_use_stays)
{
	struct device *a = device_by_name(&m, A);

	ck_assert_uint_eq(opens(A), IOB_OK);
	moves(A, "e1000e");
	ck_assert_str_eq(listed(), A);
	ck_assert_str_eq(a->info.driver, "vfio-pci");
	device_release(&m, a);
	ck_assert_str_eq(listed(), "");
	ck_assert_str_eq(a->info.driver, "e1000e");
	readings = 0;
	listed();
	ck_assert_uint_eq(readings, 0);
}
END_TEST

START_TEST(what_is_pulled_out_of_a_hand_goes_afterwards)
{
	struct device *a = device_by_name(&m, A);

	ck_assert_uint_eq(opens(A), IOB_OK);
	goes(A);
	ck_assert_str_eq(listed(), A);
	comes(C, "vfio-pci");
	ck_assert_str_eq(listed(), A " " C);
	device_release(&m, a);
	ck_assert_str_eq(listed(), C);
	ck_assert(a->gone);
}
END_TEST

START_TEST(what_is_moved_is_not_given_away)
{
	struct device *a = device_by_name(&m, A);

	a->move = (struct move *)&session; /* some */
	goes(A);
	comes(C, "vfio-pci");
	listed();
	ck_assert(!a->gone);
	ck_assert_ptr_ne(device_by_name(&m, C), a);
	a->move = NULL;
	listed();
	ck_assert(a->gone);
}
END_TEST

START_TEST(who_cannot_know_looks)
{
	events_error = -ENOENT;
	listed();
	listed();
	ck_assert_uint_eq(readings, 2);
	events_error = 0;
	listed();
	listed();
	ck_assert_uint_eq(readings, 3);
}
END_TEST

START_TEST(what_cannot_be_read_stays)
{
	moves(B, "vfio-pci");
	reading_error = EIO;
	ck_assert_str_eq(listed(), A);
	reading_error = 0;
	ck_assert_str_eq(listed(), A " " B);
}
END_TEST

Suite *test_inventory_suite(void)
{
	Suite *suite = suite_create("inventory");
	TCase *tc = tcase_create("inventory");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, nothing_is_read_twice);
	tcase_add_test(tc, a_driver_changes);
	tcase_add_test(tc, who_makes_it_read_pays);
	tcase_add_test(tc, what_policy_goes_by_is_looked_at_again);
	tcase_add_test(tc, a_device_comes);
	tcase_add_test(tc, a_device_goes);
	tcase_add_test(tc, only_a_place_of_one_that_is_gone_is_used_again);
	tcase_add_test(tc, another_one_at_the_same_address);
	tcase_add_test(tc, back_again_and_opened);
	tcase_add_test(tc, who_is_in_debt_hears_what_was_so);
	tcase_add_test(tc, what_is_in_use_stays);
	tcase_add_test(tc, what_is_pulled_out_of_a_hand_goes_afterwards);
	tcase_add_test(tc, what_is_moved_is_not_given_away);
	tcase_add_test(tc, who_cannot_know_looks);
	tcase_add_test(tc, what_cannot_be_read_stays);
	suite_add_tcase(suite, tc);
	return suite;
}
