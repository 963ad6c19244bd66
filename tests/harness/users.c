/* SPDX-License-Identifier: MIT */
/* users.c - alice, bob and the others: a process each, that executes steps on request. */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/internal.h"

#define FIRST_UID 1001u

static const char *const names[USERS] = { "alice", "bob", "carol", "the stranger" };

static struct actor {
	pid_t pid; /* 0: no process */
	bool busy; /* with a step that nobody waited for yet */
	int control;
	int mailbox[2]; /* [0] is read by the user, [1] written by the others */
} actors[USERS];

volatile uint64_t *board;
static bool root; /* were we started as */

/* ---- who ---- */

bool users_differ(void)
{
	return root;
}

uid_t user_uid(enum user who)
{
	return root ? FIRST_UID + (uid_t)who : getuid();
}

void user_become(enum user who)
{
	uid_t uid = user_uid(who);

	if (!root)
		return;
	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setresgid(uid, uid, uid), 0);
	ck_assert_int_eq(setresuid(uid, uid, uid), 0);
	ck_assert_int_ne(setuid(0), 0);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* for leak checkers, which trace themselves */
}

void users_init(void)
{
	root = geteuid() == 0;
}

/* ---- the stage ---- */

void users_prepare(void)
{
	void *page = mmap(NULL, BOARD_WORDS * sizeof(uint64_t), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(page, MAP_FAILED);
	board = page;
	for (int i = 0; i < USERS; i++) {
		actors[i] = (struct actor){ .control = -1 };
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
					    actors[i].mailbox),
				 0);
	}
}

static void act(enum user who, int control)
{
	step_fn *step;
	ssize_t n;

	user_become(who);
	while ((n = read(control, &step, sizeof(step))) == sizeof(step)) {
		step();
		if (write(control, "", 1) != 1)
			break;
	}
	_exit(0);
}

static void actor_start(enum user who)
{
	struct actor *a = &actors[who];
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	a->pid = fork();
	ck_assert_int_ge(a->pid, 0);
	if (a->pid == 0) {
		close(pair[0]);
		for (int i = 0; i < USERS; i++)
			if (actors[i].control >= 0)
				close(actors[i].control);
		act(who, pair[1]);
	}
	close(pair[1]);
	a->control = pair[0];
}

/* The process of a user has ended and should not have. When it was by an assertion of its own, that
 * is in Check's report already, and a further one would only hide it. */
static void actor_died(enum user who)
{
	int status = 0;
	pid_t pid = waitpid(actors[who].pid, &status, 0);

	actors[who].pid = 0;
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 1)
		_exit(1);
	ck_abort_msg("the process of %s ended with status 0x%x", names[who], status);
}

void as_begin(enum user who, step_fn *step)
{
	struct actor *a = &actors[who];

	if (a->pid == 0)
		actor_start(who);
	if (send(a->control, &step, sizeof(step), MSG_NOSIGNAL) != sizeof(step))
		actor_died(who);
	a->busy = true;
}

void user_done(enum user who)
{
	char byte;
	ssize_t n;

	do
		n = read(actors[who].control, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		actor_died(who);
	actors[who].busy = false;
}

void as(enum user who, step_fn *step)
{
	as_begin(who, step);
	user_done(who);
}

pid_t user_pid(enum user who)
{
	return actors[who].pid;
}

/* ---- ends ---- */

static void actor_collect(enum user who)
{
	struct actor *a = &actors[who];
	int status;

	close(a->control);
	a->control = -1;
	waitpid(a->pid, &status, 0);
	a->pid = 0;
	a->busy = false;
}

void user_exits(enum user who)
{
	if (actors[who].pid == 0)
		return;
	shutdown(actors[who].control, SHUT_RDWR);
	actor_collect(who);
}

void user_is_killed(enum user who)
{
	if (actors[who].pid == 0)
		return;
	kill(actors[who].pid, SIGKILL);
	actor_collect(who);
}

void user_is_stopped(enum user who)
{
	kill(actors[who].pid, SIGSTOP);
}

void user_goes_on(enum user who)
{
	kill(actors[who].pid, SIGCONT);
}

void users_end(void)
{
	for (int i = 0; i < USERS; i++) {
		if (actors[i].busy)
			user_is_killed((enum user)i);
		user_exits((enum user)i);
		close(actors[i].mailbox[0]);
		close(actors[i].mailbox[1]);
	}
}

bool is_user(pid_t pid)
{
	for (int i = 0; i < USERS; i++)
		if (actors[i].pid == pid)
			return true;
	return false;
}

/* ---- passing ---- */

void give(enum user to, int fd)
{
	ok(iob_handle_send(actors[to].mailbox[1], fd));
}

int take(enum user self)
{
	int fd;

	ok(iob_handle_recv(actors[self].mailbox[0], &fd));
	return fd;
}

iob_domain *domain_taken(enum user self)
{
	iob_domain *d;

	ok(iob_domain_from_fd(take(self), &d));
	return d;
}

iob_device *device_taken(enum user self)
{
	iob_device *d;

	ok(iob_device_from_fd(take(self), &d));
	return d;
}
