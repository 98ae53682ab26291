// What crosses between a JavaScript thread and the Python thread: plain values.
// Thread: any; an event belongs to whoever holds it.
#ifndef NODE_ASGI_BRIDGE_EVENTS_H_
#define NODE_ASGI_BRIDGE_EVENTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "bridge/body_blocks.h"
#include "bridge/failure.h"
#include "bridge/file_descriptor.h"
#include "bridge/ref_counted.h"

namespace node_asgi::python {
// The right to touch Python. bridge/ names it in signatures and cannot make one.
class GilHeld;
}  // namespace node_asgi::python

namespace node_asgi::bridge {

class Exchange;

// From a JavaScript thread (or the deadline thread) to the Python thread.
struct RequestEvent {
  enum class Kind : uint8_t {
    kBegin,       // the exchange's head and first body bytes are in the exchange
    kBody,        // bytes: a chunk of the request body
    kBodyEnd,     // the request body is complete
    kDisconnect,  // the client is gone, or the caller aborted; of a WebSocket amount: code, bytes:
                  // reason
    kText,        // bytes: a WebSocket text message, UTF-8
    kBinary,      // bytes: a WebSocket binary message
    kCredit,      // amount: response bytes that the JavaScript side has passed on
    kCancel,      // a deadline passed: cancel the app's task
  };
  Kind kind;
  std::string bytes{};
  size_t amount = 0;
};

// From the Python thread (or the deadline thread) to the owner of the exchange.
struct ResponseEvent {
  enum class Kind : uint8_t {
    kWhole,     // status, headers, body: a whole response in one event; the last
    kStart,     // status, headers
    kChunk,     // body
    kEnd,       // body (may be empty); the last
    kFailed,    // failure; the last
    kConsumed,  // amount: request body bytes that the app has taken; 0: it wants the first of them
    kHint,      // headers: links for a 103 response, each on a line
    kPush,      // body: a path; headers: those of a request that the client will make for it
    kFile,      // file, offset, amount: bytes of a file as the next part of the body
    kBlock,     // block, amount: bytes of it, the next piece of the body
    kDebug,     // body: a JSON object for a test
    kAccept,    // WebSocket: body: the subprotocol, or empty; headers
    kText,      // body: a WebSocket text message, UTF-8
    kBinary,    // body: a WebSocket binary message
    kClose,     // amount: code, body: reason of a WebSocket's close; the last
    kSettled,   // amount: token of a control call; failure, or body = JSON result
    kNotice,    // failure: an error that nobody awaits; body = 'error' or 'warning'
  };
  Kind kind;
  RefPtr<Exchange> exchange{};
  int status = 0;
  size_t amount = 0;
  // name \n value \n name \n value, latin-1; no field holds CR, LF or NUL. Of kEnd: the trailers.
  std::string headers{};
  std::string body{};
  std::unique_ptr<Failure> failure{};
  FileDescriptor file{};
  uint64_t offset = 0;
  BodyBlock block{};

  bool last() const {
    return kind == Kind::kWhole || kind == Kind::kEnd || kind == Kind::kFailed ||
           kind == Kind::kClose;
  }
};

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_EVENTS_H_
