/* SPDX-License-Identifier: MIT */
/* Noise: messages made at random, the same in every run, on all kinds of handles. */
#include <string.h>
#include <unistd.h>

#include "tests/hostile/suites.h"

static uint64_t state = 88172645463325252u;
static int files[4];
static unsigned device_answers;

/* xorshift64 */
static uint32_t noise(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % below;
}

static uint64_t number(void)
{
	static const uint64_t some[] = { 0,    1,	 2,	  4,	      16,
					 PAGE, RAW_IOVA, 0x40000, UINT32_MAX, UINT64_MAX };

	return noise(4) ? some[noise(COUNT(some))] : state;
}

static bool is_gone(int fd)
{
	return fd < 0;
}

/* An operation with a body of more or less its size, of numbers that may mean something. */
static void send_noise(void)
{
	const struct raw_operation *o = &raw_operations[noise((uint32_t)raw_operation_count)];
	int fds[3], fd = raw_handle_for(noise(8) ? o->kind : noise(3) + 1);
	size_t bytes = o->body + (o->tail ? noise(5) * 8 : 0);
	uint64_t body[64];
	unsigned count = noise(4) ? o->fds : noise(3);

	for (size_t i = 0; i < COUNT(body); i++)
		body[i] = number();
	if (noise(10) == 0)
		bytes = noise(sizeof(body));
	for (size_t i = 0; i < COUNT(fds); i++)
		fds[i] = noise(3) ? files[noise(COUNT(files))] : raw_handle_for(noise(3) + 1);
	if (is_gone(fd) || !raw_request(fd, o->op, body, bytes, fds, count))
		return;
	raw_code(fd);
	device_answers += o->kind == IOB_KIND_DEVICE;
	ck_assert_uint_ne(raw.hdr.code, IOB_E_INTERNAL);
	ck_assert_uint_lt(raw.hdr.code, 1000);
	if (raw.fd >= 0)
		close(raw.fd);
}

static void makes_noise(void)
{
	raw_open_all();
	files[0] = STDIN_FILENO;
	files[1] = memory_make(4 * PAGE, SEALED).fd;
	files[2] = raw_handles.domain;
	files[3] = raw_handles.device;
	for (int i = 0; i < (backend_is_real() ? 1500 : 5000); i++)
		send_noise();
	ck_assert_uint_gt(device_answers, 100);
	raw_ok(raw_ask(raw_handles.conn, IOB_OP_STATUS, NULL, 0));
}

START_TEST(noise_on_all_handles)
{
	attack(makes_noise);
}
END_TEST

/* Bytes without any sense, of any length. */
static void makes_more_noise(void)
{
	static uint8_t bytes[4096];

	raw_open_all();
	for (int i = 0; i < 1000; i++) {
		int fd = raw_handle_for(noise(3) + 1);
		size_t n = 1 + noise(noise(10) ? 64 : sizeof(bytes));

		for (size_t k = 0; k < n; k++)
			bytes[k] = (uint8_t)noise(256);
		if (raw_send(fd, bytes, n, &files[0], noise(2)) != 0)
			continue;
		ck_assert_uint_ne(raw_code(fd), IOB_OK);
	}
}

START_TEST(bytes_without_sense)
{
	attack(makes_more_noise);
}
END_TEST

Suite *noise_suite(void)
{
	Suite *s = suite_create("noise");
	TCase *tc = case_shared(s, "noise");

	tcase_add_test(tc, noise_on_all_handles);
	tcase_add_test(tc, bytes_without_sense);
	case_shared_end(tc);
	return s;
}
