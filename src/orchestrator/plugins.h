/* The orchestrators of this build; a new one: a folder, and a line here and in orchestrator.c. */
#ifndef CFI_ORCHESTRATOR_PLUGINS_H
#define CFI_ORCHESTRATOR_PLUGINS_H

#include "orchestrator/orchestrator.h"

extern const cfi_orchestrator_ops cfi_orchestrator_local;

#endif
