/* SPDX-License-Identifier: MIT */
/* figures.c - the clock, medians, and how a figure is told. */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/bench.h"

void must(int code, const char *what)
{
	if (code != IOB_OK)
		errx(1, "%s: %s", what, iob_error()->text);
}

void must_be(int condition, const char *what)
{
	if (!condition)
		errx(1, "%s: %s", what, strerror(errno));
}

double clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

double quantile(double *values, size_t count, double part)
{
	size_t at = (size_t)((double)count * part);

	qsort(values, count, sizeof(*values), compare);
	return values[at < count ? at : count - 1];
}

double median(double *values, size_t count)
{
	return quantile(values, count, 0.5);
}

void figure(const char *name, double value, const char *unit)
{
	printf("figure %s %.9g %s\n", name, value, unit);
	fflush(stdout);
}

void figure_of(const char *prefix, uint64_t number, const char *name, double value,
	       const char *unit)
{
	char full[128];

	snprintf(full, sizeof(full), "%s.%llu.%s", prefix, (unsigned long long)number, name);
	figure(full, value, unit);
}
