/* Runs one Check test case and turns its result into an exit status. */
#ifndef TESTS_UNIT_SUITE_H
#define TESTS_UNIT_SUITE_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* True if the program TOOL is installed; else says that TEST is skipped for want of it. */
static inline bool suite_has(const char *tool, const char *test)
{
	char command[128];
	(void)snprintf(command, sizeof(command), "command -v %s >/dev/null", tool);
	if (system(command) == 0) /* NOLINT */
		return true;
	(void)printf("SKIP %s: %s is not installed\n", test, tool);
	(void)fflush(stdout);
	return false;
}

/* A hang ends after this long. Check's own 4 s are too few for a sanitizer on a busy machine. */
#define SUITE_TIMEOUT_S 150

static inline int suite_run(const char *name, TCase *tc)
{
	tcase_set_timeout(tc, SUITE_TIMEOUT_S);
	Suite *s = suite_create(name);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	int ran = srunner_ntests_run(sr);
	srunner_free(sr);
	return failed == 0 && ran > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
