/* SPDX-License-Identifier: MIT */
/* doctor-policy.c - is the configuration there, is it right, and does it give anybody anything? */
#include "doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- there and right ---- */

static void cannot_read(struct doctor *d)
{
	int e = -d->policy.error;

	if (e == EACCES && d->uid != 0) {
		doctor_unseen(d, "the configuration %s", d->config);
		return;
	}
	if (e == ENOENT)
		doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_CONFIG_MISSING, d->config,
			   "there is no configuration %s", d->config);
	else
		doctor_add(d, DOCTOR_ERROR, DOCTOR_IS_CONFIG_UNREADABLE, d->config,
			   "the configuration %s cannot be read: %s", d->config, strerror(e));
	doctor_why(d, "iommu-brokerd does not start without it");
	if (e == ENOENT)
		doctor_mend(d,
			    "install the example, iommu-broker.conf, as %s, belonging to root and "
			    "writable by root only",
			    d->config);
	else
		doctor_mend(d, "ls -l %s (it must be a file of root's)", d->config);
}

void doctor_check_config(struct doctor *d)
{
	const char *brokerd = d->brokerd_foreign ? d->checker : d->brokerd;

	if (d->policy.error)
		cannot_read(d);
	else if (brokerd)
		doctor_ask_brokerd(d, brokerd);
	else if (d->brokerd)
		doctor_config_unchecked(d, "whether the configuration is right was not asked: a "
					   "program of another machine is not run");
	else
		doctor_config_unchecked(d, "there is no iommu-brokerd to ask whether the "
					   "configuration is right");
}

/* ---- whose are the uids that sessions run as ---- */

/* "alice:x:1000:..." */
static bool parse_user(char *line, unsigned long *uid)
{
	char *p = strchr(line, ':'), *end;

	if (!p)
		return false;
	*p = '\0';
	p = strchr(p + 1, ':');
	if (!p)
		return false;
	*uid = strtoul(p + 1, &end, 10);
	return end != p + 1 && *end == ':';
}

static void check_uids(struct doctor *d)
{
	const struct doctor_config *c = &d->policy;
	doctor_cleanup_free char *text = doctor_file(d, "/etc/passwd");
	char *rest = text, *line;
	unsigned long uid;

	while ((line = doctor_next_line(&rest))) {
		if (!parse_user(line, &uid) || uid < c->session_uid_base ||
		    uid - c->session_uid_base >= c->max_sessions)
			continue;
		doctor_add(d, DOCTOR_WARNING, DOCTOR_IS_SESSION_UIDS_TAKEN, d->config,
			   "user %s has the uid %lu, which is one of those that sessions run as",
			   line, uid);
		doctor_why(d, "a session could be reached by that user, and reach what is that "
			      "user's");
		doctor_mend(d,
			    "in [daemon] of %s: another session-uid-base, or none for the usual "
			    "one, far above users",
			    d->config);
		return;
	}
}

/* ---- does it give anything ---- */

static void nothing_given(struct doctor *d)
{
	doctor_add(
		d, DOCTOR_ERROR, DOCTOR_IS_POLICY_EMPTY, d->config,
		"the configuration has no [allow] section: nobody but root may connect, and nobody "
		"gets a device");
	doctor_why(d, "the broker gives nothing by default");
	doctor_mend(d,
		    "in %s:  [allow NAME]  user = USER  device = 0000:01:00.0  domains = yes  (one "
		    "in a line)",
		    d->config);
	doctor_mend_reload(d);
}

void doctor_check_policy(struct doctor *d)
{
	const struct doctor_config *c = &d->policy;

	if (c->error)
		return;
	check_uids(d);
	if (c->rules == 0) {
		nothing_given(d);
		return;
	}
	if (c->pattern_count == 0) {
		doctor_add(d, DOCTOR_WARNING, DOCTOR_IS_POLICY_WITHOUT_DEVICES, d->config,
			   "no rule of the configuration gives a device");
		doctor_why(d, "domains can be made, but nothing can be bound to them");
		doctor_mend(d, "in an [allow] section of %s: device = 0000:01:00.0", d->config);
	}
	if (!c->domains) {
		doctor_add(d, DOCTOR_WARNING, DOCTOR_IS_POLICY_WITHOUT_DOMAINS, d->config,
			   "no rule of the configuration lets anybody make a domain");
		doctor_why(d, "a device can do DMA only in a domain, and nobody may make one");
		doctor_mend(d, "in an [allow] section of %s: domains = yes", d->config);
	}
	if (c->pattern_count && c->domains)
		doctor_add(d, DOCTOR_OK, DOCTOR_IS_POLICY, d->config, "%zu rule%s", c->rules,
			   c->rules == 1 ? "" : "s");
}
