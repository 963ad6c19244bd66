/* SPDX-License-Identifier: MIT */
/*
 * sim-open.c - glue_opener_sim: starts the simulator process and opens things in it.
 *
 * Every request carries a reply socket of its own, so the monitor and its throwaway processes,
 * which share descriptors by fork(), may ask on one of them at the same time, as with ioctl().
 */
#include "kernel-glue/sim-open.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel-glue/glue.h"
#include "kernel-glue/sim-call.h"

#define REVOKE_TRIES	100
#define REVOKE_PAUSE_NS 10000000

static int control_fd = -1;

int sim_open_control_fd(void)
{
	return control_fd;
}

/* ---- asking ---- */

static int ask_with_reply_fd(const struct sim_call *c, int theirs)
{
	int fds[SIM_MAX_FDS];
	struct sim_call with = *c;

	if (c->fd_count >= SIM_MAX_FDS)
		return -EINVAL;
	if (c->fd_count)
		memcpy(fds, c->fds, c->fd_count * sizeof(int));
	fds[c->fd_count] = theirs;
	with.fds = fds;
	with.fd_count = c->fd_count + 1;
	return sim_call_send(&with, SIM_REQ_REPLY_FD);
}

static int ask(const struct sim_call *c)
{
	int ends[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	error = ask_with_reply_fd(c, ends[1]);
	close(ends[1]); /* now the simulator's death, or its hanging up, is an end of file here */
	if (!error)
		error = sim_call_receive(ends[0], c);
	close(ends[0]);
	return error;
}

static int ask_plain(int fd, uint32_t op)
{
	const struct sim_call c = { .fd = fd, .op = op };

	return ask(&c);
}

/* ---- the process ---- */

static int sim_probe(const struct glue_options *o, struct fault *why)
{
	if (!o->sim_devices || o->sim_devices > SIM_MAX_DEVICES)
		return fault_set(why, IOB_E_RANGE, IOB_STEP_IOMMU_OPEN, EINVAL,
				 "the simulator has 1 to %u devices, not %u", SIM_MAX_DEVICES,
				 o->sim_devices);
	if (!o->sim_path || access(o->sim_path, X_OK))
		return fault_set(why, IOB_E_UNSUPPORTED, IOB_STEP_IOMMU_OPEN,
				 o->sim_path ? errno : ENOENT, "no simulator to start at %s",
				 o->sim_path ? o->sim_path : "(no path)");
	return 0;
}

/* Signals as a fresh process has them, the control socket at its place, nothing else inherited. */
static int set_up_spawn(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int end)
{
	sigset_t none, all;
	int error;

	sigemptyset(&none);
	sigfillset(&all);
	error = posix_spawn_file_actions_adddup2(actions, end, SIM_CONTROL_FD);
	if (!error)
		error = posix_spawn_file_actions_addclosefrom_np(actions, SIM_CONTROL_FD + 1);
	if (!error)
		error = posix_spawnattr_setsigmask(attributes, &none);
	if (!error)
		error = posix_spawnattr_setsigdefault(attributes, &all);
	if (!error)
		error = posix_spawnattr_setflags(attributes,
						 POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return error;
}

static int spawn(const struct glue_options *o, int end, pid_t *child)
{
	char count[16];
	char *const arguments[] = { (char *)(uintptr_t)o->sim_path, count, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int error;

	snprintf(count, sizeof(count), "%u", o->sim_devices);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	error = set_up_spawn(&actions, &attributes, end);
	if (!error)
		error = posix_spawn(child, o->sim_path, &actions, &attributes, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -error;
}

/* The process forks and its first half ends when the second is ready: no child stays ours. */
static int wait_ready(pid_t child)
{
	int status = 0;
	pid_t done;

	do
		done = waitpid(child, &status, 0);
	while (done < 0 && errno == EINTR);
	if (done < 0)
		return errno == ECHILD ? 0 : -errno; /* someone reaped it: the handshake decides */
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* Does a simulator answer there? */
static int check_control(int fd)
{
	struct sim_stats_rep s;
	const struct sim_call c = {
		.fd = fd, .op = SIM_OP_STATS, .reply = &s, .reply_bytes = sizeof(s)
	};

	return ask(&c);
}

static int start_process(const struct glue_options *o, int ends[2])
{
	pid_t child = -1;
	int error = spawn(o, ends[1], &child);

	close(ends[1]);
	if (!error)
		error = wait_ready(child);
	if (!error)
		error = check_control(ends[0]);
	return error;
}

static int sim_start(const struct glue_options *o, struct fault *why)
{
	int ends[2], error = sim_probe(o, why);

	if (error)
		return error;
	if (control_fd >= 0)
		return fault_set(why, IOB_E_INTERNAL, IOB_STEP_IOMMU_OPEN, EALREADY,
				 "the simulator is running already");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return fault_set(why, IOB_E_KERNEL, IOB_STEP_IOMMU_OPEN, errno,
				 "making the simulator's control socket failed");
	error = start_process(o, ends);
	if (error) {
		close(ends[0]);
		return fault_set(why, IOB_E_KERNEL, IOB_STEP_IOMMU_OPEN, -error,
				 "the simulator %s did not start", o->sim_path);
	}
	control_fd = ends[0];
	return 0;
}

int sim_open_adopt(int fd, struct fault *why)
{
	int error = control_fd >= 0 ? -EALREADY : check_control(fd);

	if (error)
		return fault_set(why, IOB_E_KERNEL, IOB_STEP_IOMMU_OPEN, -error,
				 "no simulator answers on the control socket that was kept");
	control_fd = fd;
	return 0;
}

static void sim_stop(void)
{
	if (control_fd >= 0)
		close(control_fd);
	control_fd = -1;
}

/* ---- opening ---- */

static int ask_inventory(uint32_t index, struct sim_inventory_rep *r)
{
	const struct sim_inventory_req q = { .index = index };
	const struct sim_call c = { .fd = control_fd,
				    .op = SIM_OP_INVENTORY,
				    .body = &q,
				    .body_bytes = sizeof(q),
				    .reply = r,
				    .reply_bytes = sizeof(*r) };

	return ask(&c);
}

static void describe(struct glue_device *d, const struct sim_inventory_rep *r)
{
	*d = (struct glue_device){ .class_code = r->class_code,
				   .group = r->group,
				   .vendor = r->vendor,
				   .device = r->device };
	memcpy(d->name, r->name, sizeof(d->name));
	d->name[sizeof(d->name) - 1] = '\0';
	memcpy(d->driver, r->driver, sizeof(d->driver));
	d->driver[sizeof(d->driver) - 1] = '\0';
	d->on_vfio = strcmp(d->driver, "vfio-pci") == 0;
	d->usable = d->on_vfio;
	if (!d->usable)
		snprintf(d->why, sizeof(d->why), "is not on vfio-pci");
}

static int read_inventory(struct glue_device **list, size_t *count)
{
	struct sim_inventory_rep r = { 0 };
	struct glue_device *devices;
	int error = ask_inventory(0, &r);
	const uint32_t n = error ? 0 : r.count;

	if (error)
		return error;
	if (!n || n > SIM_MAX_DEVICES)
		return -EIO;
	devices = calloc(n, sizeof(*devices));
	if (!devices)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && !error; i++) {
		error = ask_inventory(i, &r);
		if (!error)
			describe(&devices[i], &r);
	}
	if (error) {
		free(devices);
		return error;
	}
	*list = devices;
	*count = n;
	return 0;
}

static int sim_inventory(struct glue_device **list, size_t *count, struct fault *why)
{
	int error = read_inventory(list, count);

	if (!error)
		return 0;
	return fault_set(why, error == -ENOMEM ? IOB_E_NO_MEMORY : IOB_E_KERNEL,
			 IOB_STEP_DEVICE_OPEN, -error, "listing the simulator's devices failed");
}

/* There are few, and it is asked for each. */
static int sim_group(const char *name, struct glue_device **list, size_t *count, struct fault *why)
{
	const struct glue_device *one = NULL;
	size_t all, n = 0;
	uint32_t group;

	if (sim_inventory(list, &all, why) < 0)
		return -1;
	for (size_t i = 0; i < all && !one; i++)
		if (strcmp((*list)[i].name, name) == 0)
			one = &(*list)[i];
	group = one ? one->group : 0;
	for (size_t i = 0; one && i < all; i++)
		if ((*list)[i].group == group)
			(*list)[n++] = (*list)[i];
	*count = n;
	return 0;
}

/* Nobody but the broker changes anything. */
static int sim_changes(uint64_t *number)
{
	*number = 0;
	return 0;
}

static int sim_context_open(int *context_fd, uint32_t *token, struct fault *why)
{
	struct sim_context_rep r = { 0 };
	const struct sim_call c = { .fd = control_fd,
				    .op = SIM_OP_CONTEXT_OPEN,
				    .reply = &r,
				    .reply_bytes = sizeof(r),
				    .reply_fd = context_fd };
	int error = ask(&c);

	if (error)
		return fault_set(why, error == -ENOMEM ? IOB_E_NO_MEMORY : IOB_E_KERNEL,
				 IOB_STEP_IOMMU_OPEN, -error,
				 "the simulator gave no IOMMU context");
	*token = r.token;
	return 0;
}

static int explain_bind(int error, uint32_t detail, const char *name, struct fault *why)
{
	if (error == -EBUSY && detail == SIM_DETAIL_GROUP)
		return fault_set(why, IOB_E_GROUP, IOB_STEP_BIND, EBUSY,
				 "another device of the group of %s is bound to another context",
				 name);
	if (error == -EBUSY)
		return fault_set(why, IOB_E_BUSY, IOB_STEP_BIND, EBUSY, "%s is bound already",
				 name);
	if (error == -ENODEV)
		return fault_set(why, IOB_E_NO_DEVICE, IOB_STEP_DEVICE_OPEN, ENODEV,
				 "the simulator has no device %s", name);
	return fault_set(why, IOB_E_KERNEL, IOB_STEP_BIND, -error, "the simulator did not bind %s",
			 name);
}

static int sim_device_bind(int context_fd, const struct glue_device *d, int sibling_group_fd,
			   struct glue_bound *out, struct fault *why)
{
	struct sim_bind_req q = { 0 };
	uint32_t detail = SIM_DETAIL_NONE;
	const struct sim_call c = { .fd = control_fd,
				    .op = SIM_OP_BIND,
				    .body = &q,
				    .body_bytes = sizeof(q),
				    .fds = &context_fd,
				    .fd_count = 1,
				    .reply_fd = &out->device_fd,
				    .detail = &detail };
	int error;

	(void)sibling_group_fd;
	out->device_fd = out->group_fd = -1;
	memcpy(q.name, d->name, strnlen(d->name, sizeof(q.name)));
	error = ask(&c);
	return error ? explain_bind(error, detail, d->name, why) : 0;
}

static int sim_descriptor_dup(int fd)
{
	int copy = -1;
	const struct sim_call c = { .fd = fd, .op = SIM_OP_DUP, .reply_fd = &copy };
	int error = ask(&c);

	return error ? error : copy;
}

/* ---- drivers ---- */

static int sim_driver_check(const struct glue_device *d, enum iob_driver to, struct fault *why)
{
	(void)d;
	(void)to;
	(void)why;
	return 0;
}

/* Waits for users as the real one does; it runs in a throwaway process as well. */
static int sim_driver_change(const struct glue_driver_change *c, struct fault *why)
{
	struct sim_driver_req q = { .driver = c->to };
	const struct sim_call call = {
		.fd = control_fd, .op = SIM_OP_DRIVER, .body = &q, .body_bytes = sizeof(q)
	};
	const struct timespec pause = { .tv_nsec = REVOKE_PAUSE_NS };
	int error;

	memcpy(q.name, c->name, strnlen(c->name, sizeof(q.name)));
	c->at(c->context, GLUE_DRIVER_UNBIND);
	while ((error = ask(&call)) == -EBUSY)
		nanosleep(&pause, NULL);
	return error ? fault_set(why, IOB_E_KERNEL, IOB_STEP_DRIVER, -error,
				 "the simulator did not change the driver of %s", c->name) :
		       0;
}

/* ---- taking apart ---- */

static int sim_device_quiesce(const struct glue_bound *b)
{
	return ask_plain(b->device_fd, SIM_OP_QUIESCE);
}

static int sim_device_detach(int context_fd, const struct glue_bound *b)
{
	(void)context_fd;
	return ask_plain(b->device_fd, SIM_OP_DETACH);
}

static int sim_device_close(int context_fd, struct glue_bound *b, bool last_of_group)
{
	(void)context_fd;
	(void)last_of_group;
	if (b->device_fd >= 0)
		close(b->device_fd);
	b->device_fd = -1;
	return 0;
}

static int sim_context_revoke(int context_fd, uint32_t token)
{
	const struct sim_token_req q = { .token = token };
	const struct sim_call c = {
		.fd = context_fd, .op = SIM_OP_REVOKE, .body = &q, .body_bytes = sizeof(q)
	};
	const struct timespec pause = { .tv_nsec = REVOKE_PAUSE_NS };
	int error = -EBUSY;

	for (int i = 0; i < REVOKE_TRIES && error == -EBUSY; i++) {
		if (i)
			nanosleep(&pause, NULL);
		error = ask(&c);
	}
	return error == -ENOENT ? 0 : error; /* it is gone already */
}

const struct glue_opener glue_opener_sim = {
	.backend = IOB_BACKEND_SIM,
	.name = "sim",
	.probe = sim_probe,
	.start = sim_start,
	.stop = sim_stop,
	.inventory = sim_inventory,
	.group = sim_group,
	.changes = sim_changes,
	.context_open = sim_context_open,
	.device_bind = sim_device_bind,
	.descriptor_dup = sim_descriptor_dup,
	.driver_check = sim_driver_check,
	.driver_change = sim_driver_change,
	.driver_fd = sim_open_control_fd,
	.device_quiesce = sim_device_quiesce,
	.device_detach = sim_device_detach,
	.device_close = sim_device_close,
	.context_revoke = sim_context_revoke,
};
