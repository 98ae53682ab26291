// One HTTP request on the Python side: what the app's receive() and send() do.
// Thread: the Python thread. Owner: the exchange, and the app's receive and send while it keeps
// them. Teardown: OnAppEnded drops the task and the exchange's reference; the rest goes with the
// app's last reference.
#ifndef NODE_ASGI_ASGI_HTTP_CYCLE_H_
#define NODE_ASGI_ASGI_HTTP_CYCLE_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "asgi/app_task.h"
#include "asgi/extensions.h"
#include "asgi/messages.h"
#include "bridge/exchange.h"
#include "bridge/flow_window.h"
#include "bridge/request_head.h"
#include "python/loop_thread.h"
#include "python/ready_awaitable.h"

namespace node_asgi::asgi {

class HttpCycle;

// What a cycle needs from the application that it belongs to. It is the peer of an exchange until
// it has made the exchange's cycle.
class HttpCycleHost : public bridge::ExchangePeer {
 public:
  virtual python::LoopThread& loop() = 0;
  virtual size_t high_water_mark() const = 0;
  // False: send() after the client left is ignored instead of raising (spec_version 2.3).
  virtual bool raises_after_disconnect() const = 0;
  // Milliseconds from a client's disconnect to the cancellation of its task; below zero: never.
  virtual int cancel_on_disconnect() const = 0;
  // Requests that the application has taken in, those that still wait in the mailbox included.
  virtual size_t in_flight() const = 0;
  virtual void OnCycleEnded(const python::GilHeld& gil, HttpCycle& cycle) = 0;
  // The request ends without a whole response.
  virtual void OnCycleFailed() = 0;
  // An exception or protocol error that no caller is waiting for any more.
  virtual void Report(const std::string& level, bridge::Failure failure) = 0;
};

// Makes the exception class ClientDisconnected and the types behind app tasks. Once, after the
// interpreter started.
bool PrepareHttpCycles(const python::GilHeld& gil);

class HttpCycle final : public bridge::ExchangePeer,
                        public python::AwaitSource,
                        public AppTaskOwner {
 public:
  HttpCycle(bridge::RefPtr<HttpCycleHost> host, bridge::RefPtr<bridge::Exchange> exchange,
            bridge::ExchangeRequest request, const bridge::RequestHead& head);

  // Starts the app. False with a Python error set, when not even its task could be made.
  bool Start(const python::GilHeld& gil, python::Borrowed app, python::Owned scope);

  // Another thread's events (ExchangePeer).
  void On(const python::GilHeld& gil, bridge::Exchange& exchange,
          bridge::RequestEvent event) override;

  // For the close of an application, in this order: the app is told that its client is gone; its
  // task is cancelled; the caller gets its answer although the app goes on.
  void Close(const python::GilHeld& gil);
  void Cancel(const python::GilHeld& gil);
  void Abandon(const python::GilHeld& gil);

 private:
  enum Operation { kReceive, kSend };

  // The request body as it comes in.
  enum class Inbound { kOpen, kComplete, kDelivered, kGone };

  Step Advance(const python::GilHeld& gil, int operation, Entry entry, python::Borrowed argument,
               python::Owned* out) override;
  void RefSource() override { (void)bridge::RefPtr<HttpCycle>(this).ReleaseRaw(); }
  void UnrefSource() override { bridge::RefPtr<HttpCycle>::AdoptRaw(this); }
  void RefOwner() override { (void)bridge::RefPtr<HttpCycle>(this).ReleaseRaw(); }
  void UnrefOwner() override { bridge::RefPtr<HttpCycle>::AdoptRaw(this); }
  void Disconnect(const python::GilHeld& gil);
  void OnAppSuspended(const python::GilHeld& gil) override;
  void OnAppEnded(const python::GilHeld& gil, python::Owned result,
                  python::Owned exception) override;

  Step Receive(const python::GilHeld& gil, Entry entry, python::Owned* out);
  Step Send(const python::GilHeld& gil, Entry entry, python::Borrowed message, python::Owned* out);
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
  bool Offers(const python::GilHeld& gil, uint32_t ability, const std::string& message);
  // Raises unless body parts may follow.
  bool MaySendBody(const python::GilHeld& gil, const std::string& message);
  // Counts body bytes against content-length. False with a Python error set.
  bool CountBody(const python::GilHeld& gil, uint64_t bytes, bool more_body);
  void PostChunk(std::string_view bytes);
  void PostFile(FilePart part);
  // The body is complete; trailers may still be owed. `rest` is the last of the body.
  void EndBody(const python::GilHeld& gil, std::string_view rest);
  Step Wait(const python::GilHeld& gil, std::vector<python::Owned>* waiters, python::Owned* out);
  static void WakeAll(const python::GilHeld& gil, std::vector<python::Owned>* waiters);
  Step SendNowhere(const python::GilHeld& gil, Entry entry, python::Owned* out);
  Step YieldOnce(const python::GilHeld& gil, python::Owned* out);

  void FlushHead();
  void Post(bridge::ResponseEvent event, bridge::ResponseSink::Urgency urgency);
  void PostLast(const python::GilHeld& gil, bridge::ResponseEvent event);
  void Fail(bridge::Failure failure);
  void CountConsumed(size_t bytes);
  bool hides_body() const;

  const bridge::RefPtr<HttpCycleHost> host_;
  bridge::RefPtr<bridge::Exchange> exchange_;
  python::Owned task_;

  Inbound inbound_;
  std::deque<std::string> chunks_;
  size_t consumed_ = 0;  // body bytes the app took that the JavaScript side has not heard of
  bool disconnect_seen_ = false;
  std::vector<python::Owned> receive_waiters_;

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
  std::vector<python::Owned> send_waiters_;
  python::Owned head_timer_;
  bool caller_waits_ = false;  // closed by this side, so the caller still has to hear of it
};

}  // namespace node_asgi::asgi

#endif  // NODE_ASGI_ASGI_HTTP_CYCLE_H_
