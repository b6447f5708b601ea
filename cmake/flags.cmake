# Compiler flags for every target. The first line is about results, the others about mistakes.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
option(CF_WARNINGS_ARE_ERRORS "Treat compiler warnings as errors" OFF)

# The same bits everywhere: a*b+c is fused only where the source says fma (docs/math/arithmetic.md).
add_compile_options(-ffp-contract=off -fno-fast-math)
add_compile_definitions(_POSIX_C_SOURCE=200809L)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT CF_SANITIZE)
  add_compile_options(-fstack-protector-strong)
  add_compile_definitions(_FORTIFY_SOURCE=2)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wformat=2
  -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wundef -Wswitch-enum -Wvla)
if(CF_WARNINGS_ARE_ERRORS)
  add_compile_options(-Werror)
endif()

if(CF_SANITIZE)
  add_compile_options(-fsanitize=${CF_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${CF_SANITIZE})
endif()
