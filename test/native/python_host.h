// A running Python for tests: the shared library of /usr/bin/python3, or of the python3 on PATH.
#ifndef NODE_ASGI_TEST_PYTHON_HOST_H_
#define NODE_ASGI_TEST_PYTHON_HOST_H_

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <future>
#include <sstream>
#include <string>

#include "host/runtime.h"
#include "python/call.h"
#include "python/error.h"

namespace node_asgi::test {

inline std::string Output(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  std::array<char, 512> buffer;
  while (fgets(buffer.data(), buffer.size(), pipe) != nullptr) text += buffer.data();
  pclose(pipe);
  return text;
}

inline python::InterpreterConfig FindPython() {
  python::InterpreterConfig config;
  for (const char* candidate : {"/usr/bin/python3", "python3"}) {
    std::istringstream lines(Output(
        std::string(candidate) +
        " -c 'import os, sys, sysconfig; v = sysconfig.get_config_var;"
        "print(sys.version.split()[0]); print(sys.executable);"
        "n = [v(\"INSTSONAME\"), v(\"LDLIBRARY\")];"
        "d = [v(\"LIBDIR\"), \"/usr/lib/\" + str(v(\"MULTIARCH\"))];"
        "[print(os.path.join(a, b)) for a in d for b in n"
        " if a and b and \".so\" in b and os.path.exists(os.path.join(a, b))]' 2>/dev/null"));
    std::getline(lines, config.version);
    std::getline(lines, config.program_name);
    for (std::string library; std::getline(lines, library);) config.libraries.push_back(library);
    if (!config.libraries.empty()) break;
  }
  config.package_path = std::string(NODE_ASGI_SOURCE_DIR) + "/lib/python";
  config.native_symbols = "shared";
  config.loop = "asyncio";
  return config;
}

inline host::Runtime& StartedRuntime() {
  host::Runtime& runtime = host::Runtime::Get();
  bridge::Failure failure;
  if (!runtime.Start(FindPython(), &failure)) {
    ADD_FAILURE() << failure.message;
    std::abort();
  }
  return runtime;
}

// Runs `call` on the Python thread and waits for it.
inline void OnPython(const std::function<void(const python::GilHeld&)>& call) {
  auto done = std::make_shared<std::promise<std::string>>();
  auto future = done->get_future();
  StartedRuntime().Call(
      [call, done](const python::GilHeld& gil) {
        call(gil);
        done->set_value("");
      },
      [done](const bridge::Failure& failure) { done->set_value(failure.message); });
  ASSERT_EQ(future.wait_for(std::chrono::seconds(30)), std::future_status::ready)
      << "the Python thread does not answer";
  ASSERT_EQ(future.get(), "");
}

// Runs Python source that defines `async def main(...)` with the given native objects as its
// arguments, on the loop. Answers repr() of the result, or the traceback.
inline std::string RunMain(
    const std::string& source,
    const std::function<std::vector<python::Owned>(const python::GilHeld&)>& make_arguments) {
  auto done = std::make_shared<std::promise<std::string>>();
  auto future = done->get_future();
  OnPython([&](const python::GilHeld& gil) {
    using namespace python;  // NOLINT(build/namespaces)
    const Owned globals = Owned::Steal(PyDict_New());
    const Owned builtins = Owned::Steal(PyImport_ImportModule("builtins"));
    const Owned key = Text(gil, "__builtins__");
    PyDict_SetItem(globals.get(), key.get(), builtins.get());
    const Owned ran = Owned::Steal(
        PyRun_StringFlags(source.c_str(), Py_file_input, globals.get(), globals.get(), nullptr));
    if (!ran) return done->set_value(TakeFailure(gil, "").traceback);
    const Owned name = Text(gil, "main");
    const std::vector<Owned> arguments = make_arguments(gil);
    std::vector<PyObject*> raw;
    for (const Owned& argument : arguments) raw.push_back(argument.get());
    Owned coroutine = Owned::Steal(
        CallVector(PyDict_GetItemWithError(globals.get(), name.get()), raw.data(), raw.size()));
    host::Runtime::Get().loop().Submit(
        gil, std::move(coroutine), [done](const GilHeld& held, Owned result) {
          if (!result) return done->set_value(TakeFailure(held, "").traceback);
          done->set_value(TextOf(held, Owned::Steal(PyObject_Repr(result.get()))));
        });
  });
  if (future.wait_for(std::chrono::seconds(30)) != std::future_status::ready) return "no answer";
  return future.get();
}

inline std::string RunMain(const std::string& source) {
  return RunMain(source, [](const python::GilHeld&) { return std::vector<python::Owned>(); });
}

}  // namespace node_asgi::test

#endif  // NODE_ASGI_TEST_PYTHON_HOST_H_
