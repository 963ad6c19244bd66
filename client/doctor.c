/* SPDX-License-Identifier: MIT */
/* doctor.c - the table of checks, and the list of findings. */
#define _GNU_SOURCE /* vasprintf() */

#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum subject { HARDWARE, CONFIGURATION, DAEMON };

/* In this order: causes before their effects. */
static const struct {
	void (*run)(struct doctor *d);
	enum subject subject;
} checks[] = {
	{ doctor_check_kernel, HARDWARE },	{ doctor_check_test_kernel, HARDWARE },
	{ doctor_check_iommu, HARDWARE },	{ doctor_check_modules, HARDWARE },
	{ doctor_check_interrupts, HARDWARE },	{ doctor_check_noiommu, HARDWARE },
	{ doctor_check_acs, HARDWARE },		{ doctor_check_devices, HARDWARE },
	{ doctor_check_groups, HARDWARE },	{ doctor_check_nodes, HARDWARE },
	{ doctor_check_holders, HARDWARE },	{ doctor_check_config, CONFIGURATION },
	{ doctor_check_policy, CONFIGURATION }, { doctor_check_policy_devices, HARDWARE },
	{ doctor_check_drivers, HARDWARE },	{ doctor_check_programs, DAEMON },
	{ doctor_check_systemd, DAEMON },	{ doctor_check_daemon, DAEMON },
	{ doctor_check_limits, DAEMON },
};

void doctor_init(struct doctor *d, const char *root)
{
	struct stat st;

	*d = (struct doctor){
		.root = root,
		.uid = geteuid(),
		.config = "/etc/iommu-broker/iommu-broker.conf",
		.patience_ms = 5000,
	};
	if (root[0] && stat(root, &st) == 0) {
		d->root_uid = st.st_uid;
		d->root_gid = st.st_gid;
	}
}

/*
 * Hardware says nothing of importance where there is only the simulator. One that answers was
 * started to try things out, with a configuration of its own: the usual one keeps nobody from that.
 */
static bool matters(const struct doctor *d, enum subject subject)
{
	if (subject == HARDWARE)
		return d->hardware_matters;
	return subject != CONFIGURATION || d->config_asked || d->answer.backend != IOB_BACKEND_SIM;
}

void doctor_run(struct doctor *d)
{
	char socket_path[DOCTOR_PATH];

	doctor_config_read(d);
	doctor_kernel_config(d);
	doctor_inventory(d);
	doctor_socket_path(d, socket_path);
	doctor_probe(d, socket_path);
	d->monitor_pid = d->answer.code == IOB_OK ? (long)d->answer.status.monitor_pid :
						    doctor_find_monitor(d);
	d->hardware_matters =
		strcmp(d->policy.backend, "sim") != 0 && d->answer.backend != IOB_BACKEND_SIM;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		d->notes_only = !matters(d, checks[i].subject);
		checks[i].run(d);
	}
}

void doctor_deinit(struct doctor *d)
{
	for (size_t i = 0; i < d->finding_count; i++) {
		struct doctor_finding *f = &d->findings[i];

		for (size_t n = 0; n < f->mend_count; n++)
			free(f->mend[n]);
		free(f->mend);
		free(f->object);
		free(f->text);
		free(f->why);
	}
	for (size_t i = 0; i < d->unseen_count; i++)
		free(d->unseen[i]);
	free(d->kernel_config);
	free(d->findings);
	free(d->unseen);
	free(d->devices);
	doctor_config_free(&d->policy);
}

size_t doctor_count(const struct doctor *d, enum doctor_severity severity)
{
	size_t count = 0;

	for (size_t i = 0; i < d->finding_count; i++)
		count += d->findings[i].severity == severity;
	return count;
}

const char *doctor_severity_name(enum doctor_severity severity)
{
	static const char *const names[DOCTOR_SEVERITIES] = {
		[DOCTOR_OK] = "ok",
		[DOCTOR_NOTE] = "note",
		[DOCTOR_WARNING] = "warning",
		[DOCTOR_ERROR] = "error",
	};

	return names[severity];
}

const char *doctor_id_name(enum doctor_id id)
{
#define DOCTOR_ID_NAME(symbol, name) [DOCTOR_IS_##symbol] = (name),
	static const char *const names[] = { DOCTOR_IDS(DOCTOR_ID_NAME) };
#undef DOCTOR_ID_NAME

	return names[id];
}

/* ---- adding ---- */

void *doctor_need(void *memory)
{
	if (memory)
		return memory;
	fprintf(stderr, "iommuctl: out of memory\n");
	exit(2);
}

void doctor_free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

static void make_printable(char *text)
{
	for (char *p = text; *p; p++) {
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	}
}

__attribute__((format(printf, 1, 0))) static char *printable(const char *format, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		doctor_need(NULL);
	make_printable(text);
	return text;
}

static struct doctor_finding *last(struct doctor *d)
{
	return &d->findings[d->finding_count - 1];
}

void doctor_add(struct doctor *d, enum doctor_severity severity, enum doctor_id id,
		const char *object, const char *format, ...)
{
	struct doctor_finding f = { .severity = severity, .id = id };
	va_list args;

	if (d->notes_only && severity > DOCTOR_NOTE)
		f.severity = DOCTOR_NOTE;
	va_start(args, format);
	f.text = printable(format, args);
	va_end(args);
	f.object = doctor_need(strdup(object));
	make_printable(f.object);
	d->findings = doctor_need(
		reallocarray(d->findings, d->finding_count + 1, sizeof(d->findings[0])));
	d->findings[d->finding_count++] = f;
}

void doctor_why(struct doctor *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	free(last(d)->why);
	last(d)->why = printable(format, args);
	va_end(args);
}

static void text_append(char ***list, size_t *count, char *text)
{
	*list = doctor_need(reallocarray(*list, *count + 1, sizeof(**list)));
	(*list)[(*count)++] = text;
}

void doctor_mend(struct doctor *d, const char *format, ...)
{
	struct doctor_finding *f = last(d);
	va_list args;

	va_start(args, format);
	text_append(&f->mend, &f->mend_count, printable(format, args));
	va_end(args);
}

void doctor_unseen(struct doctor *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_append(&d->unseen, &d->unseen_count, printable(format, args));
	va_end(args);
}
