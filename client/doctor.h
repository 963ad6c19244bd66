/* SPDX-License-Identifier: MIT */
/*
 * doctor.h - "iommuctl doctor": what keeps this machine from working, and how to mend it.
 *
 * A check looks at a view of the machine and adds findings; it changes nothing and knows no other
 * way to look. The view is rooted at a directory, so that a tree of prepared files can make each
 * finding true. Asking the broker is a part of the view as well: doctor_probe() answers once.
 *
 *   doctor.c           the table of checks, and the list of findings
 *   doctor-view.c      files, links and directories below the root
 *   doctor-inventory.c PCI devices and their IOMMU groups
 *   doctor-boot.c      the kernel's command line, and how it is changed
 *   doctor-modprobe.c  what keeps modules from being loaded
 *   doctor-drivers.c   how a device comes to vfio-pci
 *   doctor-config.c    what the configuration gives, as far as the checks need it
 *   doctor-checker.c   what iommu-brokerd says of the configuration
 *   doctor-probe.c     the broker itself, asked with a limit of time; programs and what they print
 *   doctor-print.c     findings for people
 *   doctor-json.c      findings for programs; the layout is documented in iommuctl(1)
 *
 * and the checks, by subject: doctor-iommu.c, -modules.c, -kernel.c, -safety.c, -devices.c,
 * -groups.c, -drivers.c, -nodes.c, -policy.c, -daemon.c, -service.c, -systemd.c.
 */
#ifndef CLIENT_DOCTOR_H
#define CLIENT_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "doctor-ids.h"
#include "iommubroker.h"

/* ---- findings ---- */

enum doctor_severity {
	DOCTOR_OK,	/* looked at, and in order */
	DOCTOR_NOTE,	/* good to know */
	DOCTOR_WARNING, /* works, but not as it should */
	DOCTOR_ERROR,	/* keeps the broker, or a device that was given to somebody, from working */
	DOCTOR_SEVERITIES
};

struct doctor_finding {
	enum doctor_severity severity;
	enum doctor_id id;
	char *object; /* BDF, path, module, process: what it is about */
	char *text;   /* what is so */
	char *why;    /* why it matters, or NULL */
	char **mend;  /* commands or lines, in this order */
	size_t mend_count;
};

/* ---- the view ---- */

/* A PCI device as sysfs shows it. */
struct doctor_device {
	char name[IOB_NAME_BYTES];
	char driver[64]; /* "" when it has none */
	uint32_t vendor;
	uint32_t device;
	uint32_t class_code;
	long group;		     /* -1: no IOMMU serves it */
	bool vfio;		     /* on vfio-pci or another VFIO driver */
	bool harmless;		     /* may stay in a group of which another device is given out */
	bool noiommu;		     /* VFIO made its group up: nothing contains its DMA */
	bool bridge;		     /* to another bus: vfio-pci does not take it */
	bool sriov;		     /* has virtual functions enabled */
	char physfn[IOB_NAME_BYTES]; /* whose virtual function it is, or "" */
	char cdev[32];	/* "vfio3", or "" when the kernel makes no character device for it */
	bool in_policy; /* a rule gives it to somebody */
	bool meant;	/* by its address, or its ids: not just among others */
	bool wanted;	/* it is on VFIO, or the configuration tells that it should be */
};

/* What a "device =" of a rule names. */
struct doctor_pattern {
	char text[64];
	char file[256]; /* below the root */
	unsigned line;
};

struct doctor_config {
	int error; /* 0, or the -errno with which the file could not be read */
	size_t rules;
	struct doctor_pattern *patterns;
	size_t pattern_count;
	struct doctor_pattern *vfio; /* of [drivers] */
	size_t vfio_count;
	bool domains;		      /* some rule lets its users make domains */
	bool allow_unsafe_interrupts; /* of [daemon] */
	bool allow_test_kernel;
	char backend[16];
	char socket[256];
	uint32_t max_sessions;
	uint32_t session_uid_base;
};

#define DOCTOR_MAX_OPEN 256u

/* What the broker said. */
struct doctor_answer {
	int code; /* IOB_OK, or where it stopped; IOB_E_CONNECT: nobody to ask */
	int step;
	int sys_errno;
	char text[IOB_MAX_TEXT + 1];
	uint32_t backend;
	struct iob_status_rep status;
	uint32_t open_count; /* devices that its clients have, as far as the asker may see */
	char open[DOCTOR_MAX_OPEN][IOB_NAME_BYTES];
	bool silent; /* it took the connection and said nothing in time */
};

struct doctor {
	/* who looks, and at what; see doctor_init() */
	const char *root;   /* "" for this machine, else a directory that stands for one */
	uid_t uid;	    /* who looks, and asks the broker */
	uid_t root_uid;	    /* whom the files of root belong to: 0, or the owner of the directory */
	gid_t root_gid;	    /* the same of its group */
	const char *socket; /* or NULL: as configured */
	const char *config; /* path below the root, beginning with a slash */
	bool config_asked;  /* it is the one that somebody wants to know about */
	const char *brokerd;   /* program, or NULL: there is none to be found */
	bool brokerd_foreign;  /* it is of another machine, and not run */
	const char *checker;   /* one of ours that is run in its place, or NULL */
	const char *systemctl; /* program, or NULL: is not asked */
	const char *gzip;      /* program, or NULL: what is packed is not read */
	unsigned patience_ms;  /* for each program, and for the broker */

	/* read once, before the checks */
	char *kernel_config; /* what the kernel was built with, or NULL: nobody says */
	struct doctor_config policy;
	struct doctor_device *devices; /* sorted by name */
	size_t device_count;
	long monitor_pid; /* of a running monitor, or 0 */
	struct doctor_answer answer;

	struct doctor_finding *findings;
	size_t finding_count;
	char **unseen; /* what only root could have seen */
	size_t unseen_count;
	bool iommu_off;	       /* no IOMMU serves any device; that has been said */
	bool hardware_matters; /* false: only the simulator is configured, or answers */
	bool notes_only;       /* the check that runs finds nothing worse than a note */
};

/* The view of this machine, or of the one below root. Strings are borrowed. */
void doctor_init(struct doctor *d, const char *root);
/* Look at everything. Findings are then in d. */
void doctor_run(struct doctor *d);
void doctor_deinit(struct doctor *d);
size_t doctor_count(const struct doctor *d, enum doctor_severity severity);

void doctor_print(const struct doctor *d);
void doctor_json(const struct doctor *d);
const char *doctor_severity_name(enum doctor_severity severity);
const char *doctor_id_name(enum doctor_id id);

/* ---- for checks ---- */

/*
 * Add a finding; then, of the one just added: why it matters, and one more command that mends it. What
 * is not printable ASCII becomes '?': names of files and words of other programs end here.
 */
void doctor_add(struct doctor *d, enum doctor_severity severity, enum doctor_id id,
		const char *object, const char *format, ...) __attribute__((format(printf, 5, 6)));
void doctor_why(struct doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void doctor_mend(struct doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* How a device comes to vfio-pci, with what shares its group; NULL: one that is yet to be chosen. */
void doctor_mend_bind(struct doctor *d, const struct doctor_device *device);
/* The daemon started again, its configuration read again, what it logged: by systemd or by hand. */
void doctor_mend_restart(struct doctor *d);
void doctor_mend_reload(struct doctor *d);
void doctor_mend_log(struct doctor *d);
/* Units that are masked first, so that the next line can start them. */
void doctor_mend_unmask(struct doctor *d);
/* Something could not be looked at by this user. */
void doctor_unseen(struct doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- doctor-view.c ---- */

#define DOCTOR_PATH 512u

/* Path below the root; false when it does not fit. */
bool doctor_path(const struct doctor *d, char path[DOCTOR_PATH], const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A whole file of at most 4 MiB, ended with NUL, for free(). NULL: errno says why. */
char *doctor_file(const struct doctor *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The first line of a file. False when it cannot be read; errno says why. */
bool doctor_line(const struct doctor *d, char *line, size_t bytes, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Does it belong to root, or to the one who looks? */
bool doctor_is_ours(const struct doctor *d, uid_t owner);
/* The owner of a file or directory. */
bool doctor_owner(const struct doctor *d, uid_t *owner, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool doctor_exists(const struct doctor *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Last component of where a link points to. */
bool doctor_link(const struct doctor *d, char *name, size_t bytes, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Names in a directory without those that begin with a dot, sorted. -errno when it cannot be read.
 * To be released with doctor_names_free(). */
struct doctor_names {
	char **names;
	size_t count;
};
int doctor_names(const struct doctor *d, struct doctor_names *n, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void doctor_names_free(struct doctor_names *n);
/* The next line of a text that is cut up on the way; NULL at its end. */
char *doctor_next_line(char **rest);
/* Is this one of the words of a text, separated by blanks? */
bool doctor_has_word(const char *text, const char *word);

void doctor_free_pointer(void *pointer);
#define doctor_cleanup_free  __attribute__((cleanup(doctor_free_pointer)))
#define doctor_cleanup_names __attribute__((cleanup(doctor_names_free)))
/* Out of memory ends the program. */
void *doctor_need(void *memory);

/* ---- doctor-boot.c ---- */

#define DOCTOR_WORD 256u

/* The kernel's command line, for free(); "" when it cannot be read. */
char *doctor_boot_line(const struct doctor *d);
/* The next word that sets a parameter, as "name=value" or "name"; false: there is none in the rest. */
bool doctor_boot_word(const char **rest, const char *name, char word[DOCTOR_WORD]);
/* Is a, and not b, the last of the two that the lists of this parameter have? */
bool doctor_boot_says(const char *line, const char *name, const char *a, const char *b);
/* Add the words whose lists have this part, with a blank between them. */
void doctor_boot_collect(const char *line, const char *name, const char *part,
			 char words[DOCTOR_WORD]);
/* Mend by words put in or taken out, "" for none, the way this distribution does it. */
void doctor_mend_kernel_line(struct doctor *d, const char *in, const char *out);

/* ---- doctor-modprobe.c ---- */

/* Say that a module, which is installed, is not loaded, what keeps it from that, and the mends. */
void doctor_module_not_loaded(struct doctor *d, const char *module);
/* Mend by loading it, now and at each start. */
void doctor_mend_load(struct doctor *d, const char *module);

/* ---- doctor-inventory.c ---- */

void doctor_inventory(struct doctor *d);
const struct doctor_device *doctor_device_by_name(const struct doctor *d, const char *name);
/* Does this pattern of a rule fit the device? */
bool doctor_pattern_fits(const struct doctor_pattern *p, const struct doctor_device *device);
/* Is the pattern a PCI address, or the ids of vendor and device? */
bool doctor_pattern_is_name(const struct doctor_pattern *p);
bool doctor_pattern_is_id(const struct doctor_pattern *p);

/* ---- doctor-config.c ---- */

void doctor_config_read(struct doctor *d);
void doctor_config_free(struct doctor_config *c);

/* ---- doctor-checker.c ---- */

/* Let this iommu-brokerd check the configuration, and tell what it says; or tell why it could not. */
void doctor_ask_brokerd(struct doctor *d, const char *brokerd);
void doctor_config_unchecked(struct doctor *d, const char *reason);

/* ---- doctor-probe.c ---- */

/* Ask the broker at this socket. Comes back after d->patience_ms at the latest. */
void doctor_probe(struct doctor *d, const char *socket_path);
/* Where the broker is to listen: asked for, configured, or the usual place; below the root. */
void doctor_socket_path(const struct doctor *d, char path[DOCTOR_PATH]);
/*
 * Run a program, by its absolute path, in the root, without a shell, and take what it writes, of both
 * outputs, up to some KiB. Its exit status, or -errno: -ETIMEDOUT when it did not end in time.
 */
int doctor_program(const struct doctor *d, char *const argv[], char *output, size_t bytes);
/* The monitor's process, found by its name; 0 when there is none. */
long doctor_find_monitor(const struct doctor *d);

/* ---- checks ---- */

void doctor_check_iommu(struct doctor *d);
void doctor_check_modules(struct doctor *d);
void doctor_check_kernel(struct doctor *d);
void doctor_check_test_kernel(struct doctor *d);
void doctor_check_interrupts(struct doctor *d);
void doctor_check_noiommu(struct doctor *d);
void doctor_check_acs(struct doctor *d);
void doctor_check_devices(struct doctor *d);
void doctor_check_groups(struct doctor *d);
void doctor_check_drivers(struct doctor *d);
void doctor_check_nodes(struct doctor *d);
void doctor_check_holders(struct doctor *d);
void doctor_check_config(struct doctor *d);
void doctor_check_policy(struct doctor *d);
void doctor_check_policy_devices(struct doctor *d);
void doctor_check_programs(struct doctor *d);
void doctor_check_daemon(struct doctor *d);
void doctor_check_limits(struct doctor *d);
void doctor_check_systemd(struct doctor *d);

/* Reads d->kernel_config. Then what is said of an option: 'y', 'm', 'n', or '?' for nothing. */
void doctor_kernel_config(struct doctor *d);
char doctor_kernel_option(const struct doctor *d, const char *option);
/* Before 6.6, by its number? */
bool doctor_is_too_old_for_iommufd(const struct doctor *d);
/* Could there be a character device for each VFIO device, without which iommufd is of no use? */
bool doctor_has_cdevs(const struct doctor *d);
/* The one that answers, is configured, or would be chosen: IOB_BACKEND_. */
uint32_t doctor_backend(const struct doctor *d);
/* Is the daemon, or would it be, a service of systemd's? */
bool doctor_is_service(const struct doctor *d);
/* Where systemd listens for the daemon. False: it does not, or does not say where. */
bool doctor_unit_socket(const struct doctor *d, char path[DOCTOR_PATH]);
/* Major * 1000 + minor of the running kernel; 0 when it cannot be told. */
unsigned doctor_kernel_version(const struct doctor *d, char release[128]);

#endif
