/*
 * relaisd, the master process: reads the configuration, starts the workers
 * and watches them. Runs as root, so it reads no mail and no network octet.
 */
#include <stdlib.h>

#include "master/options.h"
#include "os/log.h"

int
main(int argc, char **argv)
{
	struct master_options options;
	int status = EXIT_SUCCESS;
	bool check;

	log_init("relaisd", LOG_TO_STDERR);
	options_parse(&options, &check, argc, argv);
	if (check)
		status = options_check(&options);
	else
		log_info("starting");
	options_free(&options);
	return status;
}
