/* SPDX-License-Identifier: MIT */
/*
 * harness.h - what the conformance and the hostile suite share: a broker of their own, clients that
 * are processes of different users, an edu device to drive, and the state that every test has to
 * leave behind as it found it.
 *
 * Processes. Check runs every test in a process of its own (CK_FORK is forced). A test is the
 * stage manager: it parses nothing and opens no handle. as(ALICE, step) has a step executed by
 * alice's process, which is started at her first step and lives until user_exits(), user_is_killed()
 * or the end of the test; so static variables are each user's own. An assertion that fails in a
 * step fails the test.
 *
 * Users. Run as root, alice, bob, carol and the stranger have different uids. Run as anybody else
 * they have the runner's, and are different processes only; users_differ() tells.
 */
#ifndef TESTS_HARNESS_HARNESS_H
#define TESTS_HARNESS_HARNESS_H

#include <check.h>
#include <iommubroker.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define PAGE	     UINT64_C(4096)
#define MIB	     (UINT64_C(1) << 20)

/* ---- results ---- */

/* The call must succeed, or must be refused with this code, with a step and a text. */
#define ok(call)                                                                  \
	do {                                                                      \
		int ok_code = (call);                                             \
		if (ok_code != IOB_OK)                                            \
			ck_abort_msg("%s: %s", #call, describe_failure(ok_code)); \
	} while (0)
#define refused(call, wanted)                                                 \
	do {                                                                  \
		const char *refused_why = describe_refusal((call), (wanted)); \
		if (refused_why)                                              \
			ck_abort_msg("%s: %s", #call, refused_why);           \
	} while (0)

const char *describe_failure(int code);
/* NULL when it is as it should be. */
const char *describe_refusal(int code, int wanted);

/* ---- users ---- */
enum user { ALICE, BOB, CAROL, STRANGER, USERS };

typedef void step_fn(void);

uid_t user_uid(enum user who);
bool users_differ(void);

void as(enum user who, step_fn *step);
/* The same without waiting for its end; user_done() waits. */
void as_begin(enum user who, step_fn *step);
void user_done(enum user who);
pid_t user_pid(enum user who);
/* End of the process: orderly but without closing anything, by SIGKILL, or stopped for a while. */
void user_exits(enum user who);
void user_is_killed(enum user who);
void user_is_stopped(enum user who);
void user_goes_on(enum user who);
/* In the child: become this user for good. */
void user_become(enum user who);

/* In steps: send a descriptor to another user; receive one sent to oneself. */
void give(enum user to, int fd);
int take(enum user self);

/* Seen by the test and all its users: for addresses, ids and the like. Zero at the start. */
extern volatile uint64_t *board;
#define BOARD_WORDS 512

/* ---- broker ---- */

enum backend { SIM, TYPE1, IOMMUFD };

/* From IOB_TEST_BACKEND. */
enum backend backend(void);
bool backend_is_real(void);
/* Factor for waiting: instrumented builds and emulated machines are slower. */
unsigned patience(void);

struct broker_options {
	const char *daemon; /* further lines of [daemon], or NULL */
	/* the [allow] sections, or NULL for the usual ones; $alice, $bob, $carol are replaced */
	const char *rules;
	const char *name; /* of the log */
	/* A stand-in for the service manager keeps its descriptors and starts it again whenever it
	 * ends. Environment: IOB_TEST_KEPT=1 has it so for all, IOB_TEST_KILL=ms in addition has the
	 * monitor killed every so often. */
	bool kept;
	bool alone; /* not kept, whatever the environment says */
};

/* Starts and waits until it serves. One at a time in a process, or in its parent. */
void broker_start(const struct broker_options *o);
/* Ends monitor and whatever else is left, forcefully if it has to be; removes its files. */
void broker_stop(void);
const char *broker_socket(void);
pid_t broker_monitor(void);
/* A line of the broker's log contains this text? */
bool broker_log_has(const char *text);
size_t broker_log_count(const char *text);
/* Wait for such a line. */
bool broker_log_gets(const char *text);
/* SIGTERM; everything must be gone afterwards, and nobody may have broken a rule meanwhile. */
void broker_ends(void);
/* SIGKILL to the monitor. */
void broker_monitor_dies(void);
/* The same, and wait until the next one serves. Only of a broker that is kept. */
void broker_restarts(void);
/* End the monitor by a signal, and have no other one for a while; then wait until the next one serves.
 * Only of a broker that is kept. */
void broker_monitor_away(int sig);
void broker_monitor_back(void);
/* The service is stopped: what was kept is closed, and no monitor started again. */
void broker_is_stopped(void);
/* Is the monitor killed every so often? */
bool broker_is_shaken(void);
/* How many descriptors are kept, those of the monitor itself included. */
size_t broker_kept_fds(void);
/* New configuration, SIGHUP. Waits for the end of it; was it taken? */
bool broker_reloads(const struct broker_options *o);
/* A file in the folder beside the configuration, for the next reload. */
void broker_drop_in(const char *name, const char *text);

/* ---- time ---- */

/* For saying that something cannot have been faster; never that it was fast enough. */
uint64_t now_ms(void);

/* ---- processes ---- */

/* All of the broker's that live: monitor, sessions, simulator. */
size_t broker_processes(pid_t *pids, size_t room);
/* Sessions: children of the monitor while it lives. */
size_t broker_sessions(pid_t *pids, size_t room);
/* Wait until there are this many. */
void broker_sessions_wait(size_t count);
/* The session that has come since the last call with the same list. */
pid_t broker_session_new(void);
/* Does it wait for something? */
bool process_sleeps(pid_t pid);
/* Descriptors of a process, or -1 when that cannot be told (only root may look). */
int process_fds(pid_t pid);
/* The same of a session that has nothing to do, nor its companion anything to close: waits for that. */
int session_fds(pid_t session);
/* A number of kB from /proc/PID/status, as "VmPin:"; 0 when there is none. */
long process_kb(pid_t pid, const char *field);
bool process_lives(pid_t pid);

/* ---- baseline ---- */

/* See that things are again as they were when the broker had started, waiting a little. */
void baseline_check(void);
/* Pages that the kernel has pinned for DMA, or that the simulator has mapped. -1: unknown. */
long pinned_pages(void);

/* ---- cases ---- */

/*
 * A case with a broker that its tests share, checked against the baseline after each of them, and
 * with a last test that ends it; or one whose tests start brokers themselves.
 */
TCase *case_shared(Suite *suite, const char *name);
void case_shared_end(TCase *tc);
TCase *case_private(Suite *suite, const char *name);
/* main() of a suite. */
int run_suites(Suite *const *suites, size_t count);

/* ---- connections and devices ---- */

iob_conn *connected(void);
iob_domain *domain_made(iob_conn *conn);
/* Names of devices by what they are for. */
enum role {
	EDU_1, /* edu devices, each in a group of its own */
	EDU_2,
	EDU_3,
	SHARED_1, /* two devices of one group, both usable */
	SHARED_2,
	RESETTABLE, /* a device with a reset method, alone in its group */
};
const char *device_name(enum role role);
iob_device *device_opened(iob_conn *conn, enum role role);
iob_domain *domain_taken(enum user self);
iob_device *device_taken(enum user self);

/* ---- memory ---- */

struct memory {
	int fd;
	uint8_t *at;
	size_t bytes;
	uint32_t id; /* once registered */
};

#define SEALED 1u /* F_SEAL_SHRINK */
#define SPARSE 2u /* pages not allocated */
#define HUGE   4u /* hugetlb, 2 MiB */

struct memory memory_make(size_t bytes, unsigned how);
/* A further description of the same file, opened as mode says. */
int memory_reopen(int fd, int mode);
/* Sealed, and registered on the handle. */
struct memory memory_registered(iob_domain *domain, size_t bytes, uint32_t access);
void memory_fill(const struct memory *m, size_t offset, size_t bytes, uint8_t seed);
bool memory_is_filled(const struct memory *m, size_t offset, size_t bytes, uint8_t seed);
bool memory_is(const struct memory *m, size_t offset, size_t bytes, uint8_t value);
/* A map operation. */
struct iob_map_op map_at(uint64_t iova, const struct memory *m, uint64_t offset, uint64_t length,
			 uint32_t access);
struct iob_map_op map_anywhere(const struct memory *m, uint64_t offset, uint64_t length,
			       uint32_t access);

/* ---- edu ---- */
#define EDU_BYTES 2048u /* largest transfer */

void edu_ready(iob_device *d); /* memory decoding and bus mastering on */
/* Device buffer <- memory at iova, and memory at iova <- device buffer. */
void edu_fetch(iob_device *d, uint64_t iova, uint32_t bytes);
void edu_store(iob_device *d, uint64_t iova, uint32_t bytes);
/* Without waiting for the end. */
void edu_store_begin(iob_device *d, uint64_t iova, uint32_t bytes);
bool edu_is_busy(iob_device *d);
void edu_wait(iob_device *d);

/* ---- faults ---- */

/* Forget the faults logged so far. In the test, not in a step: the kernel's log is root's. */
void faults_forget(void);
/* Was an access of the device to the page at iova refused and logged? Waits; provoke() is repeated
 * meanwhile, because the kernel logs a few in 5 seconds only. */
bool fault_is_logged(const char *device, uint64_t iova, void (*provoke)(void));

#endif
