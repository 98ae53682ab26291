#include "asgi/extensions.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "asgi/messages.h"
#include "bridge/ascii.h"
#include "bridge/exchange.h"
#include "bridge/request_head.h"
#include "python/call.h"
#include "python/error.h"
#include "python/interned.h"

namespace node_asgi::asgi {

using namespace python;  // NOLINT(build/namespaces): the C API table reads as ordinary C API

const Extension extension_table[kExtensions] = {
    {bridge::kPathSend, "http.response.pathsend"},
    {bridge::kZeroCopySend, "http.response.zerocopysend"},
    {bridge::kTrailers, "http.response.trailers"},
    {bridge::kEarlyHint, "http.response.early_hint"},
    {bridge::kPush, "http.response.push"},
    {bridge::kDebug, "http.response.debug"},
    {bridge::kWebSocket, "websocket.http.response"},
};

namespace {

// message[key], which must be there. Null with a Python error set. Owned: what is called with it
// may take it out of the message.
Owned Need(const GilHeld& gil, Borrowed message, PyObject* key, const char* what) {
  Owned value = Owned::Borrow(PyDict_GetItemWithError(message.get(), key));
  if (!value && PyErr_Occurred() == nullptr) {
    Raise(gil, *PyExc_ValueError,
          std::string(what) + ": the message has no '" + TextOf(gil, key) + "'");
  }
  return value;
}

// OSError(errno, text, filename), which becomes FileNotFoundError, PermissionError …
bool RaiseErrno(const GilHeld& gil, int number, Borrowed filename) {
  const Owned code = Owned::Steal(PyLong_FromLongLong(number));
  const Owned text = Text(gil, strerror(number));
  const Owned error = Call(gil, *PyExc_OSError, {code.get(), text.get(), filename.get()});
  if (error) PyErr_SetObject(Owned::Steal(PyObject_Type(error.get())).get(), error.get());
  return false;
}

bool ReadInteger(const GilHeld& gil, Borrowed value, const char* what, uint64_t* number) {
  if (!IsInstance(value, PyLong_Type) || IsInstance(value, PyBool_Type))
    return RaiseType(gil, what, "int", value);
  const long read = PyLong_AsLong(value.get());
  if (PyErr_Occurred() != nullptr) return false;
  if (read < 0) {
    Raise(gil, *PyExc_ValueError,
          std::string(what) + ": expected 0 or more, got " + std::to_string(read));
    return false;
  }
  *number = static_cast<uint64_t>(read);
  return true;
}

// Sets offset and count within the file's size; only regular files have one.
bool Measure(const GilHeld& gil, const char* what, FilePart* part, uint64_t wanted) {
  struct stat about {};
  if (fstat(part->file.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
    Raise(gil, *PyExc_ValueError, std::string(what) + ": expected a regular file");
    return false;
  }
  const uint64_t size = static_cast<uint64_t>(about.st_size);
  part->count = part->offset < size ? std::min(wanted, size - part->offset) : 0;
  return true;
}

bool IsForbiddenTrailer(std::string_view name) {
  // RFC 9110 section 6.5.1: framing, routing, request modifiers, authentication and content.
  constexpr std::string_view kForbidden[] = {"authorization",
                                             "cache-control",
                                             "connection",
                                             "content-encoding",
                                             "content-length",
                                             "content-range",
                                             "content-type",
                                             "host",
                                             "keep-alive",
                                             "max-forwards",
                                             "proxy-authenticate",
                                             "set-cookie",
                                             "te",
                                             "trailer",
                                             "transfer-encoding",
                                             "upgrade",
                                             "www-authenticate"};
  return std::any_of(std::begin(kForbidden), std::end(kForbidden), [name](std::string_view field) {
    return bridge::EqualsIgnoringCase(name, field);
  });
}

}  // namespace

bool ReadEarlyHint(const GilHeld& gil, Borrowed message, std::string* links) {
  constexpr const char* kWhat = "http.response.early_hint";
  const Owned given = Need(gil, message, Names().links, kWhat);
  if (!given) return false;
  return ForEach(
      gil, given, std::string(kWhat) + ": links", "an iterable of bytes", [&](Borrowed link) {
        std::string_view bytes;
        if (!ReadBytes(gil, link, kWhat, "link", &bytes)) return false;
        const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
        if (std::any_of(bytes.begin(), bytes.end(), is_control)) {
          Raise(gil, *PyExc_ValueError, std::string(kWhat) + ": a link holds a control character");
          return false;
        }
        if (!links->empty()) *links += '\n';
        links->append(bytes);
        return true;
      });
}

bool ReadPush(const GilHeld& gil, Borrowed message, Push* push) {
  constexpr const char* kWhat = "http.response.push";
  const Owned path = Need(gil, message, Names().path, kWhat);
  if (!path) return false;
  if (!IsInstance(path, PyUnicode_Type))
    return RaiseType(gil, std::string(kWhat) + ": path", "str", path);
  push->path = TextOf(gil, path);
  const auto is_bad = [](unsigned char c) { return c <= 0x20 || c >= 0x7f; };
  if (push->path.empty() || push->path[0] != '/' ||
      std::any_of(push->path.begin(), push->path.end(), is_bad)) {
    Raise(gil, *PyExc_ValueError,
          std::string(kWhat) + ": expected a path that begins with '/' and is percent-encoded");
    return false;
  }
  const Borrowed headers = PyDict_GetItemWithError(message.get(), Names().headers);
  if (!headers) return PyErr_Occurred() == nullptr;
  return ReadFields(gil, headers, kWhat, &push->headers);
}

bool ReadTrailers(const GilHeld& gil, Borrowed message, Trailers* trailers) {
  constexpr const char* kWhat = "http.response.trailers";
  std::string all;
  const Borrowed headers = PyDict_GetItemWithError(message.get(), Names().headers);
  if (headers && !ReadFields(gil, headers, kWhat, &all)) return false;
  if (PyErr_Occurred() != nullptr) return false;
  std::string_view rest = all;
  std::string_view name;
  std::string_view value;
  while (bridge::RequestHead::NextHeader(&rest, &name, &value)) {
    if (IsForbiddenTrailer(name)) continue;
    if (!trailers->headers.empty()) trailers->headers += '\n';
    trailers->headers.append(name).append(1, '\n').append(value);
  }
  return ReadFlag(gil, message, Names().more_trailers, &trailers->more_trailers);
}

bool ReadPathSend(const GilHeld& gil, Borrowed message, FilePart* part) {
  constexpr const char* kWhat = "http.response.pathsend";
  const Owned path = Need(gil, message, Names().path, kWhat);
  if (!path) return false;
  if (!IsInstance(path, PyUnicode_Type))
    return RaiseType(gil, std::string(kWhat) + ": path", "str", path);
  // As Python's own open() encodes it: undecodable bytes of a file name travel as surrogates.
  const Owned encoded = CallFunction(gil, "os", "fsencode", {path.get()});
  std::string_view bytes;
  if (!encoded || !ReadBytes(gil, encoded, kWhat, "path", &bytes)) return false;
  if (bytes.empty() || bytes[0] != '/' || bytes.find('\0') != std::string_view::npos) {
    Raise(gil, *PyExc_ValueError,
          std::string(kWhat) + ": expected an absolute path, got '" + std::string(bytes) + "'");
    return false;
  }
  const std::string name(bytes);
  // O_NONBLOCK: opening a pipe that nobody writes to must not stop the loop.
  part->file = bridge::FileDescriptor(open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!part->file) return RaiseErrno(gil, errno, path);
  return Measure(gil, kWhat, part, UINT64_MAX);
}

bool ReadZeroCopySend(const GilHeld& gil, Borrowed message, FilePart* part) {
  constexpr const char* kWhat = "http.response.zerocopysend";
  const Owned file = Need(gil, message, Names().file, kWhat);
  if (!file) return false;
  const Owned number = CallMethod(gil, file, "fileno");
  uint64_t fd = 0;
  if (!number || !ReadInteger(gil, number, "http.response.zerocopysend: fileno()", &fd))
    return false;
  part->file = bridge::FileDescriptor(fcntl(static_cast<int>(fd), F_DUPFD_CLOEXEC, 0));
  if (!part->file) return RaiseErrno(gil, errno, file);

  const Borrowed offset = PyDict_GetItemWithError(message.get(), Names().offset);
  if (!offset && PyErr_Occurred() != nullptr) return false;
  const bool from_here = !offset || offset.get() == PyNone();
  const Owned position = from_here ? CallMethod(gil, file, "tell") : Owned::Borrow(offset);
  if (!position || !ReadInteger(gil, position, "http.response.zerocopysend: offset", &part->offset))
    return false;
  uint64_t wanted = UINT64_MAX;
  const Borrowed count = PyDict_GetItemWithError(message.get(), Names().count);
  if (!count && PyErr_Occurred() != nullptr) return false;
  if (count && count.get() != PyNone() &&
      !ReadInteger(gil, count, "http.response.zerocopysend: count", &wanted))
    return false;
  if (!Measure(gil, kWhat, part, wanted)) return false;
  if (from_here) {
    // As sendfile() does, so that the next part follows this one.
    const Owned end =
        Owned::Steal(PyLong_FromLongLong(static_cast<long long>(part->offset + part->count)));
    if (!end || !CallMethod(gil, file, "seek", {end.get()})) return false;
  }
  return ReadFlag(gil, message, Names().more_body, &part->more_body);
}

bool ReadDebug(const GilHeld& gil, Borrowed message, std::string* json) {
  constexpr const char* kWhat = "http.response.debug";
  const Owned info = Need(gil, message, Names().info, kWhat);
  if (!info) return false;
  if (!IsInstance(info, PyDict_Type))
    return RaiseType(gil, std::string(kWhat) + ": info", "dict", info);
  // What JSON cannot say is for a test to look at: as text.
  const Owned text = CallFunction(gil, "node_asgi.errors", "to_json", {info.get()});
  if (!text) return false;
  *json = TextOf(gil, text);
  return true;
}

}  // namespace node_asgi::asgi
