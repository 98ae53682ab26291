#include "python/interpreter.h"

#include <dlfcn.h>
#include <signal.h>

#include <climits>
#include <cstdlib>
#include <cstring>

#include "python/call.h"
#include "python/error.h"
#include "python/interned.h"
#include "python/library.h"
#include "python/ready_awaitable.h"

namespace node_asgi::python {
namespace {

bridge::Failure StartFailure(const std::string& what) {
  return {"ERR_PYTHON_START", "Python " + Library().version + " did not start: " + what};
}

// CPython 3.8 to 3.13.
bool StartClassic(const InterpreterConfig& config, bridge::Failure* failure) {
  if (Py_PreInitialize == nullptr || PyPreConfig_InitPythonConfig == nullptr ||
      Py_SetProgramName == nullptr || Py_DecodeLocale == nullptr || PyStatus_Exception == nullptr ||
      PySys_SetArgvEx == nullptr) {
    *failure = StartFailure("the library lacks Py_PreInitialize or its companions");
    return false;
  }
  PyPreConfig pre;
  PyPreConfig_InitPythonConfig(&pre);
  pre.utf8_mode = 1;  // without it, all encodings become ascii when LANG is unset
  pre.configure_locale = 0;
  pre.coerce_c_locale = 0;
  pre.parse_argv = 0;
  const PyStatus status = Py_PreInitialize(&pre);
  if (PyStatus_Exception(status) != 0) {
    *failure =
        StartFailure(status.err_msg != nullptr ? status.err_msg : "pre-initialisation failed");
    return false;
  }
  // Python keeps the pointers: leaked on purpose.
  Py_SetProgramName(Py_DecodeLocale(config.program_name.c_str(), nullptr));
  Py_InitializeEx(0);
  static wchar_t empty[] = L"";
  static wchar_t* arguments[] = {empty, nullptr};
  PySys_SetArgvEx(1, arguments, 0);
  return true;
}

// CPython 3.14 and later (PEP 741). Not tested where no such Python is installed.
bool StartFromInitConfig(const InterpreterConfig& config, bridge::Failure* failure) {
  PyInitConfig* init = PyInitConfig_Create();
  const struct {
    const char* name;
    int64_t value;
  } numbers[] = {{"isolated", 0},
                 {"use_environment", 1},
                 {"user_site_directory", 1},
                 {"utf8_mode", 1},
                 {"configure_locale", 0},
                 {"parse_argv", 0},
                 {"install_signal_handlers", 0},
                 {"configure_c_stdio", 0},
                 {"safe_path", 1}};
  bool ok = init != nullptr;
  for (const auto& number : numbers)
    ok = ok && PyInitConfig_SetInt(init, number.name, number.value) == 0;
  ok = ok && PyInitConfig_SetStr(init, "program_name", config.program_name.c_str()) == 0;
  char empty[] = "";
  char* arguments[] = {empty};
  ok = ok && PyInitConfig_SetStrList(init, "argv", 1, arguments) == 0;
  ok = ok && Py_InitializeFromInitConfig(init) == 0;
  if (!ok) {
    const char* message = nullptr;
    if (init != nullptr) PyInitConfig_GetError(init, &message);
    *failure = StartFailure(message != nullptr ? message : "no reason was given");
  }
  PyInitConfig_Free(init);
  return ok;
}

// Loads the package from its folder without adding the folder to sys.path, where it could shadow
// the user's.
constexpr char kBootstrap[] = R"(
def load(path):
    import importlib.util, sys
    spec = importlib.util.spec_from_file_location(
        'node_asgi', path + '/node_asgi/__init__.py', submodule_search_locations=[path + '/node_asgi'])
    module = importlib.util.module_from_spec(spec)
    sys.modules['node_asgi'] = module
    spec.loader.exec_module(module)
)";

// Loads the package and keeps Python's extension modules off Node's symbols.
bool LoadPackage(const GilHeld& gil, const InterpreterConfig& config) {
  const Owned globals = Owned::Steal(PyDict_New());
  if (!globals) return false;
  const Owned builtins = Owned::Steal(PyImport_ImportModule("builtins"));
  const Owned key = Text(gil, "__builtins__");
  if (!builtins || PyDict_SetItem(globals.get(), key.get(), builtins.get()) != 0) return false;
  const Owned ran = Owned::Steal(
      PyRun_StringFlags(kBootstrap, Py_file_input, globals.get(), globals.get(), nullptr));
  const Owned name = Text(gil, "load");
  if (!ran) return false;
  const Borrowed load = PyDict_GetItemWithError(globals.get(), name.get());
  const Owned path = Text(gil, config.package_path);
  if (!load || !Call(gil, load, {path.get()})) return false;
  const Owned mode = Text(gil, config.native_symbols);
  return static_cast<bool>(CallFunction(gil, "node_asgi.isolation", "install", {mode.get()}));
}

// The package must be there before `site` is: the .pth files that site reads may import ssl, or
// zlib, which stay bound to what they were first bound to. Nothing but an audit hook runs before.
struct BeforeSite {
  const InterpreterConfig& config;
  bool loading = false;
  bool loaded = false;
};

int OnAudit(const char* event, PyObject* arguments, void* data) {
  auto& before = *static_cast<BeforeSite*>(data);
  if (before.loading || std::strcmp(event, "import") != 0) return 0;
  const GilHeld gil = GilHeld::FromPython();
  if (TextOf(gil, PyTuple_GetItem(arguments, 0)) != "site") return 0;
  before.loading = true;
  before.loaded = LoadPackage(gil, before.config);
  PyErr_Clear();  // tried again after the start, where a failure can be told
  return 0;
}

bool IsPythonHandler(const struct sigaction& action) {
  if ((action.sa_flags & SA_SIGINFO) == 0 &&
      (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)) {
    return false;
  }
  Dl_info info;
  char path[PATH_MAX];
  return dladdr(reinterpret_cast<void*>(action.sa_handler), &info) != 0 &&
         realpath(info.dli_fname, path) != nullptr && Library().path == path;
}

}  // namespace

bool StartInterpreter(const InterpreterConfig& config, bridge::Failure* failure) {
  // Python keeps the hook for good.
  auto& before = *new BeforeSite{config};
  PySys_AddAuditHook(&OnAudit, &before);
  const bool started = PyInitConfig_Create != nullptr ? StartFromInitConfig(config, failure)
                                                      : StartClassic(config, failure);
  if (!started) return false;
  const GilHeld gil = GilHeld::FromPython();
  before.loading = true;
  if (!FindTypeOffset(gil) || !InternNames(gil) || !(before.loaded || LoadPackage(gil, config)) ||
      !CallFunction(gil, "node_asgi.startup", "prepare") || !DefineAwaitables(gil)) {
    *failure = TakeFailure(gil, "ERR_PYTHON_START");
    return false;
  }
  return true;
}

struct SignalGuard::State {
  int number;
  struct sigaction action;
};

SignalGuard::SignalGuard() {
  for (int number = 1; number < NSIG; ++number) {
    State state{number, {}};
    if (sigaction(number, nullptr, &state.action) == 0 && !IsPythonHandler(state.action)) {
      before_.push_back(state);
    }
  }
}

SignalGuard::~SignalGuard() = default;

std::vector<int> SignalGuard::Restore() {
  std::vector<int> restored;
  for (const State& state : before_) {
    struct sigaction now;
    // Only what became Python's: Node may have installed handlers of its own meanwhile.
    if (sigaction(state.number, nullptr, &now) != 0 || !IsPythonHandler(now)) continue;
    if (sigaction(state.number, &state.action, nullptr) == 0) restored.push_back(state.number);
  }
  return restored;
}

}  // namespace node_asgi::python
