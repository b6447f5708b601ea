/* Tree -> YAML text. Inside the room only. */
#ifndef CFI_CONFIG_EMIT_H
#define CFI_CONFIG_EMIT_H

#include "base/text.h"
#include "config/yaml.h"

/* Block style, lists of single values in one line, quotes only where they are needed. What is emitted parses
 * to the same tree and is emitted the same again. Failures stay in text->status. */
void cfi_emit(cfi_text *text, const cfi_yaml_node *root);

#endif
