/* SPDX-License-Identifier: MIT */
/*
 * iommuctl-maps.c - what is mapped.
 *
 * A domain may hold a million mappings: they are printed as they come, page by page. What changes
 * meanwhile may be missing or seen in its old place; no mapping is printed twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "iommuctl.h"

static void print_mapping(uint32_t domain_id, const struct iob_map_rec *rec)
{
	char range[CTL_CELL];
	char size[CTL_CELL];
	uint64_t last = rec->iova + rec->length - 1;

	ctl_cell(range, "0x%" PRIx64 "-0x%" PRIx64, rec->iova, last);
	ctl_cell_size(size, rec->length);
	printf("%6u  %-37s  %10s  %6u  %#-18" PRIx64 "  %s\n", domain_id, range, size, rec->memory,
	       rec->offset, ctl_access_name(rec->flags));
}

/* One page; *start moves behind it. IOB_OK or the code. */
static int maps_page(const struct ctl *ctl, iob_domain *domain, uint32_t domain_id, uint64_t *start,
		     size_t *printed, int *more)
{
	static struct iob_map_rec list[IOB_MAX_LIST];
	uint32_t count;
	int code = ctl_ask(ctl, iob_map_list(domain, *start, list, IOB_MAX_LIST, &count, more));

	if (code != IOB_OK)
		return code;
	for (uint32_t i = 0; i < count; i++) {
		if (ctl->json) {
			fputs((*printed)++ ? ",\n" : "\n", stdout);
			ctl_json_mapping(&list[i]);
		} else {
			print_mapping(domain_id, &list[i]);
		}
	}
	if (count > 0) {
		*start = list[count - 1].iova + 1;
		*more = *more && *start != 0;
	}
	return IOB_OK;
}

static int maps_of(const struct ctl *ctl, iob_domain *domain, uint32_t domain_id)
{
	uint64_t start = 0;
	size_t printed = 0;
	int more = 1;
	int code = IOB_OK;

	while (code == IOB_OK && more)
		code = maps_page(ctl, domain, domain_id, &start, &printed, &more);
	return code;
}

/* A domain that goes away while we look is no failure, unless it was asked for by name. */
static int domain_maps(const struct ctl *ctl, uint32_t domain_id, bool asked, bool *first)
{
	iob_domain *domain = NULL;
	char what[CTL_CELL];
	int code = ctl_ask(ctl, iob_domain_open(ctl->conn, domain_id, &domain));
	bool opened = code == IOB_OK;

	if (opened) {
		if (ctl->json)
			printf("%s{\"id\":%u,\"mappings\":[", *first ? "" : ",\n", domain_id);
		*first = false;
		ctl_limit_closing("]}],");
		code = maps_of(ctl, domain, domain_id);
		ctl_limit_closing("],");
		if (ctl->json)
			printf("]}");
		iob_domain_close(domain);
	}
	if (code == IOB_OK || (!asked && (code == IOB_E_GONE || (opened && code == IOB_E_CLOSED))))
		return CTL_OK;
	ctl_cell(what, "domain %u", domain_id);
	return ctl_failed(what);
}

static int all_maps(const struct ctl *ctl, bool *first)
{
	ctl_cleanup_free struct iob_domain_rec *list = NULL;
	size_t count = 0;
	int result = CTL_OK;

	if (ctl_ask(ctl, iob_domain_list(ctl->conn, &list, &count)) != IOB_OK)
		return ctl_failed("domains");
	for (size_t i = 0; i < count; i++) {
		if (domain_maps(ctl, list[i].domain_id, false, first) != CTL_OK)
			result = CTL_FAILED;
	}
	return result;
}

bool ctl_parse_id(const char *text, uint32_t *id)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > UINT32_MAX)
		return false;
	*id = (uint32_t)value;
	return true;
}

static void end_json(void)
{
	ctl_cleanup_free char *member = NULL;
	struct ctl_error error;

	if (ctl_error_take(&error))
		member = ctl_json_error_member(&error);
	printf("]%s%s}\n", member ? "," : "", member ? member : "");
}

int ctl_maps(const struct ctl *ctl)
{
	uint32_t id = 0;
	bool first = true;
	int result;

	if (ctl->argument && !ctl_parse_id(ctl->argument, &id))
		return CTL_USAGE;
	ctl_limit_closing("],");
	if (ctl->json)
		printf("{\"domains\":[");
	else
		printf("%6s  %-37s  %10s  %6s  %-18s  %s\n", "DOMAIN", "IOVA", "SIZE", "MEMORY",
		       "OFFSET", "DEVICE-MAY");
	result = ctl->argument ? domain_maps(ctl, id, true, &first) : all_maps(ctl, &first);
	if (ctl->json)
		end_json();
	return result;
}
