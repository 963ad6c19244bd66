/* SPDX-License-Identifier: MIT */
/*
 * iommuctl.h - shared by the files of the command. It uses the public library only.
 *
 *   iommuctl.c             options and commands
 *   iommuctl-devices.c     "devices"
 *   iommuctl-domains.c     "domains"
 *   iommuctl-maps.c        "maps", which may be long and is printed as it comes
 *   iommuctl-status.c      "status"
 *   iommuctl-drivers.c     "bind" and "unbind"
 *   iommuctl-host.c        what the machine uses a device for
 *   iommuctl-doctor.c      "doctor"; what it looks at is in doctor.h
 *   iommuctl-table.c       text for people: columns, sizes, names
 *   iommuctl-json.c        the same for programs; the layout is documented in iommuctl(1)
 *   iommuctl-json-write.c  the parts that JSON is made of
 *   iommuctl-local.c       what this machine knows beside what the broker says
 *   iommuctl-error.c       failures
 *   iommuctl-limit.c       how long the broker may take
 */
#ifndef CLIENT_IOMMUCTL_H
#define CLIENT_IOMMUCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "iommubroker.h"

/* Exit codes, documented. */
enum {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
};

struct ctl {
	iob_conn *conn; /* NULL for commands that need no broker */
	bool json;
	bool group; /* bind, unbind */
	bool yes;
	bool force;
	unsigned timeout;     /* seconds for each answer, 0: none */
	bool timeout_given;   /* --timeout: also for what takes long */
	const char *socket;   /* --socket, or NULL */
	const char *argument; /* of the command, or NULL */
	const char *domain;   /* --domain, or NULL: becomes the argument */
	const char *root;     /* doctor: --root, or NULL */
	const char *brokerd;  /* doctor: --brokerd, or NULL */
	const char *config;   /* doctor: --config, or NULL */
};

/* ---- commands: each returns the exit code ---- */

int ctl_devices(const struct ctl *ctl);
int ctl_domains(const struct ctl *ctl);
int ctl_maps(const struct ctl *ctl);
int ctl_status(const struct ctl *ctl);
int ctl_doctor(const struct ctl *ctl);
int ctl_bind(const struct ctl *ctl);
int ctl_unbind(const struct ctl *ctl);

/* A domain id as the user wrote it. */
bool ctl_parse_id(const char *text, uint32_t *id);

/* Does its driver keep the other devices of its IOMMU group from being given out? */
bool ctl_keeps_group(const struct iob_driver_rec *rec);
/* That it does, on stderr. whole: the other devices of the group move. */
void ctl_warn_of_sibling(const struct iob_driver_rec *rec, bool whole);

/* ---- iommuctl-error.c ---- */

struct ctl_error {
	int code; /* CTL_NO_CODE: the command itself would not */
	int step;
	int sys_errno;
	char text[IOB_MAX_TEXT + 1];
};

#define CTL_NO_CODE (-1)

/* Say on stderr what failed, from iob_error(), with the object's name if the text lacks it; and
 * remember it. Returns CTL_FAILED. */
int ctl_failed(const char *what);
/* The same for what the command itself found. */
int ctl_declined(int code, const char *text);
/* The first failure, once. False: none, or told already. */
bool ctl_error_take(struct ctl_error *error);
/* Out of memory: says so and ends the program. */
void *ctl_need(void *memory);
void ctl_free_pointer(void *pointer);
#define ctl_cleanup_free __attribute__((cleanup(ctl_free_pointer)))

/* ---- iommuctl-limit.c ---- */

#define CTL_TIMEOUT	10u
#define CTL_MAX_TIMEOUT 86400u

/* The code of a call of the library, which must answer in time: else the program says so and ends.
 * The second is for calls that may take long: it has a limit only where one was given. */
#define ctl_ask(ctl, call)	(ctl_limit_begin(ctl), ctl_limit_end(call))
#define ctl_ask_long(ctl, call) (ctl_limit_begin_long(ctl), ctl_limit_end(call))

void ctl_limit_begin(const struct ctl *ctl);
void ctl_limit_begin_long(const struct ctl *ctl);
int ctl_limit_end(int code);
/* JSON that is printed bit by bit: what would end it here, up to where a member may follow. */
void ctl_limit_closing(const char *text);

/* ---- iommuctl-table.c ---- */

#define CTL_COLUMNS 10u
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

/* What is not printable ASCII becomes '?'. */
void ctl_make_printable(char *text);
/* Each writes a cell. Texts of the broker are made printable. */
void ctl_cell(char cell[CTL_CELL], const char *format, ...) __attribute__((format(printf, 2, 3)));
void ctl_cell_text(char cell[CTL_CELL], const char *text);
void ctl_cell_size(char cell[CTL_CELL], uint64_t bytes);
void ctl_cell_user(char cell[CTL_CELL], uint32_t uid);
void ctl_cell_duration(char cell[CTL_CELL], uint64_t ms);
/* "read", "write", "read,write" of IOB_READ and IOB_WRITE. */
const char *ctl_access_name(uint32_t flags);
const char *ctl_backend_name(uint32_t backend);

/* ---- iommuctl-host.c ---- */

/* Calls tell(context, words) for each thing that would stop when the device were taken from the
 * host: mounted file systems, swap, network interfaces with an address, the boot display. How many
 * there were. Looks at this machine, in sysfs; says nothing about what it cannot see. */
unsigned ctl_host_uses(const char *device, void (*tell)(void *context, const char *words),
		       void *context);
/* For tests: prepared trees in place of /sys and /proc; NULL: the real one. */
void ctl_host_roots_set(const char *sys, const char *proc);

/* ---- iommuctl-local.c ---- */

#define CTL_NAME 128u

/* From the list of PCI ids; "" where it does not know, or is not installed. */
struct ctl_names {
	char vendor[CTL_NAME];
	char device[CTL_NAME];
	char class_of[CTL_NAME];
	char subclass[CTL_NAME];
};

void ctl_local_names(const struct iob_device_rec *rec, struct ctl_names *names);
void ctl_names_read(FILE *ids, const struct iob_device_rec *rec, struct ctl_names *names);
/* iommuctl-devices.c: why nobody can open a device, by the drivers of its IOMMU group; count 0: they are not known. */
void ctl_why_unusable(const struct iob_driver_rec *group, size_t count, const char *name,
		      char words[CTL_NAME]);
/* The other devices of its IOMMU group, sorted. *members is the caller's, for free(). */
size_t ctl_local_members(const struct iob_device_rec *rec, char (**members)[IOB_NAME_BYTES]);
/* Name of a process, "" when it cannot be told. */
void ctl_local_comm(uint32_t pid, char cell[CTL_CELL]);

/* ---- iommuctl-json-write.c ---- */

struct json_object;

struct json_object *ctl_json_new(void);
/* A list in an object, an object in an object or in a list: borrowed from what they are in. */
struct json_object *ctl_json_list(struct json_object *to, const char *key);
struct json_object *ctl_json_object(struct json_object *to, const char *key);
struct json_object *ctl_json_item(struct json_object *list);
void ctl_json_string(struct json_object *list, const char *text);
void ctl_json_unset(struct json_object *to, const char *key);
void ctl_json_number(struct json_object *to, const char *key, uint64_t value);
void ctl_json_bool(struct json_object *to, const char *key, bool value);
/* An empty text is null. */
void ctl_json_text(struct json_object *to, const char *key, const char *text);
void ctl_json_hex(struct json_object *to, const char *key, int digits, uint32_t value);
void ctl_json_address(struct json_object *to, const char *key, uint64_t address);
/* Prints and frees. */
void ctl_json_print(struct json_object *top);

/* The members of an object without its braces; for free(). Frees the object. */
char *ctl_json_members(struct json_object *top);

/* ---- iommuctl-json.c ---- */

/* The member "error" of what is printed: added; or as text, "error": {...}, for free(). The first does
 * nothing when there was no failure, or it was told already. */
void ctl_json_add_error(struct json_object *top);
char *ctl_json_error_member(const struct ctl_error *error);
/* A failure that nothing was printed with: an object of its own. */
void ctl_json_error(void);

/* What is known of a domain beside its record; present is false when it went away meanwhile. */
struct ctl_domain {
	const struct iob_domain_rec *rec;
	bool present;
	struct iob_domain_info_rep info;
	struct iob_range ranges[IOB_MAX_RANGES];
};

/* real: the devices are this machine's, which knows more about them. */
void ctl_json_devices(const struct iob_device_rec *list, size_t count, bool real);
void ctl_json_drivers(const struct iob_driver_rec *list, size_t count, uint32_t moved, bool real);
void ctl_json_domain(struct json_object *list, const struct ctl_domain *domain);
void ctl_json_status(const struct iob_status_rep *status, const struct iob_hello_rep *hello);
/* One mapping of a domain, without a newline. */
void ctl_json_mapping(const struct iob_map_rec *rec);
/* "free", "open", "bound", "unusable". */
const char *ctl_device_state(const struct iob_device_rec *rec);
/* What this kernel calls itself, as uname -r. */
void ctl_kernel(char cell[CTL_CELL]);

#endif
