/*
 * See fuzz.h: the folder of a target that wants files.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include <ftw.h>

#include "regress/fuzz/fuzz.h"

static char folder[256];

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

static void
remove_folder(void)
{
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *
fuzz_folder(void)
{
	const char *base = getenv("TMPDIR");
	int n;

	if (folder[0] == '\0') {
		n = snprintf(folder, sizeof(folder), "%s/relais-fuzz-XXXXXX",
		    base != NULL ? base : "/tmp");
		require(n > 0 && (size_t)n < sizeof(folder));
		require(mkdtemp(folder) != NULL);
		atexit(remove_folder);
	}
	return folder;
}
