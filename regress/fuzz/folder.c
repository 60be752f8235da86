/*
 * See fuzz.h: the folder of a target that wants files.
 */
#include "config.h"

#include <stdio.h>

#include <ftw.h>

#include "regress/fuzz/fuzz.h"

static char folder[] = "/tmp/relais-fuzz-XXXXXX";

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
	static int made;

	if (!made) {
		require(mkdtemp(folder) != NULL);
		made = 1;
		atexit(remove_folder);
	}
	return folder;
}
