// Any Python object as the message that an app sends. messages_fuzz.py makes it of the input, and
// tells how.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "asgi/extensions.h"
#include "asgi/messages.h"
#include "bridge/request_head.h"
#include "fuzz/python_fuzz.h"
#include "python/interned.h"

namespace node_asgi::asgi {
namespace {

using namespace python;  // NOLINT(build/namespaces): the C API table reads as ordinary C API
using fuzz::Require;

const fuzz::Helpers& Checks(const GilHeld& gil) {
  static const auto* const checks = new fuzz::Helpers(gil, "messages_fuzz.py");
  return *checks;
}

// Reads every byte, so that AddressSanitizer sees a view of what is gone.
std::string Copy(std::string_view bytes) {
  std::string copy;
  for (const char c : bytes) copy.push_back(c);
  return copy;
}

bool HoldsControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

void CheckFields(std::string_view fields) {
  if (fields.empty()) return;
  const auto separators = std::count(fields.begin(), fields.end(), '\n');
  Require(separators % 2 == 1, "fields come in pairs", Copy(fields));
  std::string_view rest = fields;
  std::string_view name;
  std::string_view value;
  while (bridge::RequestHead::NextHeader(&rest, &name, &value)) {
    Require(!name.empty() && name.find_first_of(" \t:\r\n") == name.npos, "a name is a token",
            Copy(fields));
    Require(!HoldsControl(name) && !HoldsControl(value), "a field holds no CR, LF or NUL",
            Copy(fields));
  }
}

// What a reader has read: parts for check_read(), each copied.
struct Read {
  bool ok = false;
  long number = 0;
  bool flag = false;
  std::string first;
  std::string second;
};

Read ReadAs(const GilHeld& gil, MessageType type, Borrowed message) {
  Read read;
  switch (type) {
    case MessageType::kHttpResponseStart:
    case MessageType::kWebSocketResponseStart: {
      ResponseStart start;
      read.ok = ReadResponseStart(gil, message, &start);
      CheckFields(start.headers);
      if (read.ok) {
        Require(start.status >= 200 && start.status <= 599, "a status is one of a final response");
      }
      read.number = start.status;
      read.flag = start.trailers;
      read.first = start.headers;
      if (start.content_length) read.second = std::to_string(*start.content_length);
      break;
    }
    case MessageType::kHttpResponseBody:
    case MessageType::kWebSocketResponseBody: {
      ResponseBody body;
      read.ok = ReadResponseBody(gil, message, &body);
      if (read.ok) read.first = Copy(body.body.bytes());
      read.flag = body.more_body;
      break;
    }
    case MessageType::kHttpResponseTrailers: {
      Trailers trailers;
      read.ok = ReadTrailers(gil, message, &trailers);
      CheckFields(trailers.headers);
      read.flag = trailers.more_trailers;
      read.first = trailers.headers;
      break;
    }
    case MessageType::kHttpResponseEarlyHint: {
      read.ok = ReadEarlyHint(gil, message, &read.first);
      std::string links = read.first;
      std::replace(links.begin(), links.end(), '\n', ' ');
      Require(!HoldsControl(links), "a link holds no CR or NUL");
      break;
    }
    case MessageType::kHttpResponsePush: {
      Push push;
      read.ok = ReadPush(gil, message, &push);
      CheckFields(push.headers);
      Require(!read.ok || !HoldsControl(push.path), "a path holds no CR, LF or NUL");
      read.first = push.headers;
      read.second = push.path;
      break;
    }
    case MessageType::kWebSocketAccept: {
      WebSocketAccept accept;
      read.ok = ReadWebSocketAccept(gil, message, {"chat", "v2"}, &accept);
      CheckFields(accept.headers);
      read.first = accept.headers;
      read.second = accept.subprotocol;
      break;
    }
    case MessageType::kWebSocketSend: {
      WebSocketMessage sent;
      read.ok = ReadWebSocketSend(gil, message, &sent);
      if (read.ok) read.first = Copy(sent.bytes);
      read.flag = sent.is_text;
      break;
    }
    case MessageType::kWebSocketClose: {
      WebSocketClose close;
      read.ok = ReadWebSocketClose(gil, message, &close);
      Require(close.reason.size() <= 123, "a reason fits into a control frame");
      read.number = close.code;
      read.first = close.reason;
      break;
    }
    default:  // pathsend, zerocopysend and debug touch files or are JSON's own
      read.ok = true;
  }
  return read;
}

// Reads a message as http_cycle and websocket_cycle do.
void CheckMessage(const GilHeld& gil, Owned message, Borrowed world) {
  std::string_view seen;
  const MessageType type = ReadType(gil, message, &seen);
  const std::string name(seen);  // reading the rest may change the message
  Owned error = TakeException(gil);
  Require((type == MessageType::kInvalid) == static_cast<bool>(error),
          "a type, or an error, not both");
  Read read;
  if (type != MessageType::kInvalid) {
    read = ReadAs(gil, type, message);
    error = TakeException(gil);
    if (read.ok && error) Checks(gil).Call(gil, "fail_both", {error.get(), world.get()});
    Require(read.ok != static_cast<bool>(error), "true, or an error, not both");
  }
  const Owned type_name = Text(gil, name);
  const Owned number = Owned::Steal(PyLong_FromLongLong(read.number));
  const Owned flag = Owned::Steal(PyBool_FromLong(read.flag));
  const Owned first = BytesOf(gil, read.first);
  const Owned second = BytesOf(gil, read.second);
  if (error) {
    Checks(gil).Call(gil, "check_error", {world.get(), error.get()});
  } else {
    Checks(gil).Call(gil, "check_read",
                     {world.get(), message.get(), type_name.get(), number.get(), flag.get(),
                      first.get(), second.get()});
  }
}

void CheckInput(const GilHeld& gil, std::string_view input) {
  const fuzz::SameReferences references;
  const Owned bytes = BytesOf(gil, input);
  const Owned world = Checks(gil).Call(gil, "World", {bytes.get()});
  Owned message = CallMethod(gil, world, "make");
  if (!message) Require(false, "a message is made", TakeFailure(gil, "").traceback);
  CheckMessage(gil, std::move(message), world);
  // After everything that the reader made is gone.
  Checks(gil).Call(gil, "check_counts", {world.get()});
}

}  // namespace
}  // namespace node_asgi::asgi

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  node_asgi::fuzz::StartPython();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto gil = node_asgi::python::GilHeld::FromPython();
  node_asgi::asgi::Checks(gil);
  node_asgi::asgi::CheckInput(gil, {reinterpret_cast<const char*>(data), size});
  return 0;
}
