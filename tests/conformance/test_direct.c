/* SPDX-License-Identifier: MIT */
/* The VFIO device itself: for whom policy, and the owner of the domain, allow it. */
#include <string.h>
#include <unistd.h>

#include "tests/conformance/scene.h"

#define IDENT_EDU 0x010000edu

static const struct broker_options policies = {
	.rules = "[allow alice]\nuser = $alice\ndevice = *\ndomains = yes\n", .name = "mediated"
};

static void mediated_only(void)
{
	iob_device *d;
	int fd;

	conn = connected();
	refused(iob_device_open(conn, device_name(EDU_1), IOB_ACCESS_FD, &d, NULL), IOB_E_DENIED);
	refused(iob_device_open(conn, device_name(EDU_1), IOB_ACCESS_FD | IOB_ACCESS_MEDIATED, &d,
				NULL),
		IOB_E_DENIED);
	own_domain();
	d = device_opened(conn, EDU_1);
	ok(iob_device_bind(d, iob_domain_fd(domain)));
	refused(iob_device_vfio_fd(d, &fd), backend_is_real() ? IOB_E_DENIED : IOB_E_UNSUPPORTED);
}

START_TEST(descriptor_needs_policy)
{
	broker_start(&policies);
	as(ALICE, mediated_only);
}
END_TEST

static void bob_opens_direct(void)
{
	conn = connected();
	ok(iob_device_open(conn, device_name(EDU_1), IOB_ACCESS_MEDIATED | IOB_ACCESS_FD, &device,
			   NULL));
}

/* What policy allows is still not what the domain's owner granted. */
static void bob_lacks_right(void)
{
	int fd;

	refused(iob_device_vfio_fd(device, &fd),
		backend_is_real() ? IOB_E_RIGHTS : IOB_E_UNSUPPORTED);
}

START_TEST(descriptor_needs_the_right_of_the_domain)
{
	as(ALICE, alice_maps);
	as(ALICE, alice_grants_bind);
	as(BOB, bob_opens_direct);
	as(BOB, bob_binds);
	as(BOB, bob_lacks_right);
}
END_TEST

static void alice_grants_direct(void)
{
	alice_grants(IOB_RIGHT_BIND | IOB_RIGHT_DIRECT, 0, 0, UINT64_MAX, NULL);
}

static void bob_uses_descriptor(void)
{
	struct iob_region_info_rep r;
	uint32_t ident = 0;
	int fd;

	if (!backend_is_real()) {
		refused(iob_device_vfio_fd(device, &fd), IOB_E_UNSUPPORTED);
		return;
	}
	ok(iob_device_vfio_fd(device, &fd));
	ok(iob_device_region_info(device, IOB_REGION_BAR0, &r));
	ck_assert_int_eq(pread(fd, &ident, sizeof(ident), (off_t)r.fd_offset), sizeof(ident));
	ck_assert_uint_eq(ident, IDENT_EDU);
	close(fd);
}

START_TEST(descriptor_is_given_where_all_agree)
{
	as(ALICE, alice_maps);
	as(ALICE, alice_grants_direct);
	as(BOB, bob_opens_direct);
	as(BOB, bob_binds);
	as(BOB, bob_uses_descriptor);
}
END_TEST

/* Whoever kept the descriptor can still command the device, which then reaches nothing. */
static int kept = -1;
static struct iob_region_info_rep bar, config;

static void bob_keeps_descriptor(void)
{
	ok(iob_device_region_info(device, IOB_REGION_BAR0, &bar));
	ok(iob_device_region_info(device, IOB_REGION_CONFIG, &config));
	if (backend_is_real())
		ok(iob_device_vfio_fd(device, &kept));
	else
		refused(iob_device_vfio_fd(device, &kept), IOB_E_UNSUPPORTED);
}

static void alice_ends_domain(void)
{
	iob_domain_close(domain);
}

static void put32(uint64_t at, uint32_t value)
{
	ck_assert_int_eq(pwrite(kept, &value, sizeof(value), (off_t)(bar.fd_offset + at)),
			 sizeof(value));
}

static void bob_is_told_and_goes_on(void)
{
	struct iob_event e = device_event(device, IOB_EV_DEVICE_UNBOUND);
	const uint16_t command = 6;

	ck_assert_uint_eq(e.reason, IOB_UNBOUND_DOMAIN_GONE);
	if (kept < 0)
		return;
	usleep(500000); /* the broker has done with the device now */
	ck_assert_int_eq(pwrite(kept, &command, 2, (off_t)config.fd_offset + 4), 2);
	put32(0x80, 0x40000);
	put32(0x88, (uint32_t)IOVA);
	put32(0x90, 512);
	put32(0x98, 3);
	usleep(500000);
}

static void alice_fills(void)
{
	memset(memory.at, 0x3c, memory.bytes);
}

static void alice_memory_is_safe(void)
{
	ck_assert(memory_is(&memory, 0, memory.bytes, 0x3c));
}

START_TEST(descriptor_that_was_kept_reaches_no_memory)
{
	as(ALICE, alice_maps);
	as(ALICE, alice_grants_direct);
	as(BOB, bob_opens_direct);
	as(BOB, bob_binds);
	as(BOB, bob_keeps_descriptor);
	as(ALICE, alice_fills);
	as(ALICE, alice_ends_domain);
	as(BOB, bob_is_told_and_goes_on);
	as(ALICE, alice_memory_is_safe);
}
END_TEST

Suite *direct_suite(void)
{
	Suite *s = suite_create("direct");
	TCase *tc = case_shared(s, "direct");

	tcase_add_test(tc, descriptor_needs_the_right_of_the_domain);
	tcase_add_test(tc, descriptor_is_given_where_all_agree);
	tcase_add_test(tc, descriptor_that_was_kept_reaches_no_memory);
	case_shared_end(tc);
	tc = case_private(s, "direct policy");
	tcase_add_test(tc, descriptor_needs_policy);
	return s;
}
