# Debian packages of what is installed: libvmm0, libvmm-dev and vmm. `cmake --preset package`, then
# `cmake --build --preset package` leaves them in build/package. See docs/packaging.md.
set(PACKAGING ${CMAKE_SOURCE_DIR}/packaging)
set(STAGED ${CMAKE_CURRENT_BINARY_DIR}/packaging)
set(CPACK_COMPONENTS_ALL libvmm0 libvmm-dev vmm)

# What the linker took, for the bill of materials and the licences.
set(MAPS ${CMAKE_BINARY_DIR}/vmm.map ${CMAKE_BINARY_DIR}/guest_kernel.map)
target_link_options(vmm PRIVATE -Wl,-Map=${CMAKE_BINARY_DIR}/vmm.map)
target_link_options(guest_kernel PRIVATE -Wl,-Map=${CMAKE_BINARY_DIR}/guest_kernel.map)

# Compressed without a name and a time in it.
function(vmm_compressed source component directory name)
	set(out ${STAGED}/${component}/${name}.gz)
	add_custom_command(OUTPUT ${out}
		COMMAND ${CMAKE_COMMAND} -E make_directory ${STAGED}/${component}
		COMMAND gzip -9nc ${source} > ${out}
		DEPENDS ${source} VERBATIM)
	set_property(GLOBAL APPEND PROPERTY VMM_STAGED ${out})
	install(FILES ${out} DESTINATION ${directory} COMPONENT ${component})
endfunction()

vmm_compressed(${CMAKE_SOURCE_DIR}/docs/man/vmm.1 vmm ${CMAKE_INSTALL_MANDIR}/man1 vmm.1)
vmm_compressed(${CMAKE_SOURCE_DIR}/docs/man/libvmm.3 libvmm-dev ${CMAKE_INSTALL_MANDIR}/man3 libvmm.3)
foreach(component ${CPACK_COMPONENTS_ALL})
	vmm_compressed(${PACKAGING}/debian/changelog ${component} share/doc/${component} changelog)
endforeach()
foreach(component libvmm0 libvmm-dev)
	install(FILES ${PACKAGING}/debian/copyright DESTINATION share/doc/${component}
		COMPONENT ${component})
endforeach()

# The bill of materials, and the licences: of what the programs were linked from.
set(SBOM ${STAGED}/vmm/vmm.spdx.json)
set(COPYRIGHT ${STAGED}/vmm/copyright)
add_custom_command(OUTPUT ${SBOM} ${COPYRIGHT}
	COMMAND ${CMAKE_COMMAND} -E make_directory ${STAGED}/vmm
	COMMAND ${PACKAGING}/sbom ${PROJECT_VERSION} ${MAPS} > ${SBOM}
	COMMAND ${PACKAGING}/copyright ${MAPS} > ${COPYRIGHT}
	DEPENDS vmm guest_kernel ${PACKAGING}/sbom ${PACKAGING}/copyright ${PACKAGING}/linked
		${PACKAGING}/licences ${PACKAGING}/debian/changelog ${PACKAGING}/debian/copyright VERBATIM)
set_property(GLOBAL APPEND PROPERTY VMM_STAGED ${SBOM} ${COPYRIGHT})
install(FILES ${SBOM} ${COPYRIGHT} DESTINATION share/doc/vmm COMPONENT vmm)

# A guest as a service.
configure_file(${PACKAGING}/systemd/vmm@.service.in ${STAGED}/vmm@.service @ONLY)
install(FILES ${STAGED}/vmm@.service DESTINATION lib/systemd/system COMPONENT vmm)
install(FILES ${PACKAGING}/guest.json DESTINATION share/doc/vmm/examples COMPONENT vmm)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME vmm)
set(CPACK_PACKAGE_CONTACT "the vmm authors <vmm@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "KVM virtual machine monitor that can be read")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(CPACK_DEBIAN_LIBVMM0_PACKAGE_NAME libvmm0)
set(CPACK_DEBIAN_LIBVMM0_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBVMM0_PACKAGE_CONTROL_EXTRA 
	${PACKAGING}/debian/shlibs;${PACKAGING}/debian/triggers)
set(CPACK_COMPONENT_LIBVMM0_DESCRIPTION
"The shared library, which makes and runs virtual machines on KVM: memory,
virtual CPUs, virtio devices, passed PCI devices, and a sandbox around them.")

set(CPACK_DEBIAN_LIBVMM-DEV_PACKAGE_NAME libvmm-dev)
set(CPACK_DEBIAN_LIBVMM-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBVMM-DEV_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_LIBVMM-DEV_PACKAGE_DEPENDS "libvmm0 (= ${PROJECT_VERSION}), libfdt-dev, liburing-dev, libjansson-dev, nettle-dev, zlib1g-dev")
set(CPACK_COMPONENT_LIBVMM-DEV_DESCRIPTION
"The headers, the archive, the pkg-config and CMake files and the manual page
of the library.")

set(CPACK_DEBIAN_VMM_PACKAGE_NAME vmm)
set(CPACK_DEBIAN_VMM_PACKAGE_SECTION misc)
set(CPACK_DEBIAN_VMM_PACKAGE_CONTROL_EXTRA ${PACKAGING}/debian/postinst;${PACKAGING}/debian/postrm)
set(CPACK_COMPONENT_VMM_DESCRIPTION
"The command, which boots Linux or the small kernel that comes with it,
measures what exits to the monitor cost, and passes PCI devices to guests.")

include(CPack)

# cpack writes the mask of its caller into the archives.
get_property(staged GLOBAL PROPERTY VMM_STAGED)
add_custom_target(packages
	COMMAND ${CMAKE_COMMAND} -E env ${PACKAGING}/pack
	DEPENDS vmm vmm_shared vmm_static guest_kernel completion ${staged}
	WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} USES_TERMINAL VERBATIM)
