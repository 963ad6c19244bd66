/* SPDX-License-Identifier: MIT */
/* doctor-print.c - findings for people: what matters most comes first. */
#include "doctor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WIDTH  96u
#define INDENT 9u

/* Into a file or a pipe lines go whole: other programs look for words in them. */
static bool wraps;

/* Words of a text in lines of WIDTH; column says where the first one begins. */
static void print_wrapped(const char *text, size_t column, size_t indent)
{
	const char *between = "";

	while (*text) {
		size_t length = strcspn(text, " ");

		if (wraps && *between && column + 1 + length > WIDTH) {
			printf("\n%*s", (int)indent, "");
			column = indent;
			between = "";
		}
		column += (size_t)printf("%s%.*s", between, (int)length, text);
		text += length;
		text += *text == ' ';
		between = " ";
	}
	putchar('\n');
}

static void print_finding(const struct doctor_finding *f)
{
	int n = printf("%-8s ", doctor_severity_name(f->severity));

	if (f->severity == DOCTOR_OK) {
		print_wrapped(f->text, n > 0 ? (size_t)n : 0, INDENT);
		return;
	}
	n += printf("%s: ", doctor_id_name(f->id));
	print_wrapped(f->text, n > 0 ? (size_t)n : 0, INDENT);
	if (f->why) {
		printf("%*sWhy it matters: ", (int)INDENT, "");
		print_wrapped(f->why, INDENT + 16, INDENT);
	}
	/* Never wrapped: they are to be copied. */
	for (size_t i = 0; i < f->mend_count; i++)
		printf("%*s%s %s\n", (int)INDENT, "", i ? "         " : "To mend: ", f->mend[i]);
}

static void print_summary(const struct doctor *d)
{
	size_t errors = doctor_count(d, DOCTOR_ERROR), warnings = doctor_count(d, DOCTOR_WARNING);

	for (size_t i = 0; i < d->unseen_count; i++)
		printf("%-8s %s\n", d->uid == 0 ? "unseen" : "no root", d->unseen[i]);
	if (d->unseen_count)
		printf("%*sThis could not be looked at%s.\n", (int)INDENT, "",
		       d->uid == 0 ? "" : " without being root");
	printf("%zu error%s, %zu warning%s. ", errors, errors == 1 ? "" : "s", warnings,
	       warnings == 1 ? "" : "s");
	puts(errors ? "Something keeps iommu-broker from working." :
		      "Nothing keeps iommu-broker from working.");
}

void doctor_print(const struct doctor *d)
{
	wraps = isatty(STDOUT_FILENO);
	for (int severity = DOCTOR_ERROR; severity >= DOCTOR_OK; severity--) {
		for (size_t i = 0; i < d->finding_count; i++) {
			if ((int)d->findings[i].severity == severity)
				print_finding(&d->findings[i]);
		}
	}
	print_summary(d);
}
