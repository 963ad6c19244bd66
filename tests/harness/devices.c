/* SPDX-License-Identifier: MIT */
/* devices.c - connections, and which device of the machine plays which part. */
#include <stdlib.h>
#include <string.h>

#include "tests/harness/internal.h"

#define EDU	       0x11e81234u /* device and vendor, as in configuration space */
#define EDU_WITH_RESET 0x11e91234u /* the simulator's */
#define E1000E	       0x10d38086u

iob_conn *connected(void)
{
	iob_conn *conn;

	ok(iob_connect(broker.socket, &conn));
	return conn;
}

iob_domain *domain_made(iob_conn *conn)
{
	iob_domain *d;

	ok(iob_domain_create(conn, 64 * MIB, 4096, &d, NULL));
	return d;
}

/* ---- parts ---- */

static size_t group_size(const struct iob_device_rec *list, size_t count, uint32_t group)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += list[i].group == group && !(list[i].flags & IOB_DEVICE_UNUSABLE);
	return n;
}

static bool plays(const struct iob_device_rec *d, enum role role, size_t members)
{
	uint32_t id = (uint32_t)d->device << 16 | d->vendor;

	if (d->flags & IOB_DEVICE_UNUSABLE)
		return false;
	switch (role) {
	case EDU_1:
	case EDU_2:
	case EDU_3:
		return id == EDU && members == 1;
	case SHARED_1:
	case SHARED_2:
		return members == 2;
	case RESETTABLE:
		return members == 1 && (id == EDU_WITH_RESET || id == E1000E);
	}
	return false;
}

/* How many devices that could play the part come before the one that does. */
static size_t before(enum role role)
{
	if (role <= EDU_3)
		return role;
	return role == SHARED_2;
}

/* A connection of its own, so that it may be asked at any time. */
const char *device_name(enum role role)
{
	static char names[RESETTABLE + 1][IOB_NAME_BYTES];
	struct iob_device_rec *list;
	size_t count, skip = before(role);
	iob_conn *conn;

	if (names[role][0])
		return names[role];
	conn = connected();
	ok(iob_device_list(conn, &list, &count));
	iob_conn_close(conn);
	for (size_t i = 0; i < count && !names[role][0]; i++) {
		if (!plays(&list[i], role, group_size(list, count, list[i].group)))
			continue;
		if (skip-- == 0)
			memcpy(names[role], list[i].name, IOB_NAME_BYTES);
	}
	free(list);
	ck_assert_msg(names[role][0] != '\0', "no device for role %d", (int)role);
	return names[role];
}

iob_device *device_opened(iob_conn *conn, enum role role)
{
	iob_device *d;

	ok(iob_device_open(conn, device_name(role), 0, &d, NULL));
	return d;
}
