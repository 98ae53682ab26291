// One HTTP request on the Python side: what the app's receive() and send() do.
// Thread, owner and teardown: see asgi/cycle.h.
#ifndef NODE_ASGI_ASGI_HTTP_CYCLE_H_
#define NODE_ASGI_ASGI_HTTP_CYCLE_H_

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "asgi/cycle.h"
#include "asgi/extensions.h"
#include "asgi/messages.h"
#include "bridge/block_pool.h"
#include "bridge/exchange.h"
#include "bridge/flow_window.h"
#include "bridge/request_head.h"

namespace node_asgi::asgi {

class HttpCycle final : public Cycle, public bridge::Pooled<HttpCycle> {
 public:
  HttpCycle(bridge::RefPtr<CycleHost> host, bridge::RefPtr<bridge::Exchange> exchange,
            const bridge::RequestHead& head);

  // Another thread's events (ExchangePeer).
  void On(const python::GilHeld& gil, bridge::Exchange& exchange,
          bridge::RequestEvent event) override;

  void Close(const python::GilHeld& gil) override;

 private:
  // The request body as it comes in.
  enum class Inbound { kOpen, kComplete, kDelivered, kGone };

  void Disconnect(const python::GilHeld& gil);
  void OnAppSuspended(const python::GilHeld& gil) override;
  void Finish(const python::GilHeld& gil, python::Borrowed exception, bool expected) override;
  bool client_left() const override {
    return response_.phase() == bridge::ResponseState::Phase::kBroken;
  }

  Step Receive(const python::GilHeld& gil, Entry entry, python::Owned* out) override;
  Step Send(const python::GilHeld& gil, Entry entry, python::Borrowed message,
            python::Owned* out) override;
  bool Perform(const python::GilHeld& gil, python::Borrowed message);
  bool PerformStart(const python::GilHeld& gil, python::Borrowed message);
  bool PerformBody(const python::GilHeld& gil, python::Borrowed message);
  bool PerformTrailers(const python::GilHeld& gil, python::Borrowed message);
  bool PerformEarlyHint(const python::GilHeld& gil, python::Borrowed message);
  bool PerformPush(const python::GilHeld& gil, python::Borrowed message);
  bool PerformPathSend(const python::GilHeld& gil, python::Borrowed message);
  bool PerformZeroCopySend(const python::GilHeld& gil, python::Borrowed message);
  bool PerformDebug(const python::GilHeld& gil, python::Borrowed message);
  // Raises when the host does not offer what the message needs.
  bool Offers(const python::GilHeld& gil, uint32_t ability, std::string_view message);
  // Raises unless body parts may follow.
  bool MaySendBody(const python::GilHeld& gil, std::string_view message);
  // Counts body bytes against content-length. False with a Python error set.
  bool CountBody(const python::GilHeld& gil, uint64_t bytes, bool more_body);
  void PostChunk(std::string_view bytes);
  // What can go in blocks of the host; returns the rest.
  std::string_view PostBlocks(std::string_view bytes);
  void PostFile(FilePart part);
  // The body is complete; trailers may still be owed. `rest` is the last of the body.
  void EndBody(const python::GilHeld& gil, std::string_view rest);

  void FlushHead();
  void PostLast(const python::GilHeld& gil, bridge::ResponseEvent event);
  void CountConsumed(size_t bytes);
  bool hides_body() const;
  bool lends_body() const { return (abilities_ & bridge::kLentBody) != 0; }

  Inbound inbound_;
  std::list<std::string> chunks_;  // a list allocates nothing while it is empty
  size_t consumed_ = 0;  // body bytes the app took that the JavaScript side has not heard of
  bool disconnect_seen_ = false;

  const bool head_request_;
  const bool hints_work_;  // not over HTTP/1.0
  const uint32_t abilities_;
  bool wants_body_ = false;  // the host has heard that the app wants the body
  bridge::ResponseState response_;
  ResponseStart start_;
  uint64_t body_sent_ = 0;
  bool body_begun_ = false;
  bool trailers_owed_ = false;  // the body is complete, its trailers are not
  std::string trailers_;
  bool debug_sent_ = false;
  bridge::FlowWindow window_;
  python::Owned head_timer_;
};

}  // namespace node_asgi::asgi

#endif  // NODE_ASGI_ASGI_HTTP_CYCLE_H_
