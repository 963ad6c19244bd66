/* SPDX-License-Identifier: MIT */
/* iommuctl.c - options and commands. */
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
	"  devices [BDF]      devices you may see, or one of them\n"
	"  domains            domains you may see\n"
	"  maps [DOMAIN-ID]   what is mapped in them, or in one\n"
	"  status             the broker itself\n"
	"  bind DEVICE        move a device from the host's driver to vfio-pci\n"
	"  unbind DEVICE      and back\n"
	"  doctor             what keeps this machine from working, and how to mend it;\n"
	"                     needs no broker\n"
	"\n"
	"  -g, --group        bind, unbind: all devices of the IOMMU group\n"
	"  -y, --yes          bind, unbind: do not ask\n"
	"  -f, --force        bind: also a device that the machine is using\n"
	"  -s, --socket PATH  where the broker listens (default: $IOMMU_BROKER_SOCKET,\n"
	"                     else " IOB_DEFAULT_SOCKET ")\n"
	"  -j, --json         for programs\n"
	"  -t, --timeout SEC  how long the broker may take for an answer (default: 10,\n"
	"                     but for a driver that lets go of a device; 0: no limit)\n"
	"  -d, --domain ID    maps: of this domain only\n"
	"      --config PATH  doctor: the configuration, in place of the usual one\n"
	"      --root DIR     doctor: look at the machine below this directory\n"
	"      --brokerd PATH doctor: the iommu-brokerd that checks the configuration\n"
	"  -h, --help\n"
	"  -V, --version\n";

enum argument { NO_ARGUMENT, DOMAIN_ID, DEVICE_NAME };

static const struct command {
	const char *name;
	int (*run)(const struct ctl *ctl);
	enum argument argument; /* which may be left out */
	bool without_broker;
} commands[] = {
	{ "bind", ctl_bind, DEVICE_NAME, false },
	{ "unbind", ctl_unbind, DEVICE_NAME, false },
	{ "devices", ctl_devices, DEVICE_NAME, false },
	{ "doctor", ctl_doctor, NO_ARGUMENT, true },
	{ "domains", ctl_domains, NO_ARGUMENT, false },
	{ "maps", ctl_maps, DOMAIN_ID, false },
	{ "status", ctl_status, NO_ARGUMENT, false },
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

static int cannot_connect(void)
{
	int code = iob_error()->code;

	ctl_failed("connect");
	if (code == IOB_E_CONNECT)
		fprintf(stderr, "iommuctl: is the broker installed and running? see "
				"iommuctl doctor\n");
	return CTL_FAILED;
}

static int run(struct ctl *ctl, const struct command *command)
{
	int result;

	if (!command->without_broker &&
	    ctl_ask(ctl, iob_connect(ctl->socket, &ctl->conn)) != IOB_OK)
		result = cannot_connect();
	else
		result = command->run(ctl);
	iob_conn_close(ctl->conn);
	if (ctl->json)
		ctl_json_error();
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("iommuctl: standard output");
		return command->without_broker ? CTL_USAGE : CTL_FAILED;
	}
	return result;
}

enum { OPTION_ROOT = 256, OPTION_BROKERD, OPTION_CONFIG };

static int take_timeout(struct ctl *ctl, const char *text)
{
	uint32_t seconds;

	if (!ctl_parse_id(text, &seconds) || seconds > CTL_MAX_TIMEOUT)
		return usage("--timeout is a number of seconds up to a day, not ", text);
	ctl->timeout = seconds;
	return -1;
}

/* -1 to go on, else the exit code. */
static int take_option(struct ctl *ctl, int option)
{
	switch (option) {
	case 's':
		ctl->socket = optarg;
		return -1;
	case 'j':
		ctl->json = true;
		return -1;
	case 't':
		ctl->timeout_given = true;
		return take_timeout(ctl, optarg);
	case 'd':
		ctl->domain = optarg;
		return -1;
	case 'g':
		ctl->group = true;
		return -1;
	case 'y':
		ctl->yes = true;
		return -1;
	case 'f':
		ctl->force = true;
		return -1;
	case OPTION_ROOT:
		ctl->root = optarg;
		return -1;
	case OPTION_CONFIG:
		ctl->config = optarg;
		return -1;
	case OPTION_BROKERD:
		ctl->brokerd = optarg;
		return -1;
	case 'h':
		return fputs(usage_text, stdout) < 0 ? CTL_FAILED : CTL_OK;
	case 'V':
		return puts("iommuctl " IOB_VERSION) < 0 ? CTL_FAILED : CTL_OK;
	default:
		fputs(usage_text, stderr);
		return CTL_USAGE;
	}
}

/* Options that make no sense with the command are refused, and so is a second domain. */
static int check(struct ctl *ctl, const struct command *command, int arguments)
{
	bool moves = command->run == ctl_bind || command->run == ctl_unbind;
	uint32_t id;

	if (moves && !ctl->argument)
		return usage("no device named for ", command->name);
	if (!moves && (ctl->group || ctl->yes || ctl->force))
		return usage("--group, --yes and --force are not for ", command->name);
	if ((ctl->root || ctl->brokerd || ctl->config) && command->run != ctl_doctor)
		return usage("--config, --root and --brokerd are not for ", command->name);
	if (ctl->timeout_given && command->without_broker)
		return usage("--timeout is not for ", command->name);
	if (ctl->domain && (command->argument != DOMAIN_ID || ctl->argument))
		return usage(ctl->argument ? "two domains for " : "--domain is not for ",
			     command->name);
	if (arguments > (command->argument == NO_ARGUMENT ? 0 : 1))
		return usage("too many arguments for ", command->name);
	if (ctl->domain)
		ctl->argument = ctl->domain;
	if (command->argument == DOMAIN_ID && ctl->argument && !ctl_parse_id(ctl->argument, &id))
		return usage("a domain id is a number, not ", ctl->argument);
	return CTL_OK;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "timeout", required_argument, NULL, 't' },
		{ "domain", required_argument, NULL, 'd' },
		{ "group", no_argument, NULL, 'g' },
		{ "yes", no_argument, NULL, 'y' },
		{ "force", no_argument, NULL, 'f' },
		{ "root", required_argument, NULL, OPTION_ROOT },
		{ "brokerd", required_argument, NULL, OPTION_BROKERD },
		{ "config", required_argument, NULL, OPTION_CONFIG },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct ctl ctl = { .timeout = CTL_TIMEOUT };
	const struct command *command;
	int option, status;

	while ((option = getopt_long(argc, argv, "s:jt:d:gyfhV", options, NULL)) != -1) {
		status = take_option(&ctl, option);
		if (status >= 0)
			return status;
	}
	if (optind == argc)
		return usage("no command", "");
	command = find_command(argv[optind]);
	if (!command)
		return usage("no such command: ", argv[optind]);
	ctl.argument = argv[optind + 1];
	status = check(&ctl, command, argc - optind - 1);
	return status == CTL_OK ? run(&ctl, command) : status;
}
