#!/bin/sh
# The public header alone, clean under C11, C17 and C++17. Arguments: source folder, C compiler, C++ compiler.
set -eu
source=$1 c=$2 cxx=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '#include <cuttlefish/cuttlefish.h>\nint main(void)\n{\n    const cf_train_options options = CF_TRAIN_OPTIONS_DEFAULT;\n    return options.steps != -1 || cf_version() == 0;\n}\n' >"$work/use.c"
cp "$work/use.c" "$work/use.cpp"
for standard in c11 c17; do
    "$c" -std=$standard -Wall -Wextra -pedantic -Wstrict-prototypes -Werror -I"$source/include" -c "$work/use.c" \
        -o "$work/use.o"
done
"$cxx" -std=c++17 -Wall -Wextra -pedantic -Werror -I"$source/include" -c "$work/use.cpp" -o "$work/use.o"
