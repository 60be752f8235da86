/*
 * relaisd, the master process: reads the configuration, starts the workers
 * and watches them. Runs as root, so it reads no mail and no network octet.
 */
#include <stdlib.h>

#include "os/log.h"

int
main(void)
{
	log_init("relaisd", LOG_TO_STDERR);
	log_info("starting");
	return EXIT_SUCCESS;
}
