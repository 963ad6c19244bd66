/* SPDX-License-Identifier: MIT */
/*
 * doctor-ids.h - every finding by its name. Names are a promise, kept in iommuctl(1): none is ever
 * renamed or given another meaning. A test makes each of them true.
 */
#ifndef CLIENT_DOCTOR_IDS_H
#define CLIENT_DOCTOR_IDS_H

#define DOCTOR_IDS(X)                                                 \
	X(KERNEL_TOO_OLD, "kernel-too-old")                           \
	X(KERNEL_TOO_OLD_FOR_IOMMUFD, "kernel-too-old-for-iommufd")   \
	X(KERNEL_TOO_OLD_FOR_MAP_FILE, "kernel-too-old-for-map-file") \
	X(KERNEL, "kernel")                                           \
	X(KERNEL_WITHOUT_CDEV, "kernel-without-cdev")                 \
	X(KERNEL_LOCKDOWN, "kernel-lockdown")                         \
	X(KERNEL_FOR_TESTING, "kernel-for-testing")                   \
	X(IOMMU_NONE, "iommu-none")                                   \
	X(IOMMU_OF_XEN, "iommu-of-xen")                               \
	X(IOMMU_OFF_IN_FIRMWARE, "iommu-off-in-firmware")             \
	X(IOMMU_OFF_ON_KERNEL_LINE, "iommu-off-on-kernel-line")       \
	X(IOMMU_NOT_ASKED_FOR, "iommu-not-asked-for")                 \
	X(IOMMU_NOT_BUILT, "iommu-not-built")                         \
	X(IOMMU_NOT_STARTED, "iommu-not-started")                     \
	X(IOMMU_SERVES_NOTHING, "iommu-serves-nothing")               \
	X(IOMMU, "iommu")                                             \
	X(MODULE_NOT_LOADED, "module-not-loaded")                     \
	X(MODULE_NOT_BUILT, "module-not-built")                       \
	X(MODULE_NOT_INSTALLED, "module-not-installed")               \
	X(MODULE_FILES_MISSING, "module-files-missing")               \
	X(MODULE_BLOCKED, "module-blocked")                           \
	X(BACKENDS, "backends")                                       \
	X(NODE_MISSING, "node-missing")                               \
	X(MODULE, "module")                                           \
	X(UNSAFE_INTERRUPTS_ALLOWED, "unsafe-interrupts-allowed")     \
	X(INTERRUPT_REMAPPING_OFF, "interrupt-remapping-off")         \
	X(INTERRUPTS, "interrupts")                                   \
	X(NOIOMMU_MODE, "noiommu-mode")                               \
	X(ACS_OVERRIDDEN, "acs-overridden")                           \
	X(DEVICE_NOIOMMU, "device-noiommu")                           \
	X(NO_DEVICE_ON_VFIO, "no-device-on-vfio")                     \
	X(DEVICE_HAS_VFS, "device-has-vfs")                           \
	X(DEVICES, "devices")                                         \
	X(POLICY_DEVICE_ABSENT, "policy-device-absent")               \
	X(POLICY_DEVICE_BRIDGE, "policy-device-bridge")               \
	X(POLICY_DEVICE_DRIVER, "policy-device-driver")               \
	X(POLICY_DEVICE_WITHOUT_IOMMU, "policy-device-without-iommu") \
	X(POLICY_PATTERN_UNMATCHED, "policy-pattern-unmatched")       \
	X(GROUP_NOT_VIABLE, "group-not-viable")                       \
	X(GROUP_RESERVED, "group-reserved")                           \
	X(GROUPS, "groups")                                           \
	X(DRIVERS_NOT_MOVED, "drivers-not-moved")                     \
	X(NODE_CLOSED, "node-closed")                                 \
	X(NODE_NOT_ROOTS, "node-not-roots")                           \
	X(DEVICE_NODE_MISSING, "device-node-missing")                 \
	X(DEVICE_HELD, "device-held")                                 \
	X(CONFIG_MISSING, "config-missing")                           \
	X(CONFIG_UNREADABLE, "config-unreadable")                     \
	X(CONFIG_WRONG, "config-wrong")                               \
	X(CONFIG, "config")                                           \
	X(CONFIG_UNCHECKED, "config-unchecked")                       \
	X(POLICY_EMPTY, "policy-empty")                               \
	X(POLICY_WITHOUT_DEVICES, "policy-without-devices")           \
	X(POLICY_WITHOUT_DOMAINS, "policy-without-domains")           \
	X(SESSION_UIDS_TAKEN, "session-uids-taken")                   \
	X(POLICY, "policy")                                           \
	X(BROKERD_MISSING, "brokerd-missing")                         \
	X(PROGRAMS, "programs")                                       \
	X(HELPER_MISSING, "helper-missing")                           \
	X(DAEMON_NOT_RUNNING, "daemon-not-running")                   \
	X(SOCKET_MISSING, "socket-missing")                           \
	X(SOCKET_STALE, "socket-stale")                               \
	X(SOCKET_DENIED, "socket-denied")                             \
	X(SOCKET_WRONG, "socket-wrong")                               \
	X(DAEMON_REFUSES, "daemon-refuses")                           \
	X(DAEMON_SILENT, "daemon-silent")                             \
	X(DAEMON, "daemon")                                           \
	X(DAEMON_VERSION, "daemon-version")                           \
	X(DAEMON_SIMULATES, "daemon-simulates")                       \
	X(SYSTEMD_MASKED, "systemd-masked")                           \
	X(SYSTEMD_FAILED, "systemd-failed")                           \
	X(SYSTEMD_NOT_ENABLED, "systemd-not-enabled")                 \
	X(SYSTEMD_UNITS_MISSING, "systemd-units-missing")             \
	X(SYSTEMD, "systemd")                                         \
	X(MEMLOCK, "memlock")                                         \
	X(MEMLOCK_LIMITED, "memlock-limited")                         \
	X(SERVICE_TASKS, "service-tasks")                             \
	X(SERVICE_MEMORY, "service-memory")                           \
	X(SERVICE_DESCRIPTORS, "service-descriptors")                 \
	X(DAEMON_FULL, "daemon-full")                                 \
	X(DAEMON_FAILS, "daemon-fails")

#define DOCTOR_ID(symbol, name) DOCTOR_IS_##symbol,
enum doctor_id { DOCTOR_IDS(DOCTOR_ID) DOCTOR_ID_COUNT };
#undef DOCTOR_ID

#endif
