#include "python/library.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "python/api.h"

namespace node_asgi::python {

#define R(name, result, parameters) result(*name) parameters = nullptr;
#define O(name, result, parameters) result(*name) parameters = nullptr;
#define D(name, type) type* name = nullptr;
#define P(name) PyObject** name = nullptr;
#include "python/api_list.h"
#undef R
#undef O
#undef D
#undef P

namespace {

LibraryInfo& Bound() {
  static LibraryInfo& info = *new LibraryInfo;
  return info;
}

std::string RealPath(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) != nullptr ? resolved : path;
}

// The first missing required entry, or null.
const char* FillTable(void* handle) {
  const char* missing = nullptr;
  auto find = [&](const char* name, bool required) {
    void* symbol = dlsym(handle, name);
    if (symbol == nullptr && required && missing == nullptr) missing = name;
    return symbol;
  };
#define R(name, result, parameters) name = reinterpret_cast<decltype(name)>(find(#name, true));
#define O(name, result, parameters) name = reinterpret_cast<decltype(name)>(find(#name, false));
#define D(name, type) name = reinterpret_cast<decltype(name)>(find(#name, true));
#define P(name) name = reinterpret_cast<decltype(name)>(find(#name, true));
#include "python/api_list.h"
#undef R
#undef O
#undef D
#undef P
  return missing;
}

#ifdef RTLD_DEEPBIND
bool Contains(const std::string& path, std::string_view text) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  struct stat status {};
  const size_t size = fstat(file, &status) == 0 ? static_cast<size_t>(status.st_size) : 0;
  void* bytes = size > 0 ? mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
  close(file);
  if (bytes == MAP_FAILED) return false;
  const bool found = memmem(bytes, size, text.data(), text.size()) != nullptr;
  munmap(bytes, size);
  return found;
}
#endif

// Node exports zlib's symbols. A libz that comes with libpython, as Debian's does, would call
// Node's copies of its own functions; Pillow, which calls this libz, crashes between the two.
// Loaded before, and preferring itself, it stays whole.
void LoadZlibApart(const std::string& libpython) {
#ifdef RTLD_DEEPBIND
  // The sanitizers abort at RTLD_DEEPBIND.
  if (dlsym(RTLD_DEFAULT, "__asan_init") != nullptr ||
      dlsym(RTLD_DEFAULT, "__tsan_init") != nullptr)
    return;
  using namespace std::string_view_literals;
  if (!Contains(libpython, "\0libz.so.1\0"sv)) return;
  const std::string beside = libpython.substr(0, libpython.rfind('/') + 1) + "libz.so.1";
  constexpr int kMode = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
  if (dlopen(beside.c_str(), kMode) == nullptr) dlopen("libz.so.1", kMode);
#else
  (void)libpython;
#endif
}

}  // namespace

const LibraryInfo& Library() { return Bound(); }

bool LoadLibrary(const std::vector<std::string>& candidates, const std::string& version,
                 bool isolate, LibraryInfo* info, bridge::Failure* failure) {
  std::string tried;
  for (const std::string& candidate : candidates) {
    const std::string path = RealPath(candidate);
    if (isolate) LoadZlibApart(path);
    // RTLD_GLOBAL: extension modules resolve Python's symbols through the global scope.
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (handle == nullptr) {
      tried += "\n  " + candidate + ": " + dlerror();
      continue;
    }
    auto get_version = reinterpret_cast<const char* (*)()>(dlsym(handle, "Py_GetVersion"));
    if (get_version == nullptr) {
      tried += "\n  " + candidate + ": has no Py_GetVersion, so it is no libpython";
      continue;
    }
    LibraryInfo found;
    const std::string text = get_version();
    found.version = text.substr(0, text.find(' '));
    // The whole version: another build of the same minor may lie beside it, whose standard library
    // differs.
    if (found.version != version) {
      tried += "\n  " + candidate + ": is Python " + found.version + ", expected " + version;
      continue;
    }
    // A second, different libpython in one process silently gives the first one: ask what was
    // really bound.
    Dl_info real;
    found.path =
        dladdr(reinterpret_cast<void*>(get_version), &real) != 0 ? RealPath(real.dli_fname) : path;
    if (found.path != path) {
      *failure = {"ERR_PYTHON_MISMATCH", "expected Python from " + path +
                                             ", but this process has already loaded " + found.path};
      return false;
    }
    if (const char* missing = FillTable(handle)) {
      tried += "\n  " + candidate + ": lacks " + missing;
      continue;
    }
    Bound() = found;
    *info = found;
    return true;
  }
  *failure = {"ERR_PYTHON_LIBRARY", "no libpython " + version + " could be loaded; tried:" +
                                        (tried.empty() ? " nothing, the list was empty" : tried)};
  return false;
}

}  // namespace node_asgi::python
