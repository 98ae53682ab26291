// A real Python on the fuzzer's own thread, without the loop, and a target's helpers in Python.
// Thread: the one that libFuzzer calls LLVMFuzzerTestOneInput on; it holds the GIL for ever.
#ifndef NODE_ASGI_TEST_FUZZ_PYTHON_FUZZ_H_
#define NODE_ASGI_TEST_FUZZ_PYTHON_FUZZ_H_

#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>

#include "bridge/live_count.h"
#include "fuzz/require.h"
#include "python/call.h"
#include "python/error.h"
#include "python/interpreter.h"
#include "python/library.h"
#include "python_host.h"

namespace node_asgi::fuzz {

inline void StartPython() {
  // Every object a block of its own, so that AddressSanitizer sees the use of a freed one.
  setenv("PYTHONMALLOC", "malloc", 1);
  const python::InterpreterConfig config = test::FindPython();
  python::LibraryInfo library;
  bridge::Failure failure;
  const bool started =
      python::LoadLibrary(config.libraries, config.version, false, &library, &failure) &&
      python::StartInterpreter(config, &failure);
  Require(started, "Python starts", failure.message);
}

// The names of a Python file next to the target. It is run once and never let go of.
class Helpers {
 public:
  Helpers(const python::GilHeld& gil, const std::string& file) {
    using namespace python;  // NOLINT(build/namespaces): the C API table reads as ordinary C API
    std::ifstream stream(std::string(NODE_ASGI_SOURCE_DIR "/test/fuzz/") + file);
    const std::string source((std::istreambuf_iterator<char>(stream)), {});
    Require(!source.empty(), "the helpers can be read", file);
    const Owned builtins = Owned::Steal(PyImport_ImportModule("builtins"));
    const Owned builtins_name = Text(gil, "__builtins__");
    const Owned module_name = Text(gil, "__name__");
    const Owned name = Text(gil, file);
    globals_ = Owned::Steal(PyDict_New());
    PyDict_SetItem(globals_.get(), builtins_name.get(), builtins.get());
    PyDict_SetItem(globals_.get(), module_name.get(), name.get());
    const Owned ran = Owned::Steal(
        PyRun_StringFlags(source.c_str(), Py_file_input, globals_.get(), globals_.get(), nullptr));
    if (!ran) Require(false, "the helpers run", TakeFailure(gil, "").traceback);
  }

  // Calls a helper. One that raises says that a promise is broken.
  python::Owned Call(const python::GilHeld& gil, const char* name,
                     std::initializer_list<PyObject*> arguments) const {
    using namespace python;  // NOLINT(build/namespaces): the C API table reads as ordinary C API
    const Owned key = Text(gil, name);
    const Borrowed function = PyDict_GetItemWithError(globals_.get(), key.get());
    Require(static_cast<bool>(function), "the helper exists", name);
    Owned result = python::Call(gil, function, arguments);
    if (!result) Require(false, name, TakeFailure(gil, "").traceback);
    return result;
  }

 private:
  python::Owned globals_;
};

// Requires that as many references of ours live at the end of a scope as at its start.
class SameReferences {
 public:
  SameReferences() = default;
  SameReferences(const SameReferences&) = delete;
  SameReferences& operator=(const SameReferences&) = delete;
  ~SameReferences() {
    static_assert(bridge::kCountsLive);
    const long after = bridge::LiveCount(bridge::Live::kReference);
    Require(after == before_, "no reference of ours is left",
            std::to_string(before_) + " before, " + std::to_string(after) + " after");
  }

 private:
  const long before_ = bridge::LiveCount(bridge::Live::kReference);
};

}  // namespace node_asgi::fuzz

#endif  // NODE_ASGI_TEST_FUZZ_PYTHON_FUZZ_H_
