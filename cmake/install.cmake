# What users get: the command, the header, the shared and the static library, pkg-config and a CMake package.
include(CMakePackageConfigHelpers)

# The static library is one relocatable object whose hidden symbols are made local, so that a program linked to it sees
# only cf_ names, as with the shared one.
set(CF_STATIC_FILE ${PROJECT_BINARY_DIR}/libcuttlefish.a)
add_custom_command(
  OUTPUT ${CF_STATIC_FILE}
  COMMAND ${CMAKE_LINKER} -r -o cuttlefish_all.o $<TARGET_OBJECTS:cf_objects>
  COMMAND ${CMAKE_OBJCOPY} --localize-hidden cuttlefish_all.o
  COMMAND ${CMAKE_COMMAND} -E rm -f ${CF_STATIC_FILE}
  COMMAND ${CMAKE_AR} rcs ${CF_STATIC_FILE} cuttlefish_all.o
  DEPENDS $<TARGET_OBJECTS:cf_objects>
  WORKING_DIRECTORY ${PROJECT_BINARY_DIR}
  COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(cuttlefish_static ALL DEPENDS ${CF_STATIC_FILE})

install(TARGETS cuttlefish EXPORT cuttlefishTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CF_STATIC_FILE} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/cuttlefish/cuttlefish.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cuttlefish)
if(TARGET cuttlefish_command)
  install(TARGETS cuttlefish_command DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

configure_file(cmake/cuttlefish.pc.in ${PROJECT_BINARY_DIR}/cuttlefish.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cuttlefish.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(CF_PACKAGE_FOLDER ${CMAKE_INSTALL_LIBDIR}/cmake/cuttlefish)
configure_package_config_file(cmake/cuttlefishConfig.cmake.in ${PROJECT_BINARY_DIR}/cuttlefishConfig.cmake
  INSTALL_DESTINATION ${CF_PACKAGE_FOLDER} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cuttlefishConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cuttlefishConfig.cmake ${PROJECT_BINARY_DIR}/cuttlefishConfigVersion.cmake
  DESTINATION ${CF_PACKAGE_FOLDER})
install(EXPORT cuttlefishTargets NAMESPACE cuttlefish:: DESTINATION ${CF_PACKAGE_FOLDER})
