// Loads libpython at run time and fills the table of python/api.h.
// Thread: any, under the caller's lock (host/runtime). Teardown: never unloaded.
#ifndef NODE_ASGI_PYTHON_LIBRARY_H_
#define NODE_ASGI_PYTHON_LIBRARY_H_

#include <string>
#include <vector>

#include "bridge/failure.h"

namespace node_asgi::python {

struct LibraryInfo {
  std::string path;     // real path of what was bound, as dladdr tells it
  std::string version;  // "3.11.2"
};

// Tries the candidates in order and binds the first whose version is `version` ("3.11.2").
// `isolate`: keep what comes with it off the symbols that Node exports.
// False with a failure (ERR_PYTHON_LIBRARY) that names every candidate and why it would not do.
bool LoadLibrary(const std::vector<std::string>& candidates, const std::string& version,
                 bool isolate, LibraryInfo* info, bridge::Failure* failure);

// What LoadLibrary bound. Valid after it succeeded.
const LibraryInfo& Library();

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_LIBRARY_H_
