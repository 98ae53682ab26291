# The Node addon: node_asgi.node, loaded by lib/binding.js.

find_program(NODE_EXECUTABLE NAMES node nodejs REQUIRED)

function(ask_node script out)
  execute_process(
    COMMAND "${NODE_EXECUTABLE}" -p "${script}"
    WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
    OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE result ERROR_VARIABLE error)
  if(NOT result EQUAL 0)
    set(answer "")
  endif()
  set(${out} "${answer}" PARENT_SCOPE)
endfunction()

if(NOT NODE_INCLUDE_DIR)
  ask_node("path.resolve(fs.realpathSync(process.execPath), '../../include/node')" found)
  set(NODE_INCLUDE_DIR "${found}" CACHE PATH "Folder of node_api.h and uv.h" FORCE)
endif()
foreach(header node_api.h uv.h)
  if(NOT EXISTS "${NODE_INCLUDE_DIR}/${header}")
    message(FATAL_ERROR "Expected ${header} in '${NODE_INCLUDE_DIR}' and found none. "
      "Node's archives bring it; Debian's nodejs package needs libnode-dev; "
      "or pass -DNODE_INCLUDE_DIR=<folder>.")
  endif()
endforeach()

if(NOT NODE_ADDON_API_DIR)
  ask_node("require('node-addon-api').include_dir" found)
  get_filename_component(found "${found}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
  set(NODE_ADDON_API_DIR "${found}" CACHE PATH "Folder of napi.h" FORCE)
endif()
if(NOT EXISTS "${NODE_ADDON_API_DIR}/napi.h")
  set(missing "${NODE_ADDON_API_DIR}")
  unset(NODE_ADDON_API_DIR CACHE)
  message(FATAL_ERROR "Expected napi.h in '${missing}' and found none: run npm ci first.")
endif()

add_library(node_asgi MODULE ${addon_sources})
set_target_properties(node_asgi PROPERTIES PREFIX "" SUFFIX ".node")
# Node's headers come before the system's, whose libuv may be an older one.
target_include_directories(node_asgi SYSTEM BEFORE PRIVATE "${NODE_INCLUDE_DIR}" "${NODE_ADDON_API_DIR}")
# The last: a worker that is being terminated cannot take an exception; it is dropped instead of aborting Node.
target_compile_definitions(node_asgi PRIVATE
  NAPI_VERSION=8 NAPI_CPP_EXCEPTIONS NODE_ADDON_API_DISABLE_DEPRECATED
  NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS)
target_link_libraries(node_asgi PRIVATE node_asgi_core)
if(APPLE)
  target_link_options(node_asgi PRIVATE -undefined dynamic_lookup)
else()
  # When the worker that loaded the addon ends, the Python thread still runs this code.
  target_link_options(node_asgi PRIVATE -Wl,-z,nodelete)
endif()
if(ipo_supported)
  set_target_properties(node_asgi PROPERTIES INTERPROCEDURAL_OPTIMIZATION ON)
endif()
