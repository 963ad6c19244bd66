/* SPDX-License-Identifier: MIT */
/* Clients that want too much, or never take what they asked for. Others are served meanwhile. */
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/hostile/suites.h"

#define MORE_KB 4096 /* that a process of the broker may have grown by */

enum { SENT, RECEIVED };

/* ---- asks, and does not read ---- */

static void send_until_full(int fd, uint16_t op, const void *body, size_t bytes)
{
	unsigned misses = 0;

	/* the broker reads on a little while its own replies find room */
	while (misses < 20) {
		if (raw_request(fd, op, body, bytes, NULL, 0)) {
			board[SENT]++;
			misses = 0;
		} else {
			usleep(5000);
			misses++;
		}
		ck_assert_uint_lt(board[SENT], 1000000);
	}
}

static void read_all(int fd)
{
	while (board[RECEIVED] < board[SENT]) {
		raw_code(fd);
		board[RECEIVED]++;
	}
}

static void never_reads_connection(void)
{
	send_until_full(raw_handles.conn, IOB_OP_STATUS, NULL, 0);
}

static void reads_connection(void)
{
	read_all(raw_handles.conn);
	raw_ok(raw_ask(raw_handles.conn, IOB_OP_STATUS, NULL, 0));
}

/* 1024 mappings, so that every answer has 32 kB. */
static void fill_domain(void)
{
	static struct {
		struct iob_batch_req req;
		struct iob_map_op ops[IOB_MAX_BATCH];
	} m = { .req = { IOB_MAX_BATCH, sizeof(m.ops[0]) } };

	for (uint32_t i = 0; i < IOB_MAX_BATCH; i++)
		m.ops[i] = (struct iob_map_op){ .memory = 1,
						.flags = IOB_READ | IOB_FIXED,
						.length = PAGE,
						.iova = RAW_IOVA + (i + 1) * PAGE };
	raw_ok(raw_ask(raw_handles.domain, IOB_OP_MAP, &m, sizeof(m)));
}

static const struct iob_map_list_req list_all = { .max = IOB_MAX_LIST };

static void never_reads_domain(void)
{
	fill_domain();
	send_until_full(raw_handles.domain, IOB_OP_MAP_LIST, &list_all, sizeof(list_all));
}

static void reads_domain(void)
{
	read_all(raw_handles.domain);
	raw_ok(raw_ask(raw_handles.domain, IOB_OP_UNMAP_ALL, NULL, 0));
}

static void bob_is_served(void)
{
	struct iob_status_rep s;
	iob_conn *c = connected();
	iob_domain *d = domain_made(c);

	ok(iob_status(c, &s));
	iob_domain_close(d);
	iob_conn_close(c);
}

/* With what it keeps for her, and what it answers: both have an end. */
static void does_not_read(step_fn *never_reads, step_fn *reads)
{
	pid_t session;
	long session_kb, monitor_kb;

	as(ALICE, raw_open_all);
	broker_sessions_wait(1);
	session = broker_session_new();
	session_kb = process_kb(session, "VmRSS:");
	monitor_kb = process_kb(broker_monitor(), "VmRSS:");
	as(ALICE, never_reads);
	ck_assert_uint_gt(board[SENT], 1);
	as(BOB, bob_is_served);
	ck_assert_int_le(process_kb(session, "VmRSS:"), session_kb + MORE_KB);
	ck_assert_int_le(process_kb(broker_monitor(), "VmRSS:"), monitor_kb + MORE_KB);
	as(ALICE, reads);
	ck_assert_uint_eq(board[RECEIVED], board[SENT]);
}

START_TEST(connection_that_is_not_read)
{
	does_not_read(never_reads_connection, reads_connection);
}
END_TEST

START_TEST(domain_that_is_not_read)
{
	does_not_read(never_reads_domain, reads_domain);
}
END_TEST

START_TEST(killed_with_answers_unread)
{
	as(ALICE, raw_open_all);
	as(ALICE, never_reads_domain);
	user_is_killed(ALICE);
	as(BOB, bob_is_served);
}
END_TEST

/* ---- very many of everything ---- */

static void handles(void)
{
	const struct iob_grant_req req = { .rights = IOB_RIGHT_ALL, .window_last = UINT64_MAX };
	int fds[400];
	uint32_t code = IOB_OK, n = 0;

	raw_open_all();
	while (n < COUNT(fds)) {
		code = raw_ask(raw_handles.domain, IOB_OP_GRANT, &req, sizeof(req));
		if (code != IOB_OK)
			break;
		fds[n++] = raw.fd;
	}
	ck_assert_uint_eq(code, IOB_E_LIMIT);
	ck_assert(strstr(raw.text, "handles") != NULL);
	ck_assert_uint_ge(n, 250);
	for (uint32_t i = 0; i < n; i++) {
		if (i % 50 == 0)
			raw_ok(raw_ask(fds[i], IOB_OP_MAP_LIST, &list_all, sizeof(list_all)));
		close(fds[i]);
	}
	for (int i = 0; i < 1000 && code == IOB_E_LIMIT; i++) { /* closing takes effect soon */
		code = raw_ask(raw_handles.domain, IOB_OP_GRANT, &req, sizeof(req));
		usleep(1000);
	}
	raw_ok(code);
}

START_TEST(as_many_handles_as_there_are)
{
	attack(handles);
}
END_TEST

static void everything(void)
{
	const struct iob_memory_add_req add = { .access = IOB_READ };
	struct memory m = memory_make(PAGE, SEALED);
	int many[253];
	uint32_t n = 0;

	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = STDIN_FILENO;
	handles();
	while (raw_ask_fds(raw_handles.domain, IOB_OP_MEMORY_ADD, &add, sizeof(add), &m.fd, 1) ==
	       IOB_OK)
		ck_assert_uint_lt(n++, 100000);
	ck_assert_uint_eq(raw.hdr.code, IOB_E_LIMIT);
	ck_assert_uint_ge(n, 1000);
	/* and there is still room for what comes along with the largest message */
	raw_refused(raw_ask_fds(raw_handles.conn, IOB_OP_STATUS, NULL, 0, many, COUNT(many)),
		    IOB_E_PROTOCOL);
}

START_TEST(all_descriptors_a_session_can_be_made_to_hold)
{
	attack(everything);
}
END_TEST

/* ---- floods of connections ---- */

#define MAX_SESSIONS 32 /* of a user, see harness/config.c */

static int flood_fds[100];

static void flood(void)
{
	int *fds = flood_fds;
	uint32_t accepted = 0, refusals = 0;

	for (size_t i = 0; i < COUNT(flood_fds); i++) {
		fds[i] = raw_connect();
		raw_request(fds[i], IOB_OP_HELLO, &raw_hello, sizeof(raw_hello), NULL, 0);
	}
	for (size_t i = 0; i < COUNT(flood_fds); i++) {
		if (raw_code(fds[i]) == IOB_OK) {
			accepted++;
			continue;
		}
		ck_assert_uint_eq(raw.hdr.op, IOB_OP_HELLO);
		raw_refused(raw.hdr.code, IOB_E_LIMIT);
		ck_assert_msg(strstr(raw.text, "max-sessions") != NULL, "%s", raw.text);
		ck_assert(raw_is_closed(fds[i]));
		refusals++;
	}
	ck_assert_uint_eq(accepted, MAX_SESSIONS);
	ck_assert_uint_eq(refusals, COUNT(flood_fds) - accepted);
}

static void close_flood(void)
{
	for (size_t i = 0; i < COUNT(flood_fds); i++)
		close(flood_fds[i]);
}

/* She has all she may have. Others are served, when their uid is another one. */
START_TEST(flood_of_connections)
{
	as(ALICE, flood);
	if (users_differ())
		as(BOB, bob_is_served);
	as(ALICE, close_flood);
	broker_sessions_wait(0);
	as(ALICE, bob_is_served);
}
END_TEST

static void comes_and_goes(void)
{
	for (int i = 0; i < (backend_is_real() ? 60 : 300); i++) {
		int fd = raw_connect();

		if (i % 3 == 1)
			raw_request(fd, IOB_OP_HELLO, &raw_hello, sizeof(raw_hello), NULL, 0);
		if (i % 3 == 2)
			raw_send(fd, "x", 1, (int[]){ fd, STDIN_FILENO }, 2);
		close(fd);
	}
	for (uint32_t code = IOB_E_LIMIT; code == IOB_E_LIMIT;) { /* the others have to end first */
		int fd = raw_connect();

		raw_request(fd, IOB_OP_HELLO, &raw_hello, sizeof(raw_hello), NULL, 0);
		code = raw_code(fd);
		usleep(1000);
	}
	raw_ok(raw.hdr.code);
}

START_TEST(connections_closed_at_once)
{
	attack(comes_and_goes);
}
END_TEST

/* ---- connections faster than sessions can be started ---- */

#define STORM 200

enum { BEGAN_MS, LET_IN };

/* One a second, four of them at once: most are refused, and a session is not even started. */
static void storm(void)
{
	uint32_t refusals = 0;

	if (board[BEGAN_MS] == 0)
		board[BEGAN_MS] = now_ms();

	for (int i = 0; i < STORM; i++) {
		int fd = raw_connect();

		raw_request(fd, IOB_OP_HELLO, &raw_hello, sizeof(raw_hello), NULL, 0);
		if (raw_code(fd) == IOB_OK) {
			board[LET_IN]++;
		} else {
			raw_refused(raw.hdr.code, IOB_E_LIMIT);
			ck_assert_msg(strstr(raw.text, "max-connects") != NULL, "%s", raw.text);
			ck_assert(raw_is_closed(fd));
			refusals++;
		}
		close(fd);
	}
	ck_assert_uint_ge(board[LET_IN], users_differ() ? 4 : 3); /* the start took one */
	ck_assert_uint_ge(refusals, STORM / 2);
}

static void gets_in_again(void)
{
	uint32_t code = IOB_E_LIMIT;

	while (code == IOB_E_LIMIT) {
		int fd = raw_connect();

		raw_request(fd, IOB_OP_HELLO, &raw_hello, sizeof(raw_hello), NULL, 0);
		code = raw_code(fd);
		close(fd);
		usleep(10000);
	}
	raw_ok(code);
}

#define TOLD 5 /* refusals a second, of which each has a line in the log */

/* What anybody can cause does not fill the log: there is a count of the rest. */
static void storm_is_told(void)
{
	uint64_t seconds = (now_ms() - board[BEGAN_MS]) / 1000 + 1;

	ck_assert(broker_log_gets("further connections refused"));
	ck_assert_uint_ge(broker_log_count("refused: max-connects"), TOLD);
	ck_assert_uint_le(broker_log_count("refused: max-connects"), TOLD + TOLD * seconds);
	ck_assert_uint_le(broker_log_count("further connections refused"), seconds + 1);
}

/* Also when she has nothing open in between: who comes again is no new guest. */
START_TEST(storm_of_connections)
{
	broker_start(&(struct broker_options){
		.rules = "[allow alice]\nuser = $alice\nmax-connects = 1\nmax-sessions = 300\n"
			 "[allow bob]\nuser = $bob\ndomains = yes\nmax-connects = 1\n",
		.name = "storm" });
	for (unsigned i = 0; i < 4; i++) {
		as(ALICE, storm);
		broker_sessions_wait(0);
	}
	ck_assert_uint_le(board[LET_IN], 4 + (now_ms() - board[BEGAN_MS]) / 1000 + 1);
	storm_is_told();
	if (users_differ())
		as(BOB, bob_is_served);
	as(ALICE, gets_in_again);
	user_exits(ALICE);
	user_exits(BOB);
	if (users_differ())
		baseline_check();
}
END_TEST

/* ---- the broker is out of descriptors ---- */

static int held[64];

static void takes_what_there_is(void)
{
	for (size_t i = 0; i < COUNT(held); i++)
		held[i] = raw_connect();
	usleep(300000);
}

static void old_connection_is_served(void)
{
	struct iob_device_rec *list;
	size_t count;
	static iob_conn *conn;

	if (!conn)
		conn = connected();
	ok(iob_device_list(conn, &list, &count));
}

/* The limit is lowered until nothing more can be accepted. What there is works on, the processor
 * is not kept busy, and with room again those who waited are served. */
static double cpu_seconds(pid_t pid)
{
	char path[64], line[512];
	unsigned long user = 0, system = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	fclose(f);
	sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
	       &system);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void reads_all_answers(void)
{
	unsigned answers = 0;

	for (size_t i = 0; i < COUNT(held); i++) {
		struct pollfd p = { .fd = held[i], .events = POLLIN };

		raw_request(held[i], IOB_OP_HELLO, &raw_hello, sizeof(raw_hello), NULL, 0);
		if (poll(&p, 1, 20000) == 1)
			answers++;
	}
	ck_assert_uint_eq(answers, COUNT(held));
}

START_TEST(broker_out_of_descriptors)
{
	struct rlimit before, tight;
	double cpu = 1;

	as(BOB, old_connection_is_served);
	ck_assert_int_eq(prlimit(broker_monitor(), RLIMIT_NOFILE, NULL, &before), 0);
	tight = before;
	tight.rlim_cur = 40;
	ck_assert_int_eq(prlimit(broker_monitor(), RLIMIT_NOFILE, &tight, NULL), 0);
	as(ALICE, takes_what_there_is);
	as(BOB, old_connection_is_served);
	for (int i = 0; i < 5 && cpu > 0.5; i++) { /* who spins does so all the time */
		double begin = cpu_seconds(broker_monitor());

		usleep(1000000);
		cpu = cpu_seconds(broker_monitor()) - begin;
	}
	ck_assert_msg(cpu <= 0.5, "the monitor spins");
	as(BOB, old_connection_is_served);
	ck_assert_int_eq(prlimit(broker_monitor(), RLIMIT_NOFILE, &before, NULL), 0);
	as(ALICE, reads_all_answers);
	user_exits(ALICE);
	broker_sessions_wait(1);
}
END_TEST

/* ---- connections that are hard to close ---- */

#define LINGERING 100 /* more than the monitor has threads, less than wait to be accepted */

static iob_conn *settled;

static void bob_has_a_connection(void)
{
	settled = connected();
}

static void takes_all_sessions(void)
{
	uint32_t code = IOB_OK;

	while (code == IOB_OK) {
		int fd = raw_connect();

		raw_request(fd, IOB_OP_HELLO, &raw_hello, sizeof(raw_hello), NULL, 0);
		code = raw_code(fd);
	}
	ck_assert_uint_eq(code, IOB_E_LIMIT);
}

/* A TCP socket whose last close() takes an hour: its peer does not read. */
static int lingering(void)
{
	static const char data[65536];
	const struct linger hour = { .l_onoff = 1, .l_linger = 3600 };
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(here);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&here, sizeof(here)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&here, &bytes), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	ck_assert_int_ge(accept(listener, NULL, NULL), 0);
	while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hour, sizeof(hour)), 0);
	close(listener);
	return fd;
}

/* While the monitor does not look. Then the last copies are in queues that only it will close. */
static void leaves_what_lingers(void)
{
	for (int i = 0; i < LINGERING; i++) {
		int fd = lingering(), s = raw_connect();

		ck_assert_int_eq(raw_send(s, "x", 1, &fd, 1), 0);
		close(fd);
		close(s);
	}
}

/* Who comes later is refused later. */
static void all_are_refused(void)
{
	int fd = raw_connect();

	raw_request(fd, IOB_OP_HELLO, &raw_hello, sizeof(raw_hello), NULL, 0);
	raw_refused(raw_code(fd), IOB_E_LIMIT);
}

static size_t domains_there_are(void)
{
	struct iob_domain_rec *list;
	size_t count;

	ok(iob_domain_list(settled, &list, &count));
	free(list);
	return count;
}

static void last_close_is_noticed(void)
{
	uint64_t end = now_ms() + 10000 * patience();

	for (int i = 0; i < 3; i++)
		iob_domain_close(domain_made(settled));
	while (domains_there_are() > 0) {
		ck_assert_msg(now_ms() < end, "the monitor has not closed its copies");
		usleep(10000);
	}
	iob_conn_close(settled);
}

START_TEST(refused_with_something_that_lingers)
{
	const char *rules = "[allow alice]\nuser = $alice\nmax-sessions = 2\n"
			    "[allow bob]\nuser = $bob\ndomains = yes\nmax-sessions = 2\n";

	broker_start(&(struct broker_options){ .rules = rules, .name = "linger", .alone = true });
	as(BOB, bob_has_a_connection);
	as(ALICE, takes_all_sessions);
	ck_assert_int_eq(kill(broker_monitor(), SIGSTOP), 0);
	as(ALICE, leaves_what_lingers);
	ck_assert_int_eq(kill(broker_monitor(), SIGCONT), 0);
	as(ALICE, all_are_refused);
	as(BOB, last_close_is_noticed);
	user_exits(ALICE);
	broker_ends();
}
END_TEST

Suite *pressure_suite(void)
{
	Suite *s = suite_create("pressure");
	TCase *tc = case_shared(s, "pressure");

	tcase_add_test(tc, connection_that_is_not_read);
	tcase_add_test(tc, domain_that_is_not_read);
	tcase_add_test(tc, killed_with_answers_unread);
	tcase_add_test(tc, as_many_handles_as_there_are);
	tcase_add_test(tc, all_descriptors_a_session_can_be_made_to_hold);
	tcase_add_test(tc, flood_of_connections);
	tcase_add_test(tc, connections_closed_at_once);
	tcase_add_test(tc, broker_out_of_descriptors);
	case_shared_end(tc);
	tc = case_private(s, "storm");
	tcase_add_test(tc, storm_of_connections);
	tcase_add_test(tc, refused_with_something_that_lingers);
	return s;
}
