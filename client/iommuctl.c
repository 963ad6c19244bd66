/* SPDX-License-Identifier: MIT */
/* iommuctl.c - look at a running broker: devices, domains, mappings, state; move devices. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iommuctl.h"

#ifndef IOB_VERSION
#define IOB_VERSION "unknown"
#endif

static const char usage_text[] =
	"usage: iommuctl [--socket PATH] [--json] COMMAND\n"
	"\n"
	"  devices            devices you may see\n"
	"  domains            domains you may see\n"
	"  maps [DOMAIN-ID]   what is mapped in them, or in one\n"
	"  status             the broker itself\n"
	"  bind DEVICE        move a device from the host's driver to vfio-pci\n"
	"  unbind DEVICE      and back\n"
	"\n"
	"  -g, --group        bind, unbind: all devices of the IOMMU group\n"
	"  -y, --yes          bind, unbind: do not ask\n"
	"  -f, --force        bind: also a device that the machine is using\n"
	"  -s, --socket PATH  where the broker listens (default: $IOMMU_BROKER_SOCKET,\n"
	"                     else " IOB_DEFAULT_SOCKET ")\n"
	"  -j, --json         for programs\n"
	"  -h, --help\n"
	"  -V, --version\n";

int ctl_failed(const char *what)
{
	const struct iob_error *error = iob_error();

	fprintf(stderr, "iommuctl: %s: %s (%s, step %s)\n", what, error->text,
		iob_code_name(error->code), iob_strstep(error->step));
	return CTL_FAILED;
}

void *ctl_need(void *memory)
{
	if (memory)
		return memory;
	fprintf(stderr, "iommuctl: out of memory\n");
	exit(CTL_FAILED);
}

void ctl_free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

static const char *device_state(const struct iob_device_rec *rec)
{
	if (rec->flags & IOB_DEVICE_BOUND)
		return "bound";
	if (rec->flags & IOB_DEVICE_OPENED)
		return "open";
	return rec->flags & IOB_DEVICE_UNUSABLE ? "unusable" : "free";
}

static const char *device_access(const struct iob_device_rec *rec)
{
	if (rec->access & IOB_ACCESS_FD)
		return rec->access & IOB_ACCESS_MEDIATED ? "mediated,fd" : "fd";
	return rec->access & IOB_ACCESS_MEDIATED ? "mediated" : "-";
}

static void print_devices(const struct iob_device_rec *list, size_t count)
{
	static const char *const heading[] = { "NAME",	"ID",	  "CLASS", "GROUP", "DRIVER",
					       "STATE", "ACCESS", "OWNER", NULL };
	struct ctl_table table = { .right = 1u << 3 };

	ctl_table_heading(&table, heading);
	for (size_t i = 0; i < count; i++) {
		struct ctl_row *row = ctl_table_row(&table);

		ctl_cell_text(row->cells[0], list[i].name);
		ctl_cell(row->cells[1], "%04x:%04x", list[i].vendor, list[i].device);
		ctl_cell(row->cells[2], "%06x", list[i].class_code);
		ctl_cell(row->cells[3], "%u", list[i].group);
		ctl_cell_text(row->cells[4], list[i].driver[0] ? list[i].driver : "-");
		ctl_cell(row->cells[5], "%s", device_state(&list[i]));
		ctl_cell(row->cells[6], "%s", device_access(&list[i]));
		ctl_cell_user(row->cells[7], list[i].owner_uid);
	}
	ctl_table_print(&table);
	ctl_table_free(&table);
}

static int devices(const struct ctl *ctl, const char *argument)
{
	ctl_cleanup_free struct iob_device_rec *list = NULL;
	size_t count = 0;

	(void)argument;
	if (iob_device_list(ctl->conn, &list, &count) != IOB_OK)
		return ctl_failed("devices");
	if (ctl->json)
		ctl_json_devices(list, count);
	else
		print_devices(list, count);
	return CTL_OK;
}

static void print_domains(const struct iob_domain_rec *list, size_t count)
{
	static const char *const heading[] = { "ID",	"OWNER",     "PID",	     "DEVICES",
					       "FIRST", "MAX-BYTES", "MAX-MAPPINGS", NULL };
	struct ctl_table table = { .right = 1u << 0 | 1u << 2 | 1u << 3 | 1u << 5 | 1u << 6 };

	ctl_table_heading(&table, heading);
	for (size_t i = 0; i < count; i++) {
		struct ctl_row *row = ctl_table_row(&table);

		ctl_cell(row->cells[0], "%u", list[i].domain_id);
		ctl_cell_user(row->cells[1], list[i].uid);
		ctl_cell(row->cells[2], "%u", list[i].pid);
		ctl_cell(row->cells[3], "%u", list[i].devices);
		ctl_cell_text(row->cells[4], list[i].first_device[0] ? list[i].first_device : "-");
		ctl_cell_size(row->cells[5], list[i].max_bytes);
		ctl_cell(row->cells[6], "%u", list[i].max_mappings);
	}
	ctl_table_print(&table);
	ctl_table_free(&table);
}

static int domains(const struct ctl *ctl, const char *argument)
{
	ctl_cleanup_free struct iob_domain_rec *list = NULL;
	size_t count = 0;

	(void)argument;
	if (iob_domain_list(ctl->conn, &list, &count) != IOB_OK)
		return ctl_failed("domains");
	if (ctl->json)
		ctl_json_domains(list, count);
	else
		print_domains(list, count);
	return CTL_OK;
}

static void print_status(const struct iob_status_rep *status)
{
	char version[CTL_CELL];
	char uptime[CTL_CELL];

	ctl_cell_text(version, status->version);
	ctl_cell_duration(uptime, status->uptime_ms);
	printf("version   %s\n", version);
	printf("backend   %s\n", ctl_backend_name(status->backend));
	printf("uptime    %s\n", uptime);
	printf("monitor   process %u\n", status->monitor_pid);
	printf("sessions  %u\n", status->sessions);
	printf("domains   %u\n", status->domains);
	printf("devices   %u, %u open\n", status->devices, status->devices_open);
}

static int status(const struct ctl *ctl, const char *argument)
{
	struct iob_status_rep rep;

	(void)argument;
	if (iob_status(ctl->conn, &rep) != IOB_OK)
		return ctl_failed("status");
	if (ctl->json)
		ctl_json_status(&rep);
	else
		print_status(&rep);
	return CTL_OK;
}

enum argument { NO_ARGUMENT, A_DOMAIN, A_DEVICE };

struct command {
	const char *name;
	int (*run)(const struct ctl *ctl, const char *argument);
	enum argument argument; /* A_DOMAIN: may be left out */
};

static const struct command commands[] = {
	{ "bind", ctl_bind, A_DEVICE },	     { "devices", devices, NO_ARGUMENT },
	{ "domains", domains, NO_ARGUMENT }, { "maps", ctl_maps, A_DOMAIN },
	{ "status", status, NO_ARGUMENT },   { "unbind", ctl_unbind, A_DEVICE },
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int usage(const char *problem, const char *what)
{
	fprintf(stderr, "iommuctl: %s%s\n%s", problem, what, usage_text);
	return CTL_USAGE;
}

static int run(struct ctl *ctl, const char *socket, const struct command *command,
	       const char *argument)
{
	int result;

	if (iob_connect(socket, &ctl->conn) != IOB_OK)
		return ctl_failed("connect");
	result = command->run(ctl, argument);
	iob_conn_close(ctl->conn);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("iommuctl: standard output");
		return CTL_FAILED;
	}
	return result;
}

/* CTL_OK, or the exit code. */
static int check_arguments(const struct ctl *ctl, const struct command *command, int count,
			   const char *argument)
{
	uint32_t id;

	if (count > (command->argument == NO_ARGUMENT ? 0 : 1))
		return usage("too many arguments for ", command->name);
	if (command->argument == A_DEVICE && !argument)
		return usage("no device named for ", command->name);
	if (command->argument == A_DOMAIN && argument && !ctl_parse_id(argument, &id))
		return usage("a domain id is a number, not ", argument);
	if (command->argument != A_DEVICE && (ctl->group || ctl->yes || ctl->force))
		return usage("--group, --yes and --force are not for ", command->name);
	return CTL_OK;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "group", no_argument, NULL, 'g' },   { "yes", no_argument, NULL, 'y' },
		{ "force", no_argument, NULL, 'f' },   { "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },    { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 },
	};
	struct ctl ctl = { .json = false };
	const struct command *command;
	const char *socket = NULL;
	int option, code;

	while ((option = getopt_long(argc, argv, "s:jgyfhV", options, NULL)) != -1) {
		if (option == 's') {
			socket = optarg;
		} else if (option == 'j') {
			ctl.json = true;
		} else if (option == 'g') {
			ctl.group = true;
		} else if (option == 'y') {
			ctl.yes = true;
		} else if (option == 'f') {
			ctl.force = true;
		} else if (option == 'h') {
			return fputs(usage_text, stdout) < 0 ? CTL_FAILED : CTL_OK;
		} else if (option == 'V') {
			return puts("iommuctl " IOB_VERSION) < 0 ? CTL_FAILED : CTL_OK;
		} else {
			fputs(usage_text, stderr);
			return CTL_USAGE;
		}
	}
	if (optind == argc)
		return usage("no command", "");
	command = find_command(argv[optind]);
	if (!command)
		return usage("no such command: ", argv[optind]);
	code = check_arguments(&ctl, command, argc - optind - 1, argv[optind + 1]);
	if (code != CTL_OK)
		return code;
	return run(&ctl, socket, command, argv[optind + 1]);
}
