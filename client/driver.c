/* SPDX-License-Identifier: MIT */
/* driver.c - moving devices between the host's drivers and vfio-pci. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define GROUP_MAX 4096u /* a broker whose group does not end is broken */

static int name_copy(char to[IOB_NAME_BYTES], const char *name)
{
	if (!name || !*name || strlen(name) >= IOB_NAME_BYTES)
		return client_error_argument("a device has a name of 1 to 31 bytes");
	memcpy(to, name, strlen(name));
	return IOB_OK;
}

/* Read on at the end of *all, which the caller frees, whatever happens. */
static int group_more(struct handle *h, struct iob_driver_list_req *req,
		      struct iob_driver_rec **all, size_t total, struct list_page *page)
{
	struct iob_driver_rec *larger =
		reallocarray(*all, total + IOB_MAX_DEVICE_LIST, sizeof(**all));

	if (!larger)
		return client_error_system(IOB_STEP_NONE, "out of memory");
	*all = larger;
	if (total >= GROUP_MAX)
		return client_break(h, "the broker's list does not end");
	req->cursor = page->next;
	return client_list_page(h, IOB_OP_DRIVER_LIST, req, sizeof(*req), larger + total,
				sizeof(**all), IOB_MAX_DEVICE_LIST, page);
}

/* Pages of different groups are no group. */
static int group_check(struct handle *h, struct iob_driver_rec *all, size_t count)
{
	if (count == 0)
		return client_break(h, "the broker sent an empty group");
	for (size_t i = 0; i < count; i++) {
		all[i].device.name[sizeof(all[i].device.name) - 1] = '\0';
		all[i].device.driver[sizeof(all[i].device.driver) - 1] = '\0';
		all[i].former[sizeof(all[i].former) - 1] = '\0';
		if (all[i].stamp != all[0].stamp)
			return client_error_set(IOB_E_GROUP, IOB_STEP_GROUP, 0,
						"the group changed while it was read: try again");
	}
	return IOB_OK;
}

int iob_driver_list(iob_conn *conn, const char *name, struct iob_driver_rec **list, size_t *count)
{
	struct iob_driver_list_req req = { 0 };
	struct list_page page = { 0 };
	struct iob_driver_rec *all = NULL;
	size_t total = 0;
	int code;

	if (!conn || !list || !count)
		return client_error_argument("no connection, or no place for the list");
	code = name_copy(req.name, name);
	if (code != IOB_OK)
		return code;
	do {
		code = group_more(&conn->handle, &req, &all, total, &page);
		total += code == IOB_OK ? page.count : 0;
	} while (code == IOB_OK && page.next != 0);
	if (code == IOB_OK)
		code = group_check(&conn->handle, all, total);
	if (code != IOB_OK) {
		free(all);
		return code;
	}
	*list = all;
	*count = total;
	return IOB_OK;
}

int iob_driver_set(iob_conn *conn, const char *name, uint32_t driver, uint32_t flags,
		   uint64_t stamp, uint32_t *moved)
{
	struct iob_driver_set_req req = { .driver = driver, .flags = flags, .stamp = stamp };
	struct iob_driver_set_rep rep;
	int code;

	if (!conn)
		return client_error_argument("no connection");
	code = name_copy(req.name, name);
	if (code != IOB_OK)
		return code;
	code = client_call_fixed(&conn->handle, IOB_OP_DRIVER_SET, &req, sizeof(req), &rep,
				 sizeof(rep));
	if (code == IOB_OK && moved)
		*moved = rep.moved;
	return code;
}
