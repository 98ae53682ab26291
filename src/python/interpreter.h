// Starts the process's one Python interpreter on the calling thread, which becomes Python's main
// thread. Thread: the Python thread. Teardown: never finalised (Py_FinalizeEx hangs on a live
// non-daemon thread).
#ifndef NODE_ASGI_PYTHON_INTERPRETER_H_
#define NODE_ASGI_PYTHON_INTERPRETER_H_

#include <string>
#include <vector>

#include "bridge/failure.h"
#include "python/gil.h"

namespace node_asgi::python {

struct InterpreterConfig {
  std::vector<std::string> libraries;  // candidates for libpython, best first
  std::string version;                 // "3.11.2"
  std::string program_name;            // absolute path of the (virtual) environment's python
  std::string package_path;            // folder that holds the package node_asgi
  std::string native_symbols;          // 'auto', 'isolated' or 'shared'
  std::string loop;                    // 'auto', 'asyncio', 'uvloop' or 'module:factory'
};

// Needs a loaded library. On success the calling thread holds the GIL, the package node_asgi is
// imported and native symbols are isolated. On failure: a Failure (ERR_PYTHON_START), and Python
// must not be used.
bool StartInterpreter(const InterpreterConfig& config, bridge::Failure* failure);

// Signal handlers that an app took from Node by signal.signal().
class SignalGuard {
 public:
  SignalGuard();
  // Gives back every signal whose handler has become Python's since construction; returns their
  // numbers.
  std::vector<int> Restore();

 private:
  struct State;
  std::vector<State> before_;

 public:
  ~SignalGuard();
};

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_INTERPRETER_H_
