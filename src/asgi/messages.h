// Reads the messages that an app sends, and makes those it receives.
// Thread: the Python thread. Every reader raises a Python error that says what was expected and
// what came.
#ifndef NODE_ASGI_ASGI_MESSAGES_H_
#define NODE_ASGI_ASGI_MESSAGES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "python/gil.h"
#include "python/ref.h"

namespace node_asgi::asgi {

enum class MessageType {
  kInvalid,
  kHttpResponseStart,
  kHttpResponseBody,
  kHttpResponseTrailers,
  kHttpResponseEarlyHint,
  kHttpResponsePush,
  kHttpResponsePathSend,
  kHttpResponseZeroCopySend,
  kHttpResponseDebug,
  kWebSocketAccept,
  kWebSocketSend,
  kWebSocketClose,
  kWebSocketResponseStart,
  kWebSocketResponseBody,
  kUnknown,
};

// kInvalid: a Python error is set. kUnknown: a str that this server does not know. *name holds it.
MessageType ReadType(const python::GilHeld& gil, python::Borrowed message, std::string_view* name);

// Raises "what: expected …, got <type>" and returns false.
bool RaiseType(const python::GilHeld& gil, const std::string& what, const std::string& expected,
               python::Borrowed got);

// The bytes of a bytes object, which must outlive the view; `part` names it in the error.
bool ReadBytes(const python::GilHeld& gil, python::Borrowed object, const char* what,
               const char* part, std::string_view* bytes);

// The truth of message[key]; unchanged when the key is absent.
bool ReadFlag(const python::GilHeld& gil, python::Borrowed message, PyObject* key, bool* flag);

// Fields as ASGI writes them, joined as name \n value …; every one checked.
bool ReadFields(const python::GilHeld& gil, python::Borrowed headers, const char* what,
                std::string* fields);

// Calls handle(item) for each item until it returns false, which means a Python error.
template <class Handle>
bool ForEach(const python::GilHeld& gil, python::Borrowed iterable, const std::string& what,
             const std::string& expected, Handle&& handle) {
  const python::Owned iterator = python::Owned::Steal(python::PyObject_GetIter(iterable.get()));
  if (!iterator) {
    python::PyErr_Clear();
    return RaiseType(gil, what, expected, iterable);
  }
  while (const python::Owned item = python::Owned::Steal(python::PyIter_Next(iterator.get()))) {
    if (!handle(item)) return false;
  }
  return python::PyErr_Occurred() == nullptr;
}

struct ResponseStart {
  int status = 0;
  std::string headers;  // name \n value …; framing headers of the app's own are dropped
  std::optional<uint64_t> content_length;
  bool event_stream = false;  // content-type: text/event-stream
  bool trailers = false;      // the app says that http.response.trailers follow the body
};

bool ReadResponseStart(const python::GilHeld& gil, python::Borrowed message, ResponseStart* start);

// The bytes of a body: a view into a Python object that stays alive and locked as long as this
// does.
class BodyView {
 public:
  BodyView() = default;
  BodyView(const BodyView&) = delete;
  BodyView& operator=(const BodyView&) = delete;
  ~BodyView();

  // bytes, bytearray, memoryview or any contiguous buffer; False with TypeError for others, str
  // included.
  bool Read(const python::GilHeld& gil, python::Borrowed body, const char* what, const char* part);
  std::string_view bytes() const { return bytes_; }

 private:
  std::string_view bytes_;
  Py_buffer buffer_{};
  bool locked_ = false;
};

struct ResponseBody {
  BodyView body;
  bool more_body = false;
};

bool ReadResponseBody(const python::GilHeld& gil, python::Borrowed message, ResponseBody* body);

struct WebSocketAccept {
  std::string subprotocol;  // empty: none
  std::string headers;
};
// `offered`: what the client's Sec-WebSocket-Protocol fields hold.
bool ReadWebSocketAccept(const python::GilHeld& gil, python::Borrowed message,
                         const std::vector<std::string>& offered, WebSocketAccept* accept);

// A message to the client; the bytes belong to a Python object that stays alive as long as this.
struct WebSocketMessage {
  bool is_text = false;
  python::Owned holder;
  BodyView body;
  std::string_view bytes;  // UTF-8 of a text
};
bool ReadWebSocketSend(const python::GilHeld& gil, python::Borrowed message,
                       WebSocketMessage* read);

struct WebSocketClose {
  int code = 1000;
  std::string reason;  // UTF-8, at most 123 bytes
};
bool ReadWebSocketClose(const python::GilHeld& gil, python::Borrowed message,
                        WebSocketClose* close);

python::Owned MakeWebSocketConnect(const python::GilHeld& gil);
// {'type': 'websocket.receive'} with the one key that the message has (W-09).
python::Owned MakeWebSocketReceive(const python::GilHeld& gil, bool is_text,
                                   std::string_view bytes);
python::Owned MakeWebSocketDisconnect(const python::GilHeld& gil, int code,
                                      std::string_view reason);

python::Owned MakeHttpRequest(const python::GilHeld& gil, std::string_view body,
                              PyObject* more_body);
python::Owned MakeHttpDisconnect(const python::GilHeld& gil);

}  // namespace node_asgi::asgi

#endif  // NODE_ASGI_ASGI_MESSAGES_H_
