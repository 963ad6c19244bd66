/* SPDX-License-Identifier: MIT */
#include "tests/conformance/scene.h"

#include <poll.h>
#include <unistd.h>

iob_conn *conn;
iob_domain *domain;
iob_device *device;
struct memory memory;

void own_domain(void)
{
	struct iob_map_op op;

	domain = domain_made(conn);
	memory = memory_registered(domain, MEMORY_BYTES, BOTH);
	op = map_at(IOVA, &memory, OFFSET, BYTES, BOTH);
	ok(iob_map(domain, &op, NULL));
	op = map_at(READ_IOVA, &memory, READ_OFFSET, READ_BYTES, IOB_READ);
	ok(iob_map(domain, &op, NULL));
}

void alice_maps(void)
{
	conn = connected();
	own_domain();
}

void alice_grants(uint32_t rights, uint32_t flags, uint64_t first, uint64_t last, uint32_t *id)
{
	const struct iob_grant_req req = {
		.rights = rights, .flags = flags, .window_first = first, .window_last = last
	};
	int fd;

	ok(iob_domain_grant_fd(domain, &req, &fd, id));
	give(BOB, fd);
	close(fd);
}

void alice_grants_bind(void)
{
	alice_grants(IOB_RIGHT_BIND, 0, 0, UINT64_MAX, NULL);
}

void bob_opens(void)
{
	conn = connected();
	device = device_opened(conn, EDU_1);
}

void bob_binds(void)
{
	domain = domain_taken(BOB);
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	edu_ready(device);
}

void set_scene(void)
{
	as(ALICE, alice_maps);
	as(ALICE, alice_grants_bind);
	as(BOB, bob_opens);
	as(BOB, bob_binds);
}

void bob_is_bound(void)
{
	bob_opens();
	own_domain();
	ok(iob_device_bind(device, iob_domain_fd(domain)));
}

void dma_works(void)
{
	memory_fill(&memory, OFFSET + 100, 1000, 77);
	memory_fill(&memory, OFFSET + PAGE, PAGE, 3);
	edu_fetch(device, IOVA + 100, 1000);
	edu_store(device, IOVA + PAGE + 8, 1000);
	ck_assert(memory_is_filled(&memory, OFFSET + PAGE + 8, 1000, 77));
}

struct iob_event device_event(iob_device *d, uint32_t type)
{
	struct iob_event e;

	for (;;) {
		struct pollfd p = { .fd = iob_device_fd(d), .events = POLLIN };

		ok(iob_device_next_event(d, &e));
		if (e.type == type)
			return e;
		if (e.type == 0)
			ck_assert_msg(poll(&p, 1, 30000) == 1, "no event 0x%x", type);
	}
}

iob_device *device_opened_when_free(iob_conn *c, enum role role)
{
	const char *name = device_name(role);
	iob_device *d = NULL;
	int code = IOB_E_BUSY;

	for (int i = 0; i < 2000 && code == IOB_E_BUSY; i++) {
		code = iob_device_open(c, name, 0, &d, NULL);
		if (code == IOB_E_BUSY)
			usleep(10000);
	}
	ok(code);
	return d;
}

void domain_is_closed(iob_domain *d)
{
	struct pollfd p = { .fd = iob_domain_fd(d), .events = POLLIN };
	struct iob_event e;

	ck_assert_int_eq(poll(&p, 1, 30000), 1);
	refused(iob_domain_next_event(d, &e), IOB_E_CLOSED);
	refused(iob_unmap_all(d, NULL), IOB_E_CLOSED);
}

static void bob_drives(void)
{
	while (board[GO_ON]) {
		edu_store(device, IOVA, EDU_BYTES);
		edu_fetch(device, READ_IOVA, EDU_BYTES);
		board[ROUNDS]++;
	}
}

void wait_for_rounds(uint64_t more)
{
	uint64_t begin = board[ROUNDS];

	while (board[ROUNDS] < begin + more)
		usleep(1000);
}

void start_driving(void)
{
	board[GO_ON] = 1;
	as_begin(BOB, bob_drives);
	wait_for_rounds(2);
}

void stop_driving(void)
{
	board[GO_ON] = 0;
	user_done(BOB);
}

uint32_t domain_devices(iob_domain *d)
{
	struct iob_domain_info_rep info;

	ok(iob_domain_info(d, &info, NULL, 0));
	return info.devices;
}

void domain_devices_wait(iob_domain *d, uint32_t count)
{
	for (int i = 0; i < 2000 && domain_devices(d) != count; i++)
		usleep(10000);
	ck_assert_uint_eq(domain_devices(d), count);
}

void alice_grants_window(void)
{
	struct iob_map_op op;
	uint32_t id;

	alice_maps();
	op = map_at(WINDOW - PAGE, &memory, 0, PAGE, BOTH);
	ok(iob_map(domain, &op, NULL));
	op = map_at(WINDOW_LAST + 1, &memory, 0, PAGE, BOTH);
	ok(iob_map(domain, &op, NULL));
	alice_grants(WORKER, 0, WINDOW, WINDOW_LAST, &id);
	board[GRANT_ID] = id;
}
