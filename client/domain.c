/* SPDX-License-Identifier: MIT */
/* domain.c - a domain handle: what it is, memory, devices, grants. MAP and UNMAP: mapping.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

int iob_domain_from_fd(int fd, iob_domain **out)
{
	cleanup_free iob_domain *domain = NULL;
	struct iob_hello_rep hello;
	int code;

	if (!out)
		return client_error_argument("no place for the domain");
	domain = client_alloc(sizeof(*domain));
	if (!domain)
		return IOB_E_SYSTEM;
	code = client_handle_init(&domain->handle, fd);
	if (code != IOB_OK)
		return code;
	code = client_hello(&domain->handle, IOB_KIND_DOMAIN, &hello);
	if (code != IOB_OK)
		return code;
	*out = domain;
	domain = NULL;
	return IOB_OK;
}

void iob_domain_close(iob_domain *domain)
{
	if (!domain)
		return;
	client_handle_deinit(&domain->handle);
	free(domain);
}

int iob_domain_fd(const iob_domain *domain)
{
	return domain ? domain->handle.fd : -1;
}

int iob_domain_next_event(iob_domain *domain, struct iob_event *out)
{
	if (!domain || !out)
		return client_error_argument("no domain, or no place for the event");
	return client_event_next(&domain->handle, out);
}

int iob_domain_info(iob_domain *domain, struct iob_domain_info_rep *out, struct iob_range *ranges,
		    uint32_t capacity)
{
	struct iob_domain_info_rep rep;
	struct iob_range all[IOB_MAX_RANGES];
	struct call c = {
		.op = IOB_OP_DOMAIN_INFO,
		.rep = { { .iov_base = &rep, .iov_len = sizeof(rep) },
			 { .iov_base = all, .iov_len = sizeof(all) } },
		.rep_min = sizeof(rep),
	};
	int code;

	if (!domain || !out || (!ranges && capacity > 0))
		return client_error_argument("no domain, or no place for its description");
	code = client_call(&domain->handle, &c);
	if (code != IOB_OK)
		return code;
	if (rep.range_count > IOB_MAX_RANGES ||
	    rep.range_count > (c.rep_bytes - sizeof(rep)) / sizeof(all[0]))
		return client_break(&domain->handle,
				    "the broker announced more ranges than it sent");
	if (capacity > rep.range_count)
		capacity = rep.range_count;
	if (capacity > 0)
		memcpy(ranges, all, capacity * sizeof(all[0]));
	*out = rep;
	return IOB_OK;
}

int iob_memory_add(iob_domain *domain, int fd, uint32_t access, struct iob_memory_add_rep *out)
{
	struct iob_memory_add_req req = { .access = access };
	struct iob_memory_add_rep rep;
	struct call c = {
		.op = IOB_OP_MEMORY_ADD,
		.req = { { .iov_base = &req, .iov_len = sizeof(req) } },
		.rep = { { .iov_base = &rep, .iov_len = sizeof(rep) } },
		.rep_min = sizeof(rep),
		.fds = &fd,
		.fd_count = 1,
	};
	int code;

	if (!domain || !out || fd < 0)
		return client_error_argument("no domain, no memory, or no place for its id");
	code = client_call(&domain->handle, &c);
	if (code == IOB_OK)
		*out = rep;
	return code;
}

int iob_memory_drop(iob_domain *domain, uint32_t memory)
{
	struct iob_memory_drop_req req = { .memory = memory };

	if (!domain)
		return client_error_argument("no domain");
	return client_call_fixed(&domain->handle, IOB_OP_MEMORY_DROP, &req, sizeof(req), NULL, 0);
}

int iob_domain_bind(iob_domain *domain, int device_fd)
{
	struct call c = { .op = IOB_OP_DOMAIN_BIND, .fds = &device_fd, .fd_count = 1 };

	if (!domain || device_fd < 0)
		return client_error_argument("no domain, or no device handle");
	return client_call(&domain->handle, &c);
}

int iob_domain_grant_fd(iob_domain *domain, const struct iob_grant_req *req, int *fd,
			uint32_t *grant_id)
{
	struct iob_grant_rep rep;
	int made = -1;
	struct call c = {
		.op = IOB_OP_GRANT,
		.req = { { .iov_base = (void *)(uintptr_t)req, .iov_len = sizeof(*req) } },
		.rep = { { .iov_base = &rep, .iov_len = sizeof(rep) } },
		.rep_min = sizeof(rep),
		.fd_out = &made,
	};
	int code;

	if (!domain || !req || !fd)
		return client_error_argument("no domain, no request, or no place for the grant");
	code = client_call(&domain->handle, &c);
	if (code != IOB_OK)
		return code;
	if (!client_is_handle(made)) {
		close(made);
		return client_break(&domain->handle,
				    "the broker sent a descriptor that is no handle");
	}
	*fd = made;
	if (grant_id)
		*grant_id = rep.grant_id;
	return IOB_OK;
}

int iob_domain_grant(iob_domain *domain, const struct iob_grant_req *req, iob_domain **out,
		     uint32_t *grant_id)
{
	cleanup_free iob_domain *made = NULL;
	int fd = -1;
	int code;

	if (!out)
		return client_error_argument("no place for the grant");
	made = client_alloc(sizeof(*made));
	if (!made)
		return IOB_E_SYSTEM;
	code = iob_domain_grant_fd(domain, req, &fd, grant_id);
	if (code != IOB_OK)
		return code;
	made->handle.fd = fd;
	*out = made;
	made = NULL;
	return IOB_OK;
}

int iob_domain_revoke(iob_domain *domain, uint32_t grant_id)
{
	struct iob_revoke_req req = { .grant_id = grant_id };

	if (!domain)
		return client_error_argument("no domain");
	return client_call_fixed(&domain->handle, IOB_OP_REVOKE, &req, sizeof(req), NULL, 0);
}
