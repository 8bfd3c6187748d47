# install.cmake: what `cmake --install` puts where. Reference pages and completions are written by
# the `lg` that is installed, when it is.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS lg lg-program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}) # side by side
if(TARGET lg-program-static)
  install(TARGETS lg-program-static RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(TARGETS lossgraph EXPORT lossgraph LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        PUBLIC_HEADER DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${LG_ARCHIVE} DESTINATION ${CMAKE_INSTALL_LIBDIR})

# For pkg-config and find_package: both find the rest from where they stand.
file(RELATIVE_PATH LG_PC_UP ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${CMAKE_CURRENT_LIST_DIR}/lossgraph.pc.in ${CMAKE_BINARY_DIR}/lossgraph.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/lossgraph.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/lossgraphConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(EXPORT lossgraph NAMESPACE lossgraph:: FILE lossgraphConfig.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/lossgraph)
install(FILES ${CMAKE_BINARY_DIR}/lossgraphConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/lossgraph)

# The library of the language is inside `lg`; its sources are for reading.
install(DIRECTORY ${CMAKE_SOURCE_DIR}/stdlib DESTINATION ${CMAKE_INSTALL_DATADIR}/lossgraph
        FILES_MATCHING PATTERN "*.lg")
install(FILES ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/CHANGES.md
        ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
set(LG_SHARE ${CMAKE_BINARY_DIR}/share)
install(CODE "
  file(REMOVE_RECURSE \"${LG_SHARE}\")
  file(MAKE_DIRECTORY \"${LG_SHARE}/completion\")
  execute_process(COMMAND \"$<TARGET_FILE:lg>\" doc -o \"${LG_SHARE}/doc\" RESULT_VARIABLE failed)
  foreach(shell bash zsh fish)
    if(NOT failed)
      execute_process(COMMAND \"$<TARGET_FILE:lg>\" completion \${shell} RESULT_VARIABLE failed
                      OUTPUT_FILE \"${LG_SHARE}/completion/\${shell}\")
    endif()
  endforeach()
  if(failed)
    message(FATAL_ERROR \"lg cannot write its reference pages: \${failed}\")
  endif()")
install(DIRECTORY ${LG_SHARE}/doc/man1 ${LG_SHARE}/doc/man3 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${LG_SHARE}/doc/index.html DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${LG_SHARE}/completion/bash RENAME lg
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${LG_SHARE}/completion/zsh RENAME _lg
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${LG_SHARE}/completion/fish RENAME lg.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
