// Reads the messages of the ASGI extensions (asgiref extensions.rst).
// Thread: the Python thread. Every reader raises a Python error that says what was expected and
// what came.
#ifndef NODE_ASGI_ASGI_EXTENSIONS_H_
#define NODE_ASGI_ASGI_EXTENSIONS_H_

#include <cstdint>
#include <string>

#include "bridge/file_descriptor.h"
#include "python/gil.h"
#include "python/ref.h"

namespace node_asgi::asgi {

// An extension of the spec: its bit of bridge::Ability and its key in scope["extensions"].
struct Extension {
  uint32_t ability;
  const char* name;
};
inline constexpr int kExtensions = 7;
extern const Extension extension_table[kExtensions];

// http.response.early_hint: values of Link fields, each on a line.
bool ReadEarlyHint(const python::GilHeld& gil, python::Borrowed message, std::string* links);

struct Push {
  std::string path;
  std::string headers;  // name \n value …
};
bool ReadPush(const python::GilHeld& gil, python::Borrowed message, Push* push);

struct Trailers {
  std::string headers;  // name \n value …, without fields that a trailer may not have
  bool more_trailers = false;
};
bool ReadTrailers(const python::GilHeld& gil, python::Borrowed message, Trailers* trailers);

// A part of a regular file.
struct FilePart {
  bridge::FileDescriptor file;
  uint64_t offset = 0;
  uint64_t count = 0;  // bytes; never past the end of the file as it is now
  bool more_body = false;
};
// http.response.pathsend. Opens the file, so what is wrong with it is raised here (checklist E-11).
bool ReadPathSend(const python::GilHeld& gil, python::Borrowed message, FilePart* part);
// http.response.zerocopysend. The app may close its file afterwards: the part has its own
// descriptor.
bool ReadZeroCopySend(const python::GilHeld& gil, python::Borrowed message, FilePart* part);

// http.response.debug: the info as JSON.
bool ReadDebug(const python::GilHeld& gil, python::Borrowed message, std::string* json);

}  // namespace node_asgi::asgi

#endif  // NODE_ASGI_ASGI_EXTENSIONS_H_
