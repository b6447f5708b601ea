#!/bin/sh
# The public header alone, clean under C11, C17 and C++17. Arguments: source folder, C compiler, C++ compiler.
set -eu
source=$1 c=$2 cxx=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/use.c" <<'CODE'
#include <cuttlefish/cuttlefish.h>
int main(void)
{
    const cf_train_options options = CF_TRAIN_OPTIONS_DEFAULT;
    return options.steps != -1 || cf_version() == 0;
}
CODE
cp "$work/use.c" "$work/use.cpp"
for standard in c11 c17; do
    "$c" -std=$standard -Wall -Wextra -pedantic -Wstrict-prototypes -Werror -I"$source/include" -c "$work/use.c" \
        -o "$work/use.o"
done
"$cxx" -std=c++17 -Wall -Wextra -pedantic -Werror -I"$source/include" -c "$work/use.cpp" -o "$work/use.o"
