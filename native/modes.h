/* What start.c chooses between. Each returns the exit status. */
#ifndef TSRUN_MODES_H
#define TSRUN_MODES_H
#include "monitor.h"
#include "sys.h"

int run_init(char **argv, char **envp);
int run_monitor(void);

#endif
