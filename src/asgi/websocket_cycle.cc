#include "asgi/websocket_cycle.h"

#include <algorithm>
#include <utility>

#include "python/call.h"
#include "python/error.h"
#include "python/interned.h"

namespace node_asgi::asgi {

using namespace python;  // NOLINT(build/namespaces): the C API table reads as ordinary C API
using bridge::Failure;
using bridge::RequestEvent;
using bridge::ResponseEvent;
using Kind = ResponseEvent::Kind;
using Urgency = bridge::ResponseSink::Urgency;

namespace {

// RFC 6455 section 7.4.1 and the IANA registry.
constexpr int kNormalClosure = 1000;
constexpr int kAbnormalClosure = 1006;
constexpr int kServiceRestart = 1012;

}  // namespace

WebSocketCycle::WebSocketCycle(bridge::RefPtr<CycleHost> host,
                               bridge::RefPtr<bridge::Exchange> exchange,
                               const bridge::RequestHead& head)
    : Cycle(std::move(host), std::move(exchange)), window_(this->host().high_water_mark()) {
  for (const std::string_view one : bridge::RequestHead::Subprotocols(head.headers))
    offered_.emplace_back(one);
}

void WebSocketCycle::On(const GilHeld& gil, bridge::Exchange&, RequestEvent event) {
  switch (event.kind) {
    case RequestEvent::Kind::kText:
    case RequestEvent::Kind::kBinary:
      if (phase_ != Phase::kOpen) break;
      messages_.push_back({event.kind == RequestEvent::Kind::kText, std::move(event.bytes)});
      WakeAll(gil, &receive_waiters_);
      break;
    case RequestEvent::Kind::kCredit:
      if (window_.Give(event.amount)) WakeAll(gil, &send_waiters_);
      break;
    case RequestEvent::Kind::kDisconnect:
      gone_ = phase_ != Phase::kClosed;
      BecomeClosed(gil, event.amount == 0 ? kAbnormalClosure : static_cast<int>(event.amount),
                   std::move(event.bytes));
      CancelLater(gil);
      break;
    case RequestEvent::Kind::kCancel:
      gone_ = phase_ != Phase::kClosed;
      BecomeClosed(gil, kAbnormalClosure, {});
      Cancel(gil);
      break;
    case RequestEvent::Kind::kBegin:
    case RequestEvent::Kind::kBody:
    case RequestEvent::Kind::kBodyEnd:
      break;
  }
}

void WebSocketCycle::BecomeClosed(const GilHeld& gil, int code, std::string reason) {
  if (phase_ != Phase::kClosed) {
    phase_ = Phase::kClosed;
    code_ = code;
    reason_ = std::move(reason);
  }
  WakeEverybody(gil);
}

void WebSocketCycle::Close(const GilHeld& gil) {
  if (phase_ == Phase::kClosed) return;
  gone_ = true;
  // A handshake that nobody has answered is refused by the caller.
  if (phase_ == Phase::kOpen) {
    PostClose(kServiceRestart, "the server is restarting");
  } else {
    Fail({"ERR_ASGI_CLOSED", "the handler was closed before the app had answered"});
  }
  BecomeClosed(gil, kServiceRestart, {});
}

AwaitSource::Step WebSocketCycle::Receive(const GilHeld& gil, Entry entry, Owned* out) {
  if (!std::exchange(connect_given_, true)) {
    *out = MakeWebSocketConnect(gil);
    return *out ? Step::kReady : Step::kError;
  }
  // What came before the client closed is given out first (W-19); after the app's own close
  // nothing.
  if (!messages_.empty() && (phase_ == Phase::kOpen || gone_)) {
    const Message message = std::move(messages_.front());
    messages_.pop_front();
    CountConsumed(message.bytes.size() + kMessageOverhead);
    *out = MakeWebSocketReceive(gil, message.is_text, message.bytes);
    return *out ? Step::kReady : Step::kError;
  }
  if (phase_ == Phase::kConnecting || phase_ == Phase::kOpen)
    return Wait(gil, &receive_waiters_, out);
  if (disconnect_seen_ && entry == Entry::kFirst) return YieldOnce(gil, out);
  disconnect_seen_ = true;
  *out =
      MakeWebSocketDisconnect(gil, phase_ == Phase::kDenying ? kAbnormalClosure : code_, reason_);
  return *out ? Step::kReady : Step::kError;
}

AwaitSource::Step WebSocketCycle::Send(const GilHeld& gil, Entry entry, Borrowed message,
                                       Owned* out) {
  if (phase_ == Phase::kClosed && gone_) return SendNowhere(gil, entry, out);
  if (entry == Entry::kFirst) {
    if (phase_ == Phase::kClosed) {
      // After the app's own close another one is harmless, and anything else an error.
      std::string_view name;
      const MessageType type = ReadType(gil, message, &name);
      if (type == MessageType::kInvalid) return Step::kError;
      if (type != MessageType::kWebSocketClose) return SendNowhere(gil, entry, out);
    } else if (!Perform(gil, message)) {
      return Step::kError;
    }
  }
  if (!window_.open() && phase_ != Phase::kClosed) return Wait(gil, &send_waiters_, out);
  *out = Owned::Borrow(PyNone());
  return Step::kReady;
}

bool WebSocketCycle::Perform(const GilHeld& gil, Borrowed message) {
  std::string_view name;
  const MessageType type = ReadType(gil, message, &name);
  switch (type) {
    case MessageType::kInvalid:
      return false;
    case MessageType::kWebSocketAccept:
      return phase_ == Phase::kConnecting ? Accept(gil, message) : Unexpected(gil, name);
    case MessageType::kWebSocketSend:
      return phase_ == Phase::kOpen ? SendMessage(gil, message) : Unexpected(gil, name);
    case MessageType::kWebSocketClose:
      return phase_ == Phase::kDenying ? Unexpected(gil, name) : SendClose(gil, message);
    case MessageType::kWebSocketResponseStart:
      return phase_ == Phase::kConnecting ? DenyStart(gil, message) : Unexpected(gil, name);
    case MessageType::kWebSocketResponseBody:
      return phase_ == Phase::kDenying ? DenyBody(gil, message) : Unexpected(gil, name);
    default:
      return Unexpected(gil, name);
  }
}

bool WebSocketCycle::Unexpected(const GilHeld& gil, std::string_view name) {
  const char* expected = "'websocket.accept', 'websocket.close' or 'websocket.http.response.start'";
  if (phase_ == Phase::kOpen) expected = "'websocket.send' or 'websocket.close'";
  if (phase_ == Phase::kDenying) expected = "'websocket.http.response.body'";
  Raise(gil, *PyExc_RuntimeError,
        std::string("send(): expected ") + expected + ", got '" + std::string(name) + "'");
  return false;
}

bool WebSocketCycle::Accept(const GilHeld& gil, Borrowed message) {
  WebSocketAccept read;
  if (!ReadWebSocketAccept(gil, message, offered_, &read)) return false;
  phase_ = Phase::kOpen;
  ResponseEvent event{Kind::kAccept};
  event.body = std::move(read.subprotocol);
  event.headers = std::move(read.headers);
  Post(std::move(event), Urgency::kNow);
  return true;
}

bool WebSocketCycle::SendMessage(const GilHeld& gil, Borrowed message) {
  WebSocketMessage read;
  if (!ReadWebSocketSend(gil, message, &read)) return false;
  ResponseEvent event{read.is_text ? Kind::kText : Kind::kBinary};
  event.body = read.bytes;
  window_.Take(read.bytes.size() + kMessageOverhead);
  Post(std::move(event), Urgency::kNow);
  return true;
}

bool WebSocketCycle::SendClose(const GilHeld& gil, Borrowed message) {
  WebSocketClose read;
  if (!ReadWebSocketClose(gil, message, &read)) return false;
  PostClose(read.code, read.reason);
  // Before accept the client gets a 403 and no close frame (W-07).
  const bool opened = phase_ == Phase::kOpen;
  messages_.clear();
  BecomeClosed(gil, opened ? read.code : kAbnormalClosure, opened ? std::move(read.reason) : "");
  return true;
}

void WebSocketCycle::PostClose(int code, std::string reason) {
  ResponseEvent event{Kind::kClose};
  event.amount = static_cast<size_t>(code);
  event.body = std::move(reason);
  Post(std::move(event), Urgency::kNow);
}

bool WebSocketCycle::DenyStart(const GilHeld& gil, Borrowed message) {
  ResponseStart read;
  if (!ReadResponseStart(gil, message, &read)) return false;
  denial_ = std::move(read);
  phase_ = Phase::kDenying;
  WakeAll(gil, &receive_waiters_);
  return true;
}

bool WebSocketCycle::DenyBody(const GilHeld& gil, Borrowed message) {
  ResponseBody read;
  if (!ReadResponseBody(gil, message, &read)) return false;
  const bool hidden = denial_.status == 204 || denial_.status == 304;
  const std::string_view bytes = hidden ? std::string_view() : read.body.bytes();
  const bool whole = !denial_begun_ && !read.more_body;
  if (whole || !denial_begun_) {
    ResponseEvent event{whole ? Kind::kWhole : Kind::kStart};
    event.status = denial_.status;
    event.headers = std::move(denial_.headers);
    if (whole) event.body = bytes;
    denial_begun_ = true;
    Post(std::move(event), Urgency::kNow);
  }
  if (!whole && (!read.more_body || !bytes.empty())) {
    ResponseEvent event{read.more_body ? Kind::kChunk : Kind::kEnd};
    event.body = bytes;
    if (read.more_body) window_.Take(bytes.size());
    Post(std::move(event), Urgency::kNow);
  }
  if (!read.more_body) BecomeClosed(gil, kAbnormalClosure, {});
  return true;
}

void WebSocketCycle::CountConsumed(size_t bytes) {
  consumed_ += bytes;
  // Less often than every message: the JavaScript side only needs it to open a closed window.
  if (phase_ != Phase::kOpen || consumed_ < std::max<size_t>(1, host().high_water_mark() / 2))
    return;
  ResponseEvent event{Kind::kConsumed};
  event.amount = std::exchange(consumed_, 0);
  Post(std::move(event), Urgency::kNow);
}

void WebSocketCycle::Finish(const GilHeld& gil, Borrowed exception, bool expected) {
  const Phase phase = std::exchange(phase_, Phase::kClosed);
  if (exception) {
    if (expected) return;
    Failure failure = Describe(gil, exception, "ERR_PYTHON_EXCEPTION");
    if (phase == Phase::kClosed) {
      host().Report("error", std::move(failure));
    } else {
      Fail(std::move(failure));
    }
  } else if (phase == Phase::kConnecting) {
    Fail({"ERR_ASGI_NO_RESPONSE",
          "the app returned without 'websocket.accept' or 'websocket.close'"});
  } else if (phase == Phase::kDenying) {
    Fail({"ERR_ASGI_INCOMPLETE_RESPONSE", "the app returned in the middle of its denial response"});
  } else if (phase == Phase::kOpen) {
    PostClose(kNormalClosure, {});
  }
}

}  // namespace node_asgi::asgi
