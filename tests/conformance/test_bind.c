/* SPDX-License-Identifier: MIT */
/* Opening a device, putting it into a domain, taking it out, and who may not. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

#define MSI_WINDOW UINT64_C(0xfee00000)

/* ---- not bound, bound already ---- */

static void unbound_device(void)
{
	struct iob_device_info_rep info;
	struct iob_region_info_rep region;
	struct iob_irq_info_rep irq;
	uint32_t value;
	int fd;

	bob_opens();
	ok(iob_device_info(device, &info));
	ck_assert_str_eq(info.rec.name, device_name(EDU_1));
	ck_assert_uint_eq(info.domain_id, 0);
	ck_assert_uint_eq(info.regions, 0);
	ck_assert_uint_eq(info.rec.flags & IOB_DEVICE_BOUND, 0);
	refused(iob_device_region_info(device, 0, &region), IOB_E_NOT_BOUND);
	refused(iob_device_irq_info(device, 0, &irq), IOB_E_NOT_BOUND);
	refused(iob_device_read32(device, 0, 0, &value), IOB_E_NOT_BOUND);
	refused(iob_device_write32(device, 0, 0, 0), IOB_E_NOT_BOUND);
	refused(iob_device_reset(device), IOB_E_NOT_BOUND);
	if (!broker_is_shaken()) /* see bound_twice() */
		refused(iob_device_unbind(device), IOB_E_NOT_BOUND);
	refused(iob_device_set_irq(device, IOB_IRQ_MSI, IOB_IRQ_DISABLE, 0, 0, NULL, 0),
		IOB_E_NOT_BOUND);
	refused(iob_device_vfio_fd(device, &fd),
		backend_is_real() ? IOB_E_DENIED : IOB_E_UNSUPPORTED);
}

START_TEST(unbound_device_does_nothing)
{
	as(BOB, unbound_device);
}
END_TEST

static void bound_twice(void)
{
	struct iob_device_info_rep info;
	iob_domain *second;

	bob_opens();
	own_domain();
	second = domain_made(conn);
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	refused(iob_device_bind(device, iob_domain_fd(second)), IOB_E_ALREADY_BOUND);
	/* What a restart has asked a second time is answered as if it were the first. */
	if (!broker_is_shaken())
		refused(iob_device_bind(device, iob_domain_fd(domain)), IOB_E_ALREADY_BOUND);
	refused(iob_domain_bind(second, iob_device_fd(device)), IOB_E_ALREADY_BOUND);
	ck_assert_uint_eq(domain_devices(domain), 1);
	ck_assert_uint_eq(domain_devices(second), 0);
	ok(iob_device_info(device, &info));
	ck_assert_uint_ne(info.domain_id, 0);
	ck_assert_uint_ge(info.regions, 8);
	ck_assert_uint_eq(info.rec.flags & IOB_DEVICE_BOUND, IOB_DEVICE_BOUND);
	edu_ready(device);
	dma_works();
}

START_TEST(bound_device_cannot_be_bound_again)
{
	as(BOB, bound_twice);
}
END_TEST

/* ---- out and in again ---- */

static void rebinds(void)
{
	struct memory first_memory;
	iob_domain *first;

	bob_opens();
	own_domain();
	first = domain;
	first_memory = memory;
	ok(iob_device_bind(device, iob_domain_fd(first)));
	edu_ready(device);
	dma_works();
	ok(iob_device_unbind(device));
	if (!broker_is_shaken()) /* see bound_twice() */
		refused(iob_device_unbind(device), IOB_E_NOT_BOUND);
	ck_assert_uint_eq(domain_devices(first), 0);
	own_domain(); /* the same addresses, other memory */
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	memset(first_memory.at, 0x5a, first_memory.bytes);
	edu_ready(device);
	dma_works();
	ck_assert(memory_is(&first_memory, 0, first_memory.bytes, 0x5a));
	ok(iob_device_unbind(device));
	ok(iob_device_bind(device, iob_domain_fd(first)));
	edu_ready(device);
	memory = first_memory;
	dma_works();
}

START_TEST(device_moves_between_domains)
{
	as(BOB, rebinds);
}
END_TEST

static void two_devices(void)
{
	iob_device *a, *b;

	bob_opens();
	own_domain();
	a = device;
	b = device_opened(conn, EDU_2);
	ok(iob_device_bind(a, iob_domain_fd(domain)));
	ok(iob_device_bind(b, iob_domain_fd(domain)));
	ck_assert_uint_eq(domain_devices(domain), 2);
	edu_ready(a);
	edu_ready(b);
	dma_works();
	device = b;
	dma_works();
	ok(iob_device_unbind(a));
	ck_assert_uint_eq(domain_devices(domain), 1);
	dma_works();
	iob_device_close(b);
	domain_devices_wait(domain, 0);
}

START_TEST(two_devices_share_a_domain)
{
	as(BOB, two_devices);
}
END_TEST

/* ---- somebody else has it ---- */

static void alice_finds_it_busy(void)
{
	iob_device *d;

	conn = connected();
	refused(iob_device_open(conn, device_name(EDU_1), 0, &d, NULL), IOB_E_BUSY);
	ck_assert_int_eq(iob_error()->sys_errno, EBUSY);
}

START_TEST(second_opener_is_refused)
{
	as(BOB, bob_opens);
	as(ALICE, alice_finds_it_busy);
}
END_TEST

static void bob_drives_and_gives_it_back(void)
{
	bob_is_bound();
	iob_device_close(device);
	device = NULL;
}

static void alice_connects(void)
{
	conn = connected();
}

static void alice_drives_at_once(void)
{
	ok(iob_device_open(conn, device_name(EDU_1), 0, &device, NULL));
	own_domain();
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	edu_ready(device);
	dma_works();
	iob_device_close(device);
	device = NULL;
}

START_TEST(device_just_given_back_can_be_opened)
{
	as(ALICE, alice_connects);
	for (int i = 0; i < 5; i++) {
		as(BOB, bob_drives_and_gives_it_back);
		as(ALICE, alice_drives_at_once);
	}
}
END_TEST

static void opens_twice(void)
{
	iob_device *d;

	uint64_t begin;

	bob_opens();
	begin = now_ms();
	refused(iob_device_open(conn, device_name(EDU_1), 0, &d, NULL), IOB_E_BUSY);
	ck_assert_int_eq(iob_error()->sys_errno, EALREADY);
	ck_assert_ptr_nonnull(strstr(iob_error()->text, "you have it open already"));
	if (!broker_is_shaken()) /* patience takes more than two seconds */
		ck_assert_uint_lt(now_ms() - begin, 1000 * patience());
	iob_device_close(device);
	device = device_opened_when_free(conn, EDU_1);
}

/* In a row on one connection, where nobody is slow to hear of it but the broker. */
static void reopens(void)
{
	struct iob_status_rep status;

	bob_opens();
	for (int i = 0; i < 200; i++) {
		ok(iob_status(conn, &status));
		iob_device_close(device);
		ok(iob_device_open(conn, device_name(EDU_1), 0, &device, NULL));
	}
}

START_TEST(device_is_opened_again_at_once)
{
	as(BOB, reopens);
}
END_TEST

START_TEST(device_is_opened_once)
{
	as(BOB, opens_twice);
}
END_TEST

static void bob_opens_shared(void)
{
	conn = connected();
	device = device_opened(conn, SHARED_1);
}

static void alice_may_not_split(void)
{
	iob_device *d;

	conn = connected();
	refused(iob_device_open(conn, device_name(SHARED_2), 0, &d, NULL), IOB_E_GROUP);
}

static void bob_closes(void)
{
	iob_device_close(device);
}

static void alice_gets_it_now(void)
{
	iob_device *d;
	int code = IOB_E_GROUP;

	for (int i = 0; i < 500 && code == IOB_E_GROUP; i++) {
		code = iob_device_open(conn, device_name(SHARED_2), 0, &d, NULL);
		usleep(10000);
	}
	ok(code);
}

START_TEST(group_is_not_split_between_clients)
{
	as(BOB, bob_opens_shared);
	as(ALICE, alice_may_not_split);
	as(BOB, bob_closes);
	as(ALICE, alice_gets_it_now);
}
END_TEST

/* One client may have all of a group, in one domain. */
static void whole_group(void)
{
	iob_device *a, *b;
	iob_domain *second;
	int code;

	conn = connected();
	own_domain();
	second = domain_made(conn);
	a = device_opened(conn, SHARED_1);
	b = device_opened(conn, SHARED_2);
	ok(iob_device_bind(a, iob_domain_fd(domain)));
	code = iob_device_bind(b, iob_domain_fd(second));
	ck_assert_msg(code == IOB_E_GROUP || code == IOB_E_BUSY, "%s", describe_failure(code));
	ok(iob_device_bind(b, iob_domain_fd(domain)));
	device = a;
	edu_ready(a);
	dma_works();
	ok(iob_device_unbind(a));
	device = b;
	edu_ready(b);
	dma_works();
}

START_TEST(group_stays_in_one_domain)
{
	as(BOB, whole_group);
}
END_TEST

/* ---- what was mapped before ---- */

static void reserved_window(void)
{
	struct iob_domain_info_rep info;
	struct iob_range ranges[IOB_MAX_RANGES];
	struct iob_map_op op;

	bob_opens();
	own_domain();
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	op = map_at(MSI_WINDOW, &memory, 0, PAGE, BOTH);
	refused(iob_map(domain, &op, NULL), IOB_E_IOVA_RESERVED);
	op = map_at(MSI_WINDOW - PAGE, &memory, 0, 2 * PAGE, BOTH);
	refused(iob_map(domain, &op, NULL), IOB_E_IOVA_RESERVED);
	op.iova = UINT64_C(1) << 60;
	refused(iob_map(domain, &op, NULL), IOB_E_IOVA_RESERVED);
	op.length = PAGE;
	op.iova = MSI_WINDOW - PAGE;
	ok(iob_map(domain, &op, NULL));
	ok(iob_domain_info(domain, &info, ranges, IOB_MAX_RANGES));
	ck_assert_uint_ge(info.range_count, 2);
	ck_assert_uint_eq(ranges[0].last, MSI_WINDOW - 1);
}

START_TEST(interrupt_window_is_reserved)
{
	as(BOB, reserved_window);
}
END_TEST

/* Where hardware is known only when a device comes, a mapping in its way stops the device, not the
 * client: it is told which, and can take it away. The simulator knows from the start. */
static void mapping_in_the_way(void)
{
	struct iob_map_op op;

	bob_opens();
	own_domain();
	op = map_at(MSI_WINDOW, &memory, 0, PAGE, BOTH);
	if (!backend_is_real()) {
		refused(iob_map(domain, &op, NULL), IOB_E_IOVA_RESERVED);
	} else {
		ok(iob_map(domain, &op, NULL));
		refused(iob_device_bind(device, iob_domain_fd(domain)), IOB_E_IOVA_RESERVED);
		ck_assert_uint_eq(domain_devices(domain), 0);
		refused(iob_device_bind(device, iob_domain_fd(domain)), IOB_E_IOVA_RESERVED);
		ok(iob_unmap(domain, MSI_WINDOW, PAGE));
	}
	ok(iob_device_bind(device, iob_domain_fd(domain)));
	edu_ready(device);
	dma_works();
}

START_TEST(mapping_in_the_way_stops_the_bind)
{
	as(BOB, mapping_in_the_way);
}
END_TEST

Suite *bind_suite(void)
{
	Suite *s = suite_create("bind");
	TCase *tc = case_shared(s, "bind");

	tcase_add_test(tc, unbound_device_does_nothing);
	tcase_add_test(tc, bound_device_cannot_be_bound_again);
	tcase_add_test(tc, device_moves_between_domains);
	tcase_add_test(tc, two_devices_share_a_domain);
	tcase_add_test(tc, second_opener_is_refused);
	tcase_add_test(tc, device_just_given_back_can_be_opened);
	tcase_add_test(tc, device_is_opened_once);
	tcase_add_test(tc, device_is_opened_again_at_once);
	tcase_add_test(tc, group_is_not_split_between_clients);
	tcase_add_test(tc, group_stays_in_one_domain);
	tcase_add_test(tc, interrupt_window_is_reserved);
	tcase_add_test(tc, mapping_in_the_way_stops_the_bind);
	case_shared_end(tc);
	return s;
}
