/* SPDX-License-Identifier: MIT */
/*
 * doctor_tree.h - a machine made of files below a directory, for the tests of "iommuctl doctor".
 *
 * tree_make() makes a healthy one: an Intel machine with an IOMMU, two devices on vfio-pci, one of
 * them in a group with a bridge, one device of the host's, a policy that gives both, a daemon that
 * serves (a child that plays it), systemd with its units. A test changes one thing in it.
 */
#ifndef TESTS_UNIT_DOCTOR_TREE_H
#define TESTS_UNIT_DOCTOR_TREE_H

#include "client/doctor.h"

#define TREE_MONITOR 4242

/* What the child does with a connection. */
enum tree_broker {
	BROKER_SERVES,
	BROKER_IS_OLDER, /* another version than ours */
	BROKER_SIMULATES,
	BROKER_USES_TYPE1,
	BROKER_HAS_GIVEN_ONE,
	BROKER_DENIES,
	BROKER_IS_FULL,
	BROKER_WANTS_OTHER_PROTOCOL,
	BROKER_FAILS,
	BROKER_IS_SILENT,
};

extern char tree_root[64];

/* What a test looks at: the machine in the tree. */
extern struct doctor view;

/* The fixture of such tests: a healthy machine, and the view of it. */
void tree_set_up(void);
void tree_tear_down(void);
/* Of what was found: the first with this in its object (NULL: any), how many, and is this advised? */
const struct doctor_finding *tree_find(enum doctor_id id, const char *object);
size_t tree_count(enum doctor_id id);
bool tree_mends(const struct doctor_finding *f, const char *words);

void tree_make(void);
void tree_remove(void);
/* The view that a test looks through: of the tree, with stand-ins for programs. */
void tree_view(struct doctor *d);

/* All paths are below the root and begin with a slash; parents are made. */
void tree_put(const char *path, const char *text);
void tree_link(const char *path, const char *target);
void tree_delete(const char *path);
void tree_program(const char *path, const char *script);
/* A device directory as the kernel makes it. driver NULL: none; group -1: none. */
void tree_device(const char *bdf, const char *class_code, const char *driver, int group);
void tree_cdev(const char *bdf, const char *cdev);

/* The daemon's stand-in, listening at the usual place. Ended by tree_remove() at the latest. */
void tree_broker_start(enum tree_broker what);
void tree_broker_stop(void);

#endif
