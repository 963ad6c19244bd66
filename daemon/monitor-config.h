/* SPDX-License-Identifier: MIT */
/*
 * monitor-config.h - the configuration file and the policy it expresses.
 *
 * Pure but for reading the file: no socket, no root. Whoever is not named gets nothing.
 */
#ifndef DAEMON_MONITOR_CONFIG_H
#define DAEMON_MONITOR_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/peer.h"
#include "kernel-glue/glue.h"

#define CONFIG_DEFAULT_PATH "/etc/iommu-broker/iommu-broker.conf"
#define CONFIG_MAX_RULES    1024u

enum config_backend {
	CONFIG_BACKEND_AUTO,
	CONFIG_BACKEND_SIM,
	CONFIG_BACKEND_TYPE1,
	CONFIG_BACKEND_IOMMUFD,
};

/* What one user may use at the same time, over all connections. */
struct quota {
	uint64_t max_bytes; /* mapped, all domains together */
	uint32_t max_mappings;
	uint32_t max_sessions;
	uint32_t max_domains;
	uint32_t max_devices;
};

struct config_rule;
struct config_vfio;

struct config {
	enum config_backend backend;
	char *socket_path;
	uid_t session_uid_base; /* session n runs as base + n when started as root */
	uint32_t max_sessions;	/* of all users together */
	uint32_t sim_devices;
	bool allow_unsafe_interrupts;
	bool allow_test_kernel;
	struct config_rule *rules;
	size_t rule_count;
	struct config_vfio *vfio; /* devices for vfio-pci, at the start */
	size_t vfio_count;
};

/*
 * Read a file into *c. On failure returns -errno, *why says "FILE:LINE: reason", and *c holds
 * nothing. A path of NULL gives the defaults: no rules, nobody gets anything.
 */
int config_load(const char *path, struct config *c, struct fault *why);
void config_deinit(struct config *c);

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
/* Is the device to be on vfio-pci from the start? Never a bridge. */
bool policy_wants_vfio(const struct config *c, const struct glue_device *d);
/* One of the patterns for that, as it was written; NULL beyond the last. Does it match? */
const char *policy_vfio_word(const struct config *c, size_t index);
bool policy_vfio_matches(const struct config *c, size_t index, const struct glue_device *d);
/* The largest of what the rules naming the peer give. */
void policy_quota(const struct config *c, const struct peer *p, struct quota *q);

#endif
