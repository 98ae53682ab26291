// One request and its response: what both threads know of it, and the response's state machine.
// Owner: shared by reference count between the JavaScript side, the mailboxes and the Python side.
// Thread: each member names its thread; members without a mark are constant after construction.
#ifndef NODE_ASGI_BRIDGE_EXCHANGE_H_
#define NODE_ASGI_BRIDGE_EXCHANGE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bridge/block_pool.h"
#include "bridge/cache_line.h"
#include "bridge/events.h"
#include "bridge/live_count.h"
#include "bridge/ref_counted.h"
#include "bridge/response_sink.h"

namespace node_asgi::bridge {

// The Python thread's half of an exchange. Destroyed on the Python thread.
class ExchangePeer : public RefCounted {
 public:
  using RefCounted::RefCounted;
  virtual void On(const python::GilHeld& gil, Exchange& exchange, RequestEvent event) = 0;
  // Any thread: an exchange has been refused, and none of its events will come.
  virtual void OnRefused() {}
};

// The response as the ASGI spec orders it. Moves answer whether they were allowed; a move that was
// not changes nothing, so an app may catch the error and go on rightly (checklist X-06).
class ResponseState {
 public:
  enum class Phase : uint8_t {
    kWaiting,  // no http.response.start yet
    kHeld,     // start is here, nothing is on the wire: hints may go first, an error can still be a
               // 500
    kStreaming,  // the head has left
    kComplete,   // the app has said all
    kBroken,     // client gone, cancelled or failed: nothing more leaves
  };

  bool Start() { return Move(Phase::kWaiting, Phase::kHeld); }
  bool Flush() { return Move(Phase::kHeld, Phase::kStreaming); }
  bool Complete();
  void Break();

  Phase phase() const { return phase_; }
  bool may_send_body() const { return phase_ == Phase::kHeld || phase_ == Phase::kStreaming; }
  bool ended() const { return phase_ == Phase::kComplete || phase_ == Phase::kBroken; }

 private:
  bool Move(Phase from, Phase to);
  Phase phase_ = Phase::kWaiting;
};

// What the host of a request can do for it; bits. lib/abilities.js has the same numbers.
enum Ability : uint32_t {
  kPathSend = 1,  // each of these is an extension of the ASGI spec, offered in the scope
  kZeroCopySend = 2,
  kTrailers = 4,
  kEarlyHint = 8,
  kPush = 16,
  kDebug = 32,
  // The client waits for a 100 before it sends its body: the host hears when the app wants it.
  kContinue = 64,
  // Not for the app, but a call of a function: node_asgi.calls answers.
  kCall = 128,
  // A WebSocket, not an HTTP request.
  kWebSocket = 256,
  // The host gives memory back: pieces of the body may come in blocks.
  kLentBody = 512,
};

// Bytes that most response heads stay below: the memory of a request's head serves them.
inline constexpr size_t kUsualHead = 256;

// What few requests have.
struct ScopeExtras {
  std::string node;  // JSON object for scope["extensions"]["node"], or empty
  std::string tls;   // JSON object for scope["extensions"]["tls"], or empty
};

struct ExchangeRequest {
  // method \n target \n http version \n scheme \n client host \n client port \n server host \n
  // server port \n root path [\n name \n value]…, latin-1. Built by lib/request.js, split by
  // bridge/request_head.h.
  std::string head;
  std::string body;                     // first body bytes
  bool body_complete = true;            // false: kBody and kBodyEnd events follow
  uint32_t abilities = 0;               // of enum Ability
  std::unique_ptr<ScopeExtras> extras;  // or null
};

class Exchange final : public RefCounted, public Pooled<Exchange> {
 public:
  // `first_peer` gets the first events: the application, until it has made the exchange's own peer.
  // Not counted: both threads would count on one cache line at every request. It outlives this, for
  // it is loaded before it takes a request and ends what it has taken before it goes; and what its
  // handler sends to the Python thread arrives in order, its last reference last.
  Exchange(ExchangeRequest request, std::shared_ptr<ResponseSink> sink, ExchangePeer* first_peer)
      : is_websocket((request.abilities & kWebSocket) != 0),
        request_(std::move(request)),
        sink_(std::move(sink)),
        first_peer_(first_peer) {}

  const bool is_websocket;

  // Python thread. The memory of the head serves the response's: the JavaScript thread has
  // allocated it and will free it; freeing what another thread has allocated costs malloc a lock.
  ExchangeRequest& request() { return request_; }

  void Post(ResponseEvent event, ResponseSink::Urgency urgency) {
    if (event.kind == ResponseEvent::Kind::kStart || event.kind == ResponseEvent::Kind::kAccept ||
        event.last())
      answered.store(true, std::memory_order_relaxed);
    event.exchange = RefPtr<Exchange>(this);
    sink_->Post(std::move(event), urgency);
  }
  const std::shared_ptr<ResponseSink>& sink() const { return sink_; }

  // Python thread. Null once nobody is interested any more.
  void set_peer(RefPtr<ExchangePeer> peer) {
    first_peer_ = nullptr;
    peer_ = std::move(peer);
  }
  ExchangePeer* peer() const { return peer_ ? peer_.get() : first_peer_; }
  // Events that came before the application was ready for the exchange.
  std::vector<RequestEvent> early_events;

  // Any thread: a response head, or a failure, is on its way.
  std::atomic<bool> answered{false};

  // The sink's consumer thread: deadlines to disarm with the last event; 0 for none.
  uint64_t start_deadline = 0;
  uint64_t response_deadline = 0;

  // The sink's consumer thread: its handle for this exchange; -1 once it has seen the last event or
  // given up.
  int64_t slot = -1;

 private:
  ExchangeRequest request_;
  const std::shared_ptr<ResponseSink> sink_;
  ExchangePeer* first_peer_;
  RefPtr<ExchangePeer> peer_;
  [[no_unique_address]] Counted<Live::kExchange> counted_;
};

inline void Prefetch(const ResponseEvent& event) {
  PrefetchForWriting<sizeof(Exchange)>(event.exchange.get());
}
inline void PrefetchNext(const ResponseEvent& event) {
  PrefetchForWriting<2 * kCacheLine>(event.headers.data());
}

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_EXCHANGE_H_
