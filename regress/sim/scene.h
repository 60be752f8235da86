/*
 * What scene.c and faults.c share.
 */
#ifndef SIM_SCENE_H
#define SIM_SCENE_H

#include "sim.h"

/* Plans all that breaks, for so long. */
void faults_plan(int64_t time);
/* Mends it. */
void faults_mend(void);
/* Master, and with it all. */
void faults_start_master(void *unused);

#endif
