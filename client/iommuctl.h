/* SPDX-License-Identifier: MIT */
/*
 * iommuctl.h - shared by the files of the command. It uses the public library only.
 *
 *   iommuctl.c        options and commands
 *   iommuctl-table.c  text for people: columns, sizes, names
 *   iommuctl-json.c   the same for programs; the layout is documented in iommuctl(1)
 *   iommuctl-maps.c   "maps", which may be long and is printed as it comes
 *   iommuctl-drivers.c "bind" and "unbind"
 *   iommuctl-host.c   what the machine uses a device for
 */
#ifndef CLIENT_IOMMUCTL_H
#define CLIENT_IOMMUCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iommubroker.h"

/* Exit codes, documented. */
enum {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
};

struct ctl {
	iob_conn *conn;
	bool json;
	bool group; /* bind, unbind */
	bool yes;
	bool force;
};

/* Say on stderr what failed, from iob_error(). Returns CTL_FAILED. */
int ctl_failed(const char *what);
/* Out of memory: says so and ends the program. */
void *ctl_need(void *memory);
void ctl_free_pointer(void *pointer);
#define ctl_cleanup_free __attribute__((cleanup(ctl_free_pointer)))

/* ---- iommuctl-maps.c ---- */

/* A domain id as the user wrote it. */
bool ctl_parse_id(const char *text, uint32_t *id);
/* All visible domains, or the one with this id. Exit code. */
int ctl_maps(const struct ctl *ctl, const char *domain);

/* ---- iommuctl-drivers.c ---- */

int ctl_bind(const struct ctl *ctl, const char *device);
int ctl_unbind(const struct ctl *ctl, const char *device);

/* ---- iommuctl-host.c ---- */

/* Calls tell(context, words) for each thing that would stop when the device were taken from the
 * host: mounted file systems, swap, network interfaces with an address, the boot display. How many
 * there were. Looks at this machine, in sysfs; says nothing about what it cannot see. */
unsigned ctl_host_uses(const char *device, void (*tell)(void *context, const char *words),
		       void *context);
/* For tests: prepared trees in place of /sys and /proc; NULL: the real one. */
void ctl_host_roots_set(const char *sys, const char *proc);

/* ---- iommuctl-table.c ---- */

#define CTL_COLUMNS 8u
#define CTL_CELL    64u

struct ctl_row {
	char cells[CTL_COLUMNS][CTL_CELL];
};

/* Rows are kept until printed, to know how wide columns are; the first is the heading. */
struct ctl_table {
	struct ctl_row *rows;
	size_t count;
	unsigned right; /* bit n: column n is aligned to the right */
};

/* A new empty row, valid until the next one is made. */
struct ctl_row *ctl_table_row(struct ctl_table *table);
/* A row with the given cells; NULL ends them. */
void ctl_table_heading(struct ctl_table *table, const char *const *cells);
void ctl_table_print(const struct ctl_table *table);
void ctl_table_free(struct ctl_table *table);

/* Each writes a cell. Texts of the broker are made printable. */
void ctl_cell(char cell[CTL_CELL], const char *format, ...) __attribute__((format(printf, 2, 3)));
void ctl_cell_text(char cell[CTL_CELL], const char *text);
void ctl_cell_size(char cell[CTL_CELL], uint64_t bytes);
void ctl_cell_user(char cell[CTL_CELL], uint32_t uid);
void ctl_cell_duration(char cell[CTL_CELL], uint64_t ms);
/* "read", "write", "read,write" of IOB_READ and IOB_WRITE. */
const char *ctl_access_name(uint32_t flags);
const char *ctl_backend_name(uint32_t backend);

/* ---- iommuctl-json.c ---- */

void ctl_json_devices(const struct iob_device_rec *list, size_t count);
void ctl_json_domains(const struct iob_domain_rec *list, size_t count);
/* What became of a group. */
void ctl_json_drivers(const struct iob_driver_rec *list, size_t count, uint32_t moved);
void ctl_json_status(const struct iob_status_rep *status);
/* One mapping of a domain, without a newline. */
void ctl_json_mapping(const struct iob_map_rec *rec);

#endif
