# The library that others link: libvmm.a and libvmm.so, headers, pkg-config and CMake package files.
include(CMakePackageConfigHelpers)

# An archive has no visibility: one relocatable object whose hidden symbols are made local, so that
# an embedder's own bus_add or ring_pop does not meet ours.
set(VMM_COMBINED ${CMAKE_CURRENT_BINARY_DIR}/libvmm_combined.o)
add_custom_command(OUTPUT ${VMM_COMBINED}
	COMMAND ${CMAKE_LINKER} -r -o ${VMM_COMBINED} $<TARGET_OBJECTS:vmm_objects>
	COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${VMM_COMBINED}
	DEPENDS vmm_objects $<TARGET_OBJECTS:vmm_objects>
	COMMAND_EXPAND_LISTS VERBATIM)
add_library(vmm_static STATIC ${VMM_COMBINED})
set_source_files_properties(${VMM_COMBINED} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
set_target_properties(vmm_static PROPERTIES
	OUTPUT_NAME vmm EXPORT_NAME static LINKER_LANGUAGE C)
target_include_directories(vmm_static INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(vmm_static INTERFACE fdt uring jansson nettle z Threads::Threads)

add_library(vmm_shared SHARED $<TARGET_OBJECTS:vmm_objects>)
set_target_properties(vmm_shared PROPERTIES
	OUTPUT_NAME vmm EXPORT_NAME vmm LINKER_LANGUAGE C
	VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
target_include_directories(vmm_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(vmm_shared
	PRIVATE dep_fdt dep_uring dep_jansson dep_nettle dep_zlib Threads::Threads)
target_link_options(vmm_shared PRIVATE -Wl,--no-undefined -Wl,--as-needed -Wl,-z,relro -Wl,-z,now)

install(TARGETS vmm_static vmm_shared EXPORT VmmTargets
	ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libvmm-dev
	LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libvmm0 NAMELINK_COMPONENT libvmm-dev)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME libvmm-dev)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/vmm DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
	FILES_MATCHING PATTERN "*.h")

set(VMM_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/Vmm)
install(EXPORT VmmTargets NAMESPACE Vmm:: DESTINATION ${VMM_CMAKE_DIR})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/VmmConfig.cmake.in
	${CMAKE_CURRENT_BINARY_DIR}/VmmConfig.cmake INSTALL_DESTINATION ${VMM_CMAKE_DIR})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/VmmConfigVersion.cmake
	COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/VmmConfig.cmake
	${CMAKE_CURRENT_BINARY_DIR}/VmmConfigVersion.cmake DESTINATION ${VMM_CMAKE_DIR})

configure_file(${CMAKE_CURRENT_LIST_DIR}/libvmm.pc.in ${CMAKE_CURRENT_BINARY_DIR}/libvmm.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/libvmm.pc
	DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(NOT VMM_PACKAGE) # which has them compressed
	install(FILES ${CMAKE_SOURCE_DIR}/docs/man/vmm.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
	install(FILES ${CMAKE_SOURCE_DIR}/docs/man/libvmm.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
endif()
