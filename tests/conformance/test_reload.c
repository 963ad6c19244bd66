/* SPDX-License-Identifier: MIT */
/* Another configuration while the broker runs: what it changes, and what it leaves alone. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

#define EVERYTHING                           \
	"[allow alice]\nuser = $alice\n"     \
	"device = *\naccess = mediated fd\n" \
	"domains = yes\nmax-bytes = 1G\n"
#define NAMED	"[allow alice]\nuser = $alice\n"
#define NOBODY	"[allow nobody]\nuser = 4242\n"
#define TROUBLE "[allow alice]\nuser = $alice\n\ndevice = *\nmax-byte = 1G\n"

/* A monitor that is killed every so often reads the files anew at its start, also bad ones. */
static void start(const char *name, const char *daemon, const char *rules)
{
	broker_start(&(struct broker_options){
		.name = name, .daemon = daemon, .rules = rules, .alone = broker_is_shaken() });
}

static void reload(const char *rules)
{
	ck_assert(broker_reloads(&(struct broker_options){ .rules = rules }));
}

static void reload_fails(const char *rules, const char *reason)
{
	ck_assert(!broker_reloads(&(struct broker_options){ .rules = rules }));
	ck_assert_msg(broker_log_has(reason), "the log has no \"%s\"", reason);
}

/* Any device that she may see. */
static void opens_one(void)
{
	device = device_opened(conn, EDU_1);
}

static void connects(void)
{
	conn = connected();
}

static void has_nothing(void)
{
	struct iob_device_rec *list;
	iob_domain *d;
	size_t count;

	ok(iob_device_list(conn, &list, &count));
	ck_assert_uint_eq(count, 0);
	refused(iob_domain_create(conn, 0, 0, &d, NULL), IOB_E_DENIED);
}

static void is_denied(void)
{
	iob_conn *c;

	refused(iob_connect(broker_socket(), &c), IOB_E_DENIED);
}

/* ---- more ---- */

static void gains(void)
{
	opens_one();
	own_domain();
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	edu_ready(device);
	dma_works();
}

/* On the connection that she has, and on new ones. */
START_TEST(who_gains_a_device_has_it_at_once)
{
	start("reload-gains", NULL, NAMED);
	as(ALICE, connects);
	as(ALICE, has_nothing);
	reload(EVERYTHING);
	as(ALICE, gains);
	user_exits(ALICE);
	as(ALICE, connects);
	user_exits(ALICE);
	baseline_check();
}
END_TEST

START_TEST(who_is_named_at_last_may_connect)
{
	start("reload-named", NULL, NOBODY);
	as(ALICE, is_denied);
	reload(NAMED);
	as(ALICE, connects);
}
END_TEST

/* ---- less ---- */

static void loses(void)
{
	struct iob_device_rec *list;
	iob_device *d;
	size_t count;

	edu_ready(device);
	dma_works(); /* what is open stays open */
	ok(iob_device_list(conn, &list, &count));
	ck_assert_uint_eq(count, 0);
	refused(iob_device_open(conn, backend_is_real() ? "0000:00:04.0" : "51b0:00:02.0", 0, &d,
				NULL),
		IOB_E_NO_DEVICE);
	has_nothing();
	ok(iob_device_unbind(device)); /* and can be bound again */
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	edu_ready(device);
	dma_works();
}

START_TEST(who_loses_a_right_keeps_what_is_open)
{
	start("reload-loses", NULL, EVERYTHING);
	as(ALICE, connects);
	as(ALICE, gains);
	reload(NAMED);
	as(ALICE, loses);
	reload(NOBODY); /* not even named */
	as(ALICE, loses);
	as(BOB, is_denied);
	user_exits(ALICE);
	as(ALICE, is_denied);
	if (users_differ())
		baseline_check();
}
END_TEST

static iob_domain *domains[4];

static void makes_two(void)
{
	connects();
	for (int i = 0; i < 2; i++)
		ok(iob_domain_create(conn, 16 * MIB, 64, &domains[i], NULL));
	memory = memory_registered(domains[0], 64 * PAGE, IOB_READ);
}

static void is_over_her_limits(void)
{
	struct iob_map_op op = map_anywhere(&memory, 0, 32 * PAGE, IOB_READ);
	struct iob_domain_info_rep info;
	iob_conn *c;

	ok(iob_map(domains[0], &op, NULL)); /* of the budget that was given */
	ok(iob_domain_info(domains[0], &info, NULL, 0));
	ck_assert_uint_eq(info.max_bytes, 16 * MIB);
	refused(iob_domain_create(conn, PAGE, 1, &domains[2], NULL), IOB_E_LIMIT);
	iob_domain_close(domains[1]);
	for (int i = 0; i < 2000; i++) { /* refunded a little later */
		if (iob_domain_create(conn, PAGE, 1, &domains[2], NULL) != IOB_E_LIMIT)
			break;
		usleep(10000);
	}
	refused(iob_domain_create(conn, PAGE, 1, &domains[2], NULL), IOB_E_QUOTA);
	refused(iob_connect(broker_socket(), &c), IOB_E_LIMIT);
}

START_TEST(lower_limits_break_nothing)
{
	start("reload-limits", NULL, EVERYTHING);
	as(ALICE, makes_two);
	reload("[allow alice]\nuser = $alice\ndomains = yes\nmax-bytes = 8M\nmax-domains = 2\n"
	       "max-sessions = 1\n");
	as(ALICE, is_over_her_limits);
	user_exits(ALICE);
	baseline_check();
}
END_TEST

/* ---- a bad file ---- */

START_TEST(bad_file_changes_nothing)
{
	start("reload-bad", NULL, EVERYTHING);
	as(ALICE, connects);
	reload_fails(TROUBLE, "conf:8: unknown key \"max-byte\"");
	ck_assert(broker_log_has("the old configuration stays in force"));
	as(ALICE, gains);
	reload_fails("[allow alice]\nuser = no-such-user-iob\n",
		     "unknown user \"no-such-user-iob\"");
	broker_drop_in("10-x.conf", "[allow alice]\nuser = 5\n");
	reload_fails(NAMED, "conf.d/10-x.conf:1: rule \"alice\" is also in ");
	user_exits(ALICE);
	as(ALICE, connects);
	as(ALICE, gains);
	user_exits(ALICE);
	broker_drop_in("10-x.conf", "");
	reload(NAMED);
	as(ALICE, connects);
	as(ALICE, has_nothing);
	user_exits(ALICE);
	baseline_check();
}
END_TEST

/* ---- the folder, names, and the daemon's own keys ---- */

START_TEST(folder_is_read_too)
{
	start("reload-folder", NULL, NAMED);
	as(ALICE, connects);
	as(ALICE, has_nothing);
	broker_drop_in("10-more.conf", "[allow more]\nuser = $alice\ndevice = *\n"
				       "access = fd mediated\ndomains = yes\nmax-bytes = 1G\n");
	reload(NAMED);
	ck_assert(broker_log_has("2 rules from 2 files"));
	as(ALICE, gains);
}
END_TEST

/* Names are looked up anew, in another process: root and its group are known everywhere. */
START_TEST(names_are_looked_up)
{
	start("reload-names", NULL, NAMED);
	reload("[allow names]\nuser = root $alice root\ngroup = root\ndevice = *\ndomains = yes\n"
	       "access = fd mediated\nmax-bytes = 1G\n");
	as(ALICE, connects);
	as(ALICE, gains);
}
END_TEST

static iob_conn *conns[3];

/* Those that looked whether the broker serves, or what there is, have to end first. */
static void is_let_in(int which)
{
	int code = IOB_E_LIMIT;

	for (int i = 0; i < 1000 && code == IOB_E_LIMIT; i++) {
		code = iob_connect(broker_socket(), &conns[which]);
		if (code == IOB_E_LIMIT)
			usleep(10000);
	}
	ok(code);
}

static void third_is_refused(void)
{
	is_let_in(0);
	is_let_in(1);
	refused(iob_connect(broker_socket(), &conns[2]), IOB_E_LIMIT);
}

static void third_is_let_in(void)
{
	ok(iob_connect(broker_socket(), &conns[2]));
}

START_TEST(keys_of_the_daemon)
{
	const struct broker_options other = { .daemon = "max-sessions = 3\nsim-devices = 3\n"
							"session-uid-base = 1000000\n",
					      .rules = NAMED };

	start("reload-daemon", "max-sessions = 2\n", NAMED);
	as(ALICE, third_is_refused);
	ck_assert(broker_reloads(&other));
	as(ALICE, third_is_let_in);
	ck_assert(broker_log_has("sim-devices has changed: that needs a restart"));
	ck_assert(broker_log_has("session-uid-base has changed: that needs a restart"));
	ck_assert(!broker_log_has("backend has changed"));
	ck_assert(!broker_log_has("socket has changed"));
	user_exits(ALICE);
	broker_sessions_wait(0);
	ck_assert(broker_reloads(
		&(struct broker_options){ .daemon = "max-sessions = 2\n", .rules = NAMED }));
	as(ALICE, third_is_refused);
	user_exits(ALICE);
	baseline_check();
}
END_TEST

/* systemctl reload returns when the new configuration is in force, or is not. */
START_TEST(service_manager_hears_of_it)
{
	broker_start(
		&(struct broker_options){ .name = "reload-heard", .rules = NAMED, .kept = true });
	ck_assert(!broker_log_has("keeper: reloaded"));
	reload(EVERYTHING);
	ck_assert(broker_log_gets("keeper: reloaded"));
	baseline_check();
}
END_TEST

START_TEST(service_manager_hears_of_a_failure)
{
	broker_start(
		&(struct broker_options){ .name = "reload-heard", .rules = NAMED, .kept = true });
	reload_fails(TROUBLE, "max-byte");
	ck_assert(broker_log_gets("keeper: reloaded"));
	baseline_check();
}
END_TEST

Suite *reload_suite(void)
{
	Suite *s = suite_create("reload");
	TCase *tc = case_private(s, "reload");

	tcase_add_test(tc, who_gains_a_device_has_it_at_once);
	tcase_add_test(tc, who_is_named_at_last_may_connect);
	tcase_add_test(tc, who_loses_a_right_keeps_what_is_open);
	tcase_add_test(tc, lower_limits_break_nothing);
	tcase_add_test(tc, bad_file_changes_nothing);
	tcase_add_test(tc, folder_is_read_too);
	tcase_add_test(tc, names_are_looked_up);
	tcase_add_test(tc, keys_of_the_daemon);
	if (broker_is_shaken())
		return s;
	tcase_add_test(tc, service_manager_hears_of_it);
	tcase_add_test(tc, service_manager_hears_of_a_failure);
	return s;
}
