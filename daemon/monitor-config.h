/* SPDX-License-Identifier: MIT */
/*
 * monitor-config.h - the configuration files and the policy they express.
 *
 * Pure but for reading the files: no socket, no root. Whoever is not named gets nothing.
 */
#ifndef DAEMON_MONITOR_CONFIG_H
#define DAEMON_MONITOR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/peer.h"
#include "kernel-glue/glue.h"
#include "proto/rate.h"

#define CONFIG_DEFAULT_PATH "/etc/iommu-broker/iommu-broker.conf"
#define CONFIG_FOLDER	    "conf.d" /* beside the file; of it, what ends in .conf */
#define CONFIG_MAX_RULES    1024u

enum config_backend {
	CONFIG_BACKEND_AUTO,
	CONFIG_BACKEND_SIM,
	CONFIG_BACKEND_TYPE1,
	CONFIG_BACKEND_IOMMUFD,
};

#define QUOTA_UNLIMITED RATE_UNLIMITED

/* What one user may use at the same time, over all connections; and how much in a second. */
struct quota {
	uint64_t max_bytes; /* mapped, all domains together */
	uint32_t max_mappings;
	uint32_t max_sessions;
	uint32_t max_domains;
	uint32_t max_devices;
	uint32_t max_rate;     /* operations of each connection, or QUOTA_UNLIMITED */
	uint32_t max_connects; /* connections */
	uint32_t max_setups;   /* domains made, devices opened and bound */
};

struct config_rule;
struct config_vfio;

struct config {
	enum config_backend backend;
	char *socket_path;
	uid_t session_uid_base; /* session n runs as base + n when started as root */
	uint32_t max_sessions;	/* of all users together */
	uint32_t session_uids;	/* that are kept for sessions: at least max_sessions */
	uint32_t sim_devices;
	bool allow_unsafe_interrupts;
	bool allow_test_kernel;
	struct config_rule *rules;
	size_t rule_count;
	struct config_vfio *vfio; /* devices for vfio-pci, at the start */
	size_t vfio_count;
	unsigned file_count; /* that it was read from */
};

enum config_people { CONFIG_USER, CONFIG_GROUP };

/* How to go about it; each may be NULL. */
struct config_reading {
	/* is told of every problem */
	void (*problem)(void *arg, const struct fault *f);
	/* used instead of config_resolve() */
	int (*resolve)(void *arg, enum config_people kind, const char *name, uint32_t *id);
	void *arg;
};

/*
 * Read a file, and what is in the folder beside it, into *c. On failure returns -errno, *why says
 * "FILE:LINE: reason" of the first problem, and *c holds nothing. A path of NULL gives the defaults:
 * no rules, nobody gets anything. how: borrowed, or NULL.
 */
int config_load_with(const char *path, const struct config_reading *how, struct config *c,
		     struct fault *why);
int config_load(const char *path, struct config *c, struct fault *why);
void config_deinit(struct config *c);

/* The number of a name, asked of the system's user database: may take as long as that likes. 0,
 * -ENOENT for an unknown name, or what the database says. */
int config_resolve(enum config_people kind, const char *name, uint32_t *id);

/* The passwd file of this machine; whoever comes from elsewhere is not in it. */
#define CONFIG_PASSWD "/etc/passwd"
/* Does a user of a passwd file have a uid that sessions run as? Then *why names the first. */
bool config_uids_taken(const struct config *c, const char *passwd, struct fault *why);

/* --check-config: problems to standard error, else what is in force to standard output. Needs no
 * privilege. Returns the exit status. */
int config_check(const char *path);
const char *config_backend_name(enum config_backend b);
int config_backend_by_name(const char *name, enum config_backend *b);

/* Is the peer named by any rule? A stranger is turned away before a session is started. */
bool policy_knows(const struct config *c, const struct peer *p);
/* IOB_ACCESS_* that the peer has to the device; 0: none, and it must not learn of it. */
uint32_t policy_device_access(const struct config *c, const struct peer *p,
			      const struct glue_device *d);
bool policy_may_create_domain(const struct config *c, const struct peer *p);
/* May the peer see (never change) the domains of others? */
bool policy_may_inspect_all(const struct config *c, const struct peer *p);
/* May the peer move the device between the host's driver and vfio-pci? */
bool policy_may_move(const struct config *c, const struct peer *p, const struct glue_device *d);
/* Is the device to be on vfio-pci from the start? Never a bridge to another bus. */
bool policy_wants_vfio(const struct config *c, const struct glue_device *d);
/* One of the patterns for that, as it was written; NULL beyond the last. Does it match? */
const char *policy_vfio_word(const struct config *c, size_t index);
bool policy_vfio_matches(const struct config *c, size_t index, const struct glue_device *d);
/* The largest of what the rules naming the peer give. */
void policy_quota(const struct config *c, const struct peer *p, struct quota *q);

#endif
