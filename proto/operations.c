/* SPDX-License-Identifier: MIT */
/* operations.c - the client operations: length, descriptors, right, name. */
#include "proto/operations.h"

#include <errno.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the protocol is little-endian");

#define BODY(type)     (uint16_t)sizeof(struct type)
#define RESERVED(type) offsetof(struct type, reserved)

static const struct operation operations[] = {
	/* op, kind, fewest and most fds, tail, body, right, name, reserved */
	{ IOB_OP_HELLO, 0, 0, 0, false, BODY(iob_hello_req), 0, "HELLO", 0 },

	{ IOB_OP_DEVICE_LIST, IOB_KIND_CONNECTION, 0, 0, false, BODY(iob_list_req), 0,
	  "DEVICE_LIST", RESERVED(iob_list_req) },
	{ IOB_OP_DOMAIN_CREATE, IOB_KIND_CONNECTION, 0, 0, false, BODY(iob_domain_create_req), 0,
	  "DOMAIN_CREATE", 0 },
	{ IOB_OP_DEVICE_OPEN, IOB_KIND_CONNECTION, 0, 0, false, BODY(iob_device_open_req), 0,
	  "DEVICE_OPEN", 0 },
	{ IOB_OP_DOMAIN_LIST, IOB_KIND_CONNECTION, 0, 0, false, BODY(iob_list_req), 0,
	  "DOMAIN_LIST", RESERVED(iob_list_req) },
	{ IOB_OP_DOMAIN_OPEN, IOB_KIND_CONNECTION, 0, 0, false, BODY(iob_domain_open_req), 0,
	  "DOMAIN_OPEN", RESERVED(iob_domain_open_req) },
	{ IOB_OP_STATUS, IOB_KIND_CONNECTION, 0, 0, false, 0, 0, "STATUS", 0 },
	{ IOB_OP_DRIVER_LIST, IOB_KIND_CONNECTION, 0, 0, false, BODY(iob_driver_list_req), 0,
	  "DRIVER_LIST", RESERVED(iob_driver_list_req) },
	{ IOB_OP_DRIVER_SET, IOB_KIND_CONNECTION, 0, 0, false, BODY(iob_driver_set_req), 0,
	  "DRIVER_SET", 0 },

	{ IOB_OP_DOMAIN_INFO, IOB_KIND_DOMAIN, 0, 0, false, 0, 0, "DOMAIN_INFO", 0 },
	{ IOB_OP_MEMORY_ADD, IOB_KIND_DOMAIN, 1, 1, false, BODY(iob_memory_add_req), IOB_RIGHT_MAP,
	  "MEMORY_ADD", 0 },
	{ IOB_OP_MEMORY_DROP, IOB_KIND_DOMAIN, 0, 0, false, BODY(iob_memory_drop_req),
	  IOB_RIGHT_MAP, "MEMORY_DROP", RESERVED(iob_memory_drop_req) },
	{ IOB_OP_MAP, IOB_KIND_DOMAIN, 0, 0, true, BODY(iob_batch_req), IOB_RIGHT_MAP, "MAP", 0 },
	{ IOB_OP_UNMAP, IOB_KIND_DOMAIN, 0, 0, true, BODY(iob_batch_req), IOB_RIGHT_UNMAP, "UNMAP",
	  0 },
	{ IOB_OP_UNMAP_ALL, IOB_KIND_DOMAIN, 0, 0, false, 0, IOB_RIGHT_UNMAP, "UNMAP_ALL", 0 },
	{ IOB_OP_MAP_LIST, IOB_KIND_DOMAIN, 0, 0, false, BODY(iob_map_list_req), IOB_RIGHT_INSPECT,
	  "MAP_LIST", RESERVED(iob_map_list_req) },
	{ IOB_OP_DOMAIN_BIND, IOB_KIND_DOMAIN, 1, 1, false, 0, IOB_RIGHT_BIND, "DOMAIN_BIND", 0 },
	{ IOB_OP_GRANT, IOB_KIND_DOMAIN, 0, 0, false, BODY(iob_grant_req), IOB_RIGHT_GRANT, "GRANT",
	  0 },
	{ IOB_OP_REVOKE, IOB_KIND_DOMAIN, 0, 0, false, BODY(iob_revoke_req), IOB_RIGHT_GRANT,
	  "REVOKE", RESERVED(iob_revoke_req) },

	{ IOB_OP_DEVICE_INFO, IOB_KIND_DEVICE, 0, 0, false, 0, 0, "DEVICE_INFO", 0 },
	{ IOB_OP_REGION_INFO, IOB_KIND_DEVICE, 0, 0, false, BODY(iob_index_req), 0, "REGION_INFO",
	  RESERVED(iob_index_req) },
	{ IOB_OP_IRQ_INFO, IOB_KIND_DEVICE, 0, 0, false, BODY(iob_index_req), 0, "IRQ_INFO",
	  RESERVED(iob_index_req) },
	{ IOB_OP_DEVICE_BIND, IOB_KIND_DEVICE, 1, 1, false, 0, 0, "DEVICE_BIND", 0 },
	{ IOB_OP_DEVICE_UNBIND, IOB_KIND_DEVICE, 0, 0, false, 0, 0, "DEVICE_UNBIND", 0 },
	{ IOB_OP_REGION_READ, IOB_KIND_DEVICE, 0, 0, false, BODY(iob_region_req), 0, "REGION_READ",
	  0 },
	{ IOB_OP_REGION_WRITE, IOB_KIND_DEVICE, 0, 0, true, BODY(iob_region_req), 0, "REGION_WRITE",
	  0 },
	{ IOB_OP_SET_IRQ, IOB_KIND_DEVICE, 0, IOB_MAX_IRQ_FDS, false, BODY(iob_set_irq_req), 0,
	  "SET_IRQ", 0 },
	{ IOB_OP_DEVICE_RESET, IOB_KIND_DEVICE, 0, 0, false, 0, 0, "DEVICE_RESET", 0 },
	{ IOB_OP_DEVICE_FD, IOB_KIND_DEVICE, 0, 0, false, 0, 0, "DEVICE_FD", 0 },
};

const struct operation *operation_find(uint16_t op)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (operations[i].op == op)
			return &operations[i];
	return NULL;
}

const char *operation_name(uint16_t op)
{
	const struct operation *o = operation_find(op);

	return o ? o->name : "?";
}

int operation_take(const void *in, size_t have, void *out, size_t know, size_t min)
{
	const uint8_t *p = in;

	if (have < min)
		return -EBADMSG;
	for (size_t i = know; i < have; i++)
		if (p[i] != 0)
			return -EBADMSG;
	memset(out, 0, know);
	if (have > 0)
		memcpy(out, in, have < know ? have : know);
	return 0;
}
