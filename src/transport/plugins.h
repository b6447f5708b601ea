/* The plug-ins of this build, for transport.c alone. */
#ifndef CFI_TRANSPORT_PLUGINS_H
#define CFI_TRANSPORT_PLUGINS_H

#include "transport/transport.h"

extern const cfi_transport_ops cfi_transport_inproc, cfi_transport_zeromq;

#endif
