#include "asgi/http_cycle.h"

#include <algorithm>
#include <utility>

#include "bridge/trace.h"
#include "python/call.h"
#include "python/error.h"
#include "python/function.h"
#include "python/interned.h"

namespace node_asgi::asgi {

using namespace python;  // NOLINT(build/namespaces): the C API table reads as ordinary C API
using bridge::Failure;
using bridge::RequestEvent;
using bridge::ResponseEvent;
using bridge::ResponseState;
using Kind = ResponseEvent::Kind;
using Urgency = bridge::ResponseSink::Urgency;

namespace {

// How long a response head without a body waits for company (checklist H-16b).
constexpr double kHeadDelaySeconds = 0.02;

// Smaller pieces cost less as strings.
constexpr size_t kLeastBlock = 8192;

}  // namespace

HttpCycle::HttpCycle(bridge::RefPtr<CycleHost> host, bridge::RefPtr<bridge::Exchange> exchange,
                     const bridge::RequestHead& head)
    : Cycle(std::move(host), std::move(exchange)),
      inbound_(this->exchange()->request().body_complete ? Inbound::kComplete : Inbound::kOpen),
      head_request_(head.method == "HEAD"),
      hints_work_(head.http_version != "1.0"),
      abilities_(this->exchange()->request().abilities),
      window_(this->host().high_water_mark()) {
  std::string& body = this->exchange()->request().body;
  if (!body.empty()) chunks_.push_back(std::move(body));
}

void HttpCycle::On(const GilHeld& gil, bridge::Exchange&, RequestEvent event) {
  switch (event.kind) {
    case RequestEvent::Kind::kBegin:
    case RequestEvent::Kind::kText:
    case RequestEvent::Kind::kBinary:
      break;
    case RequestEvent::Kind::kBody:
      if (inbound_ != Inbound::kOpen || event.bytes.empty()) break;
      chunks_.push_back(std::move(event.bytes));
      WakeAll(gil, &receive_waiters_);
      break;
    case RequestEvent::Kind::kBodyEnd:
      if (inbound_ != Inbound::kOpen) break;
      inbound_ = Inbound::kComplete;
      WakeAll(gil, &receive_waiters_);
      break;
    case RequestEvent::Kind::kCredit:
      if (window_.Give(event.amount)) WakeAll(gil, &send_waiters_);
      break;
    case RequestEvent::Kind::kDisconnect:
      Disconnect(gil);
      break;
    case RequestEvent::Kind::kCancel:
      Disconnect(gil);
      Cancel(gil);
      break;
  }
}

void HttpCycle::Disconnect(const GilHeld& gil) {
  response_.Break();
  // A complete body is still given out before the disconnect (H-13); of a truncated one nothing is
  // (H-09).
  if (inbound_ == Inbound::kOpen) {
    chunks_.clear();
    inbound_ = Inbound::kGone;
  }
  WakeEverybody(gil);
  CancelLater(gil);
}

void HttpCycle::Close(const GilHeld& gil) {
  caller_waits_ = !response_.ended();
  Disconnect(gil);
}

AwaitSource::Step HttpCycle::Receive(const GilHeld& gil, Entry entry, Owned* out) {
  const bool over = response_.phase() == ResponseState::Phase::kComplete;
  const bool has_body = !chunks_.empty() || inbound_ == Inbound::kComplete;
  if (!over && has_body) {
    const std::string chunk = chunks_.empty() ? std::string() : std::move(chunks_.front());
    if (!chunks_.empty()) chunks_.pop_front();
    const bool last = inbound_ == Inbound::kComplete && chunks_.empty();
    if (last) inbound_ = Inbound::kDelivered;
    CountConsumed(chunk.size());
    *out = MakeHttpRequest(gil, chunk, last ? PyFalse() : PyTrue());
    return *out ? Step::kReady : Step::kError;
  }
  if (!over && response_.phase() != ResponseState::Phase::kBroken) {
    if (inbound_ == Inbound::kOpen && (abilities_ & bridge::kContinue) != 0 &&
        !std::exchange(wants_body_, true)) {
      Post({Kind::kConsumed}, Urgency::kNow);
    }
    return Wait(gil, &receive_waiters_, out);
  }
  // The first disconnect comes without suspending: request.is_disconnected() asks from within a
  // cancelled scope (F-06). Later ones yield once, so that `while True: await receive()` cannot
  // starve the loop (H-12).
  if (disconnect_seen_ && entry == Entry::kFirst) return YieldOnce(gil, out);
  disconnect_seen_ = true;
  *out = MakeHttpDisconnect(gil);
  return *out ? Step::kReady : Step::kError;
}

AwaitSource::Step HttpCycle::Send(const GilHeld& gil, Entry entry, Borrowed message, Owned* out) {
  if (response_.phase() == ResponseState::Phase::kBroken) return SendNowhere(gil, entry, out);
  if (entry == Entry::kFirst && !Perform(gil, message)) return Step::kError;
  if (!window_.open() && !response_.ended()) return Wait(gil, &send_waiters_, out);
  *out = Owned::Borrow(PyNone());
  return Step::kReady;
}

bool HttpCycle::Perform(const GilHeld& gil, Borrowed message) {
  std::string_view name;
  const MessageType type = ReadType(gil, message, &name);
  if (type == MessageType::kInvalid) return false;
  // The spec lets messages after the end be ignored (H-35).
  if (response_.phase() == ResponseState::Phase::kComplete) return true;
  switch (type) {
    case MessageType::kHttpResponseStart:
      return PerformStart(gil, message);
    case MessageType::kHttpResponseBody:
      return PerformBody(gil, message);
    case MessageType::kHttpResponseTrailers:
      return Offers(gil, bridge::kTrailers, name) && PerformTrailers(gil, message);
    case MessageType::kHttpResponseEarlyHint:
      return Offers(gil, bridge::kEarlyHint, name) && PerformEarlyHint(gil, message);
    case MessageType::kHttpResponsePush:
      return Offers(gil, bridge::kPush, name) && PerformPush(gil, message);
    case MessageType::kHttpResponsePathSend:
      return Offers(gil, bridge::kPathSend, name) && PerformPathSend(gil, message);
    case MessageType::kHttpResponseZeroCopySend:
      return Offers(gil, bridge::kZeroCopySend, name) && PerformZeroCopySend(gil, message);
    case MessageType::kHttpResponseDebug:
      return Offers(gil, bridge::kDebug, name) && PerformDebug(gil, message);
    default:
      break;
  }
  Raise(gil, *PyExc_RuntimeError,
        "send(): expected 'http.response.start' or 'http.response.body', got '" +
            std::string(name) + "'");
  return false;
}

bool HttpCycle::Offers(const GilHeld& gil, uint32_t ability, std::string_view message) {
  if ((abilities_ & ability) != 0) return true;
  Raise(gil, *PyExc_RuntimeError,
        "send(): '" + std::string(message) + "' is not in scope['extensions'] of this request");
  return false;
}

bool HttpCycle::PerformStart(const GilHeld& gil, Borrowed message) {
  if (response_.phase() != ResponseState::Phase::kWaiting) {
    Raise(gil, *PyExc_RuntimeError,
          "send(): expected 'http.response.body', got a second 'http.response.start'");
    return false;
  }
  ResponseStart start;
  if (exchange() != nullptr) start.headers = std::move(exchange()->request().head);
  start.headers.clear();
  if (!ReadResponseStart(gil, message, &start)) return false;
  start_ = std::move(start);
  if ((abilities_ & bridge::kTrailers) == 0) start_.trailers = false;
  response_.Start();
  // EventSource waits for the head before it calls onopen.
  if (start_.event_stream) FlushHead();
  return true;
}

bool HttpCycle::hides_body() const {
  return head_request_ || start_.status == 204 || start_.status == 304;
}

bool HttpCycle::MaySendBody(const GilHeld& gil, std::string_view message) {
  if (response_.may_send_body() && !trailers_owed_) return true;
  Raise(gil, *PyExc_RuntimeError,
        std::string("send(): expected '") +
            (trailers_owed_ ? "http.response.trailers" : "http.response.start") + "', got '" +
            std::string(message) + "'");
  return false;
}

bool HttpCycle::CountBody(const GilHeld& gil, uint64_t bytes, bool more_body) {
  const uint64_t sent = body_sent_ + bytes;
  if (start_.content_length && !hides_body()) {
    const uint64_t promised = *start_.content_length;
    if (sent > promised || (!more_body && sent < promised)) {
      Raise(gil, *PyExc_RuntimeError,
            "http.response.body: content-length promised " + std::to_string(promised) +
                " bytes, the body has " + std::to_string(sent) +
                (sent > promised ? " or more" : ""));
      return false;
    }
  }
  body_sent_ = sent;
  body_begun_ = true;
  return true;
}

bool HttpCycle::PerformBody(const GilHeld& gil, Borrowed message) {
  if (!MaySendBody(gil, "http.response.body")) return false;
  ResponseBody read;
  if (!ReadResponseBody(gil, message, &read)) return false;
  const std::string_view bytes = hides_body() ? std::string_view() : read.body.bytes();
  if (!CountBody(gil, bytes.size(), read.more_body)) return false;
  if (!read.more_body) {
    EndBody(gil, bytes);
    return true;
  }
  FlushHead();
  PostChunk(bytes);
  return true;
}

void HttpCycle::PostChunk(std::string_view bytes) {
  bytes = PostBlocks(bytes);
  if (bytes.empty()) return;
  ResponseEvent event{Kind::kChunk};
  event.body = bytes;
  window_.Take(bytes.size());
  Post(std::move(event), Urgency::kNow);
}

std::string_view HttpCycle::PostBlocks(std::string_view bytes) {
  if (!lends_body() || exchange() == nullptr) return bytes;
  bridge::BodyBlocks* const blocks = exchange()->sink()->body_blocks();
  while (blocks != nullptr && bytes.size() >= kLeastBlock) {
    ResponseEvent event{Kind::kBlock};
    event.block = blocks->Take();
    if (!event.block) break;
    event.amount = bytes.copy(event.block.data(), bridge::BodyBlocks::kBytes);
    bytes.remove_prefix(event.amount);
    window_.Take(event.amount);
    Post(std::move(event), Urgency::kNow);
  }
  return bytes;
}

void HttpCycle::EndBody(const GilHeld& gil, std::string_view rest) {
  if (start_.trailers) {
    trailers_owed_ = true;
    FlushHead();
    PostChunk(rest);
    return;
  }
  if (lends_body() && rest.size() >= bridge::BodyBlocks::kBytes) {
    FlushHead();
    rest = PostBlocks(rest);
  }
  const bool whole = response_.phase() == ResponseState::Phase::kHeld;
  response_.Complete();
  ResponseEvent event{whole ? Kind::kWhole : Kind::kEnd};
  if (whole) {
    event.status = start_.status;
    event.headers = std::move(start_.headers);
  }
  event.body = rest;
  PostLast(gil, std::move(event));
}

bool HttpCycle::PerformTrailers(const GilHeld& gil, Borrowed message) {
  if (!trailers_owed_) {
    Raise(gil, *PyExc_RuntimeError,
          "send(): 'http.response.trailers' must follow the whole body of an "
          "'http.response.start' with 'trailers': True");
    return false;
  }
  Trailers read;
  if (!ReadTrailers(gil, message, &read)) return false;
  if (!trailers_.empty() && !read.headers.empty()) trailers_ += '\n';
  trailers_ += read.headers;
  if (read.more_trailers) return true;
  response_.Complete();
  ResponseEvent event{Kind::kEnd};
  event.headers = std::move(trailers_);
  PostLast(gil, std::move(event));
  return true;
}

bool HttpCycle::PerformEarlyHint(const GilHeld& gil, Borrowed message) {
  ResponseEvent event{Kind::kHint};
  if (!ReadEarlyHint(gil, message, &event.headers)) return false;
  // Later ones are ignored: a hint may be (checklist E-13).
  const bool early = response_.phase() == ResponseState::Phase::kWaiting ||
                     response_.phase() == ResponseState::Phase::kHeld;
  if (early && hints_work_ && !event.headers.empty()) Post(std::move(event), Urgency::kNow);
  return true;
}

bool HttpCycle::PerformPush(const GilHeld& gil, Borrowed message) {
  if (!MaySendBody(gil, "http.response.push")) return false;
  Push push;
  if (!ReadPush(gil, message, &push)) return false;
  ResponseEvent event{Kind::kPush};
  event.body = std::move(push.path);
  event.headers = std::move(push.headers);
  Post(std::move(event), Urgency::kNow);
  return true;
}

bool HttpCycle::PerformPathSend(const GilHeld& gil, Borrowed message) {
  if (!MaySendBody(gil, "http.response.pathsend")) return false;
  if (body_begun_) {
    Raise(gil, *PyExc_RuntimeError,
          "send(): 'http.response.pathsend' cannot follow 'http.response.body'");
    return false;
  }
  FilePart part;
  if (!ReadPathSend(gil, message, &part)) return false;
  if (!CountBody(gil, hides_body() ? 0 : part.count, false)) return false;
  PostFile(std::move(part));
  EndBody(gil, {});
  return true;
}

bool HttpCycle::PerformZeroCopySend(const GilHeld& gil, Borrowed message) {
  if (!MaySendBody(gil, "http.response.zerocopysend")) return false;
  FilePart part;
  if (!ReadZeroCopySend(gil, message, &part)) return false;
  const bool more_body = part.more_body;
  if (!CountBody(gil, hides_body() ? 0 : part.count, more_body)) return false;
  PostFile(std::move(part));
  if (!more_body) EndBody(gil, {});
  return true;
}

void HttpCycle::PostFile(FilePart part) {
  if (hides_body()) return;
  FlushHead();
  if (part.count == 0) return;
  window_.Take(part.count);
  ResponseEvent event{Kind::kFile};
  event.file = std::move(part.file);
  event.offset = part.offset;
  event.amount = part.count;
  Post(std::move(event), Urgency::kNow);
}

bool HttpCycle::PerformDebug(const GilHeld& gil, Borrowed message) {
  if (response_.phase() != ResponseState::Phase::kWaiting || debug_sent_) {
    Raise(gil, *PyExc_RuntimeError,
          "send(): 'http.response.debug' may be sent once, before 'http.response.start'");
    return false;
  }
  ResponseEvent event{Kind::kDebug};
  if (!ReadDebug(gil, message, &event.body)) return false;
  debug_sent_ = true;
  Post(std::move(event), Urgency::kNow);
  return true;
}

void HttpCycle::FlushHead() {
  if (!response_.Flush()) return;
  ResponseEvent event{Kind::kStart};
  event.status = start_.status;
  event.headers = std::move(start_.headers);
  Post(std::move(event), Urgency::kNow);
}

void HttpCycle::PostLast(const GilHeld& gil, ResponseEvent event) {
  // With others in flight one wake-up serves the whole batch; alone, waiting would only cost time.
  const bool alone = host().alone();
  bridge::Trace(bridge::Stage::kPosted);
  Post(std::move(event), alone ? Urgency::kNow : Urgency::kBatch);
  if (!alone && exchange() != nullptr) host().loop().FlushLater(gil, exchange()->sink());
  WakeEverybody(gil);
}

void HttpCycle::CountConsumed(size_t bytes) {
  consumed_ += bytes;
  // Less often than every chunk: the JavaScript side only needs it to open a closed window.
  if (inbound_ != Inbound::kOpen || consumed_ < std::max<size_t>(1, host().high_water_mark() / 2))
    return;
  ResponseEvent event{Kind::kConsumed};
  event.amount = std::exchange(consumed_, 0);
  Post(std::move(event), Urgency::kNow);
}

void HttpCycle::OnAppSuspended(const GilHeld& gil) {
  if (response_.phase() != ResponseState::Phase::kHeld || head_timer_) return;
  const bridge::RefPtr<HttpCycle> self(this);
  const Owned flush = MakeFunction(gil, [self](const GilHeld&, Borrowed) {
    self->FlushHead();
    return Owned::Borrow(PyNone());
  });
  if (flush) head_timer_ = host().loop().CallLater(gil, kHeadDelaySeconds, flush);
  if (!head_timer_) {
    PyErr_Clear();
    FlushHead();
  }
}

void HttpCycle::Finish(const GilHeld& gil, Borrowed exception, bool expected) {
  if (head_timer_) {
    if (!CallMethod(gil, head_timer_, Names().cancel)) PyErr_Clear();
    head_timer_.Reset();
  }
  const ResponseState::Phase phase = response_.phase();
  response_.Break();
  if (exception) {
    if (expected) return;
    Failure failure = Describe(gil, exception, "ERR_PYTHON_EXCEPTION");
    if (phase == ResponseState::Phase::kComplete || phase == ResponseState::Phase::kBroken) {
      host().Report("error", std::move(failure));
    } else {
      Fail(std::move(failure));
    }
  } else if (phase == ResponseState::Phase::kWaiting) {
    Fail({"ERR_ASGI_NO_RESPONSE", "the app returned without sending 'http.response.start'"});
  } else if (phase == ResponseState::Phase::kHeld || phase == ResponseState::Phase::kStreaming) {
    Fail({"ERR_ASGI_INCOMPLETE_RESPONSE",
          trailers_owed_ ? "the app returned without the 'http.response.trailers' it had promised"
                         : "the app returned while 'more_body' was still true"});
  }
}

}  // namespace node_asgi::asgi
