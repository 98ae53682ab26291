#include "asgi/messages.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "bridge/ascii.h"
#include "bridge/exchange.h"
#include "python/call.h"
#include "python/error.h"
#include "python/interned.h"

namespace node_asgi::asgi {

using bridge::EqualsIgnoringCase;
using namespace python;  // NOLINT(build/namespaces): the C API table reads as ordinary C API

namespace {

std::string TypeName(const GilHeld& gil, Borrowed object) {
  const Owned type = Owned::Steal(PyObject_Type(object.get()));
  return TextOf(gil, GetAttribute(gil, type, "__name__"));
}

// RFC 9110 section 5.6.2. A table: these are asked for each character of each header name.
constexpr std::array<bool, 256> kTokenChars = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = table[c + 32] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<int>(c)] = true;
  return table;
}();

// Checks a field, and trims its value (RFC 9110 section 5.5).
bool CheckField(const GilHeld& gil, const char* what, std::string_view name,
                std::string_view* value) {
  if (name.empty() ||
      !std::all_of(name.begin(), name.end(), [](unsigned char c) { return kTokenChars[c]; })) {
    Raise(gil, *PyExc_ValueError,
          std::string(what) + ": expected a header name of token characters, got '" +
              std::string(name) + "'");
    return false;
  }
  // CR, LF or NUL would let a value write headers of its own (response splitting); Node refuses
  // every other control character too, which must be the app's error here instead of an uncaught
  // one there.
  const auto is_control = [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; };
  if (std::any_of(value->begin(), value->end(), is_control)) {
    Raise(gil, *PyExc_ValueError,
          std::string(what) + ": the value of header '" + std::string(name) +
              "' holds a control character such as CR, LF or NUL");
    return false;
  }
  while (!value->empty() && (value->front() == ' ' || value->front() == '\t'))
    value->remove_prefix(1);
  while (!value->empty() && (value->back() == ' ' || value->back() == '\t'))
    value->remove_suffix(1);
  return true;
}

void Join(std::string_view name, std::string_view value, std::string* fields) {
  if (!fields->empty()) *fields += '\n';
  fields->append(name).append(1, '\n').append(value);
}

bool AddToStart(const GilHeld& gil, std::string_view name, std::string_view value,
                ResponseStart* start) {
  if (EqualsIgnoringCase(name, "transfer-encoding"))
    return true;  // the server frames by itself (H-23)
  if (EqualsIgnoringCase(name, "content-length")) {
    uint64_t length = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), length);
    if (parsed.ec != std::errc() || parsed.ptr != value.data() + value.size()) {
      Raise(gil, *PyExc_ValueError,
            "http.response.start: expected a number in content-length, got '" + std::string(value) +
                "'");
      return false;
    }
    start->content_length = length;
  } else if (EqualsIgnoringCase(name, "content-type")) {
    start->event_stream = EqualsIgnoringCase(value.substr(0, 17), "text/event-stream");
  }
  Join(name, value, &start->headers);
  return true;
}

// Splits what may stand for a pair into its two items, which `kept` keeps alive where needed.
bool ReadPair(const GilHeld& gil, Borrowed pair, const char* what, PyObject* items[2],
              Owned* kept) {
  if (IsInstance(pair, PyTuple_Type) && PyTuple_Size(pair.get()) == 2) {
    items[0] = PyTuple_GetItem(pair.get(), 0);
    items[1] = PyTuple_GetItem(pair.get(), 1);
    return true;
  }
  if (IsInstance(pair, PyList_Type) && PyList_Size(pair.get()) == 2) {
    items[0] = PyList_GetItem(pair.get(), 0);
    items[1] = PyList_GetItem(pair.get(), 1);
    return true;
  }
  if (!IsInstance(pair, PyBytes_Type) && !IsInstance(pair, PyUnicode_Type)) {
    *kept = Call(gil, reinterpret_cast<PyObject*>(PyTuple_Type), {pair.get()});
    if (!*kept) PyErr_Clear();
    if (*kept && PyTuple_Size(kept->get()) == 2) {
      items[0] = PyTuple_GetItem(kept->get(), 0);
      items[1] = PyTuple_GetItem(kept->get(), 1);
      return true;
    }
  }
  return RaiseType(gil, std::string(what) + ": header", "a pair (name, value) of bytes", pair);
}

// Calls add(name, value) for each field of an iterable of pairs, checked.
template <class Add>
bool ReadFieldsWith(const GilHeld& gil, Borrowed given, const char* what, Add&& add) {
  // Held: making a tuple of an item runs code that may take the headers out of the message.
  const Owned headers = Owned::Borrow(given);
  const auto read = [&](Borrowed pair) {
    Owned kept;
    PyObject* items[2] = {nullptr, nullptr};
    std::string_view name;
    std::string_view value;
    return ReadPair(gil, pair, what, items, &kept) &&
           ReadBytes(gil, items[0], what, "header name", &name) &&
           ReadBytes(gil, items[1], what, "header value", &value) &&
           CheckField(gil, what, name, &value) && add(name, value);
  };
  if (IsInstance(headers, PyList_Type)) {
    for (Py_ssize_t i = 0; i < PyList_Size(headers.get()); ++i) {
      const Owned pair = Owned::Borrow(PyList_GetItem(headers.get(), i));
      if (!read(pair)) return false;
    }
    return true;
  }
  return ForEach(gil, headers, std::string(what) + ": headers", "an iterable of pairs",
                 [&](Borrowed pair) { return read(pair); });
}

}  // namespace

bool RaiseType(const GilHeld& gil, const std::string& what, const std::string& expected,
               Borrowed got) {
  Raise(gil, *PyExc_TypeError, what + ": expected " + expected + ", got " + TypeName(gil, got));
  return false;
}

bool ReadBytes(const GilHeld& gil, Borrowed object, const char* what, const char* part,
               std::string_view* bytes) {
  char* data = nullptr;
  Py_ssize_t size = 0;
  if (!IsInstance(object, PyBytes_Type))
    return RaiseType(gil, std::string(what) + ": " + part, "bytes", object);
  if (PyBytes_AsStringAndSize(object.get(), &data, &size) != 0) return false;
  *bytes = {data, static_cast<size_t>(size)};
  return true;
}

bool ReadFields(const GilHeld& gil, Borrowed headers, const char* what, std::string* fields) {
  return ReadFieldsWith(gil, headers, what, [&](std::string_view name, std::string_view value) {
    Join(name, value, fields);
    return true;
  });
}

MessageType ReadType(const GilHeld& gil, Borrowed message, std::string_view* name) {
  if (!IsInstance(message, PyDict_Type)) {
    RaiseType(gil, "send()", "a message of type dict", message);
    return MessageType::kInvalid;
  }
  const Borrowed type = PyDict_GetItemWithError(message.get(), Names().type);
  if (!type) {
    if (PyErr_Occurred() == nullptr)
      Raise(gil, *PyExc_ValueError, "send(): the message has no 'type'");
    return MessageType::kInvalid;
  }
  Py_ssize_t size = 0;
  if (!IsInstance(type, PyUnicode_Type)) {
    RaiseType(gil, "send(): 'type'", "str", type);
    return MessageType::kInvalid;
  }
  const char* data = PyUnicode_AsUTF8AndSize(type.get(), &size);
  if (data == nullptr) return MessageType::kInvalid;
  const std::string_view text(data, static_cast<size_t>(size));
  *name = text;
  if (text == "http.response.start") return MessageType::kHttpResponseStart;
  if (text == "http.response.body") return MessageType::kHttpResponseBody;
  if (text == "http.response.trailers") return MessageType::kHttpResponseTrailers;
  if (text == "http.response.early_hint") return MessageType::kHttpResponseEarlyHint;
  if (text == "http.response.push") return MessageType::kHttpResponsePush;
  if (text == "http.response.pathsend") return MessageType::kHttpResponsePathSend;
  if (text == "http.response.zerocopysend") return MessageType::kHttpResponseZeroCopySend;
  if (text == "http.response.debug") return MessageType::kHttpResponseDebug;
  if (text == "websocket.send") return MessageType::kWebSocketSend;
  if (text == "websocket.accept") return MessageType::kWebSocketAccept;
  if (text == "websocket.close") return MessageType::kWebSocketClose;
  if (text == "websocket.http.response.start") return MessageType::kWebSocketResponseStart;
  if (text == "websocket.http.response.body") return MessageType::kWebSocketResponseBody;
  return MessageType::kUnknown;
}

bool ReadResponseStart(const GilHeld& gil, Borrowed message, ResponseStart* start) {
  const Borrowed status = PyDict_GetItemWithError(message.get(), Names().status);
  if (!status) {
    if (PyErr_Occurred() == nullptr)
      Raise(gil, *PyExc_ValueError, "http.response.start: the message has no 'status'");
    return false;
  }
  // bool is an int to Python, but no status. http.HTTPStatus is an int and one.
  if (!IsInstance(status, PyLong_Type) || IsInstance(status, PyBool_Type)) {
    return RaiseType(gil, "http.response.start: status", "int", status);
  }
  const long number = PyLong_AsLong(status.get());
  if (number < 200 || number > 599) {
    PyErr_Clear();
    Raise(gil, *PyExc_ValueError,
          "http.response.start: expected a status from 200 to 599, got " + std::to_string(number));
    return false;
  }
  start->status = static_cast<int>(number);
  start->headers.reserve(bridge::kUsualHead);
  const Borrowed headers = PyDict_GetItemWithError(message.get(), Names().headers);
  const auto add = [&](std::string_view name, std::string_view value) {
    return AddToStart(gil, name, value, start);
  };
  if (headers && !ReadFieldsWith(gil, headers, "http.response.start", add)) return false;
  if (PyErr_Occurred() != nullptr) return false;
  return ReadFlag(gil, message, Names().trailers, &start->trailers);
}

bool ReadFlag(const GilHeld&, Borrowed message, PyObject* key, bool* flag) {
  // Held: __bool__() may take it out of the message.
  const Owned value = Owned::Borrow(PyDict_GetItemWithError(message.get(), key));
  if (!value) return PyErr_Occurred() == nullptr;
  const int truth = PyObject_IsTrue(value.get());
  *flag = truth > 0;
  return truth >= 0;
}

BodyView::~BodyView() {
  if (locked_) PyBuffer_Release(&buffer_);
}

bool BodyView::Read(const GilHeld& gil, Borrowed body, const char* what, const char* part) {
  if (IsInstance(body, PyBytes_Type)) return ReadBytes(gil, body, what, part, &bytes_);
  if (PyObject_GetBuffer(body.get(), &buffer_, PyBUF_SIMPLE) != 0) {
    PyErr_Clear();
    return RaiseType(gil, std::string(what) + ": " + part, "bytes, bytearray or memoryview", body);
  }
  locked_ = true;
  bytes_ = {static_cast<const char*>(buffer_.buf), static_cast<size_t>(buffer_.len)};
  return true;
}

bool ReadResponseBody(const GilHeld& gil, Borrowed message, ResponseBody* body) {
  // The flag first: its __bool__() may take the body, which is only viewed, out of the message.
  if (!ReadFlag(gil, message, Names().more_body, &body->more_body)) return false;
  const Borrowed bytes = PyDict_GetItemWithError(message.get(), Names().body);
  if (!bytes) return PyErr_Occurred() == nullptr;
  return body->body.Read(gil, bytes, "http.response.body", "body");
}

bool ReadWebSocketAccept(const GilHeld& gil, Borrowed message,
                         const std::vector<std::string>& offered, WebSocketAccept* accept) {
  constexpr const char* kWhat = "websocket.accept";
  const Borrowed subprotocol = PyDict_GetItemWithError(message.get(), Names().subprotocol);
  if (!subprotocol && PyErr_Occurred() != nullptr) return false;
  if (subprotocol && subprotocol.get() != PyNone()) {
    if (!IsInstance(subprotocol, PyUnicode_Type))
      return RaiseType(gil, std::string(kWhat) + ": subprotocol", "str or None", subprotocol);
    accept->subprotocol = TextOf(gil, subprotocol);
    if (std::find(offered.begin(), offered.end(), accept->subprotocol) == offered.end()) {
      Raise(gil, *PyExc_ValueError,
            std::string(kWhat) + ": the client has not offered the subprotocol '" +
                accept->subprotocol + "'");
      return false;
    }
  }
  const Borrowed headers = PyDict_GetItemWithError(message.get(), Names().headers);
  if (!headers || headers.get() == PyNone()) return PyErr_Occurred() == nullptr;
  return ReadFieldsWith(gil, headers, kWhat, [&](std::string_view name, std::string_view value) {
    if (EqualsIgnoringCase(name, "sec-websocket-protocol")) {
      Raise(
          gil, *PyExc_ValueError,
          std::string(kWhat) + ": sec-websocket-protocol is set by 'subprotocol', not by a header");
      return false;
    }
    // The handshake's own: a second one would break it.
    constexpr std::string_view kHandshake[] = {
        "sec-websocket-accept", "sec-websocket-extensions", "upgrade",
        "connection",           "transfer-encoding",        "content-length"};
    const bool own =
        std::any_of(std::begin(kHandshake), std::end(kHandshake),
                    [&](std::string_view field) { return EqualsIgnoringCase(name, field); });
    if (!own) Join(name, value, &accept->headers);
    return true;
  });
}

bool ReadWebSocketSend(const GilHeld& gil, Borrowed message, WebSocketMessage* read) {
  constexpr const char* kWhat = "websocket.send";
  const Borrowed bytes = PyDict_GetItemWithError(message.get(), Names().bytes);
  const Borrowed text = PyDict_GetItemWithError(message.get(), Names().text);
  if (PyErr_Occurred() != nullptr) return false;
  const bool has_bytes = bytes && bytes.get() != PyNone();
  const bool has_text = text && text.get() != PyNone();
  if (has_bytes == has_text) {
    Raise(gil, *PyExc_ValueError,
          std::string(kWhat) + ": expected one of 'bytes' and 'text', got " +
              (has_bytes ? "both" : "neither"));
    return false;
  }
  read->is_text = has_text;
  if (has_bytes) {
    if (!read->body.Read(gil, bytes, "websocket.send", "bytes")) return false;
    read->bytes = read->body.bytes();
    return true;
  }
  if (!IsInstance(text, PyUnicode_Type))
    return RaiseType(gil, std::string(kWhat) + ": text", "str", text);
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text.get(), &size);
  if (data == nullptr) return false;  // a lone surrogate: UnicodeEncodeError
  read->holder = Owned::Borrow(text);
  read->bytes = {data, static_cast<size_t>(size)};
  return true;
}

bool ReadWebSocketClose(const GilHeld& gil, Borrowed message, WebSocketClose* close) {
  constexpr const char* kWhat = "websocket.close";
  const Borrowed code = PyDict_GetItemWithError(message.get(), Names().code);
  if (!code && PyErr_Occurred() != nullptr) return false;
  if (code && code.get() != PyNone()) {
    if (!IsInstance(code, PyLong_Type) || IsInstance(code, PyBool_Type))
      return RaiseType(gil, std::string(kWhat) + ": code", "int", code);
    const long number = PyLong_AsLong(code.get());
    PyErr_Clear();
    // RFC 6455 section 7.4 and the IANA registry: what an endpoint may put into a close frame.
    const bool allowed = (number >= 1000 && number <= 1003) || (number >= 1007 && number <= 1014) ||
                         (number >= 3000 && number <= 4999);
    if (!allowed) {
      Raise(gil, *PyExc_ValueError,
            std::string(kWhat) + ": expected a code of 1000-1003, 1007-1014 or 3000-4999, got " +
                std::to_string(number));
      return false;
    }
    close->code = static_cast<int>(number);
  }
  const Borrowed reason = PyDict_GetItemWithError(message.get(), Names().reason);
  if (!reason || reason.get() == PyNone()) return PyErr_Occurred() == nullptr;
  if (!IsInstance(reason, PyUnicode_Type))
    return RaiseType(gil, std::string(kWhat) + ": reason", "str or None", reason);
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(reason.get(), &size);
  if (data == nullptr) return false;
  constexpr Py_ssize_t kMaxReason = 123;  // a control frame's 125 bytes without the code
  if (size > kMaxReason) {
    Raise(gil, *PyExc_ValueError,
          std::string(kWhat) + ": expected a reason of at most 123 bytes of UTF-8, got " +
              std::to_string(size));
    return false;
  }
  close->reason.assign(data, static_cast<size_t>(size));
  return true;
}

Owned MakeWebSocketConnect(const GilHeld&) {
  static PyObject* const type = PyUnicode_InternFromString("websocket.connect");
  Owned message = Owned::Steal(PyDict_New());
  if (!message || PyDict_SetItem(message.get(), Names().type, type) != 0) return Owned();
  return message;
}

Owned MakeWebSocketReceive(const GilHeld& gil, bool is_text, std::string_view bytes) {
  static PyObject* const type = PyUnicode_InternFromString("websocket.receive");
  Owned message = Owned::Steal(PyDict_New());
  const Owned value = is_text ? Text(gil, bytes) : BytesOf(gil, bytes);
  if (!message || !value || PyDict_SetItem(message.get(), Names().type, type) != 0 ||
      PyDict_SetItem(message.get(), is_text ? Names().text : Names().bytes, value.get()) != 0) {
    return Owned();
  }
  return message;
}

Owned MakeWebSocketDisconnect(const GilHeld& gil, int code, std::string_view reason) {
  static PyObject* const type = PyUnicode_InternFromString("websocket.disconnect");
  Owned message = Owned::Steal(PyDict_New());
  const Owned number = Owned::Steal(PyLong_FromLongLong(code));
  const Owned text = Text(gil, reason);
  if (!message || !number || !text || PyDict_SetItem(message.get(), Names().type, type) != 0 ||
      PyDict_SetItem(message.get(), Names().code, number.get()) != 0 ||
      PyDict_SetItem(message.get(), Names().reason, text.get()) != 0) {
    return Owned();
  }
  return message;
}

Owned MakeHttpRequest(const GilHeld& gil, std::string_view body, PyObject* more_body) {
  static PyObject* const type = PyUnicode_InternFromString("http.request");
  Owned message = Owned::Steal(PyDict_New());
  const Owned bytes = body.empty() ? Owned::Borrow(Names().empty_bytes) : BytesOf(gil, body);
  if (!message || !bytes || PyDict_SetItem(message.get(), Names().type, type) != 0 ||
      PyDict_SetItem(message.get(), Names().body, bytes.get()) != 0 ||
      PyDict_SetItem(message.get(), Names().more_body, more_body) != 0) {
    return Owned();
  }
  return message;
}

Owned MakeHttpDisconnect(const GilHeld&) {
  static PyObject* const type = PyUnicode_InternFromString("http.disconnect");
  Owned message = Owned::Steal(PyDict_New());
  if (!message || PyDict_SetItem(message.get(), Names().type, type) != 0) return Owned();
  return message;
}

}  // namespace node_asgi::asgi
